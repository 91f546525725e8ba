//! ParEGO: several objectives as one, weighed differently for each trial.
//!
//! Each ask draws a weight for every objective, by the number of the trial; the largest weighted objective plus a little
//! of their sum is what a strategy for one objective then minimises. Every weighting has its own best trade-off, so the
//! whole front is found.
//!
//! Settings: `model` (default `tpe`), a strategy for one objective; all other settings are that strategy's.
//!
//! # Source
//! Knowles, IEEE Trans. Evol. Comput. 10 (2006); the augmented Chebyshev norm with its 0.05.

use serde_json::Value;

use super::Valued;
use crate::Result;
use crate::error::Error;
use crate::search::history::{History, Past, PastState};
use crate::search::strategy::{Proposal, Setup, Strategy, strategy};
use crate::search::stream::{Purpose, stream, unit};

/// What the sum of the objectives adds.
const AUGMENT: f64 = 0.05;
/// The stream of the weights: an attempt that no model gets to.
const WEIGHTS_ATTEMPT: u64 = u64::MAX;

/// ParEGO search.
pub struct Parego {
    model: String,
    /// The setup of the model.
    setup: Setup,
    objectives: usize,
}

impl Parego {
    /// Returns a ParEGO search.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a model that is not known or settings that it does not have.
    pub fn new(setup: &Setup) -> Result<Parego> {
        let mut inner = Setup { objectives: 1, ..setup.clone() };
        let model = match inner.settings.shift_remove("model") {
            None | Some(Value::Null) => "tpe".to_owned(),
            Some(Value::String(name)) if !name.eq_ignore_ascii_case("parego") => name,
            Some(other) => {
                let why = format!("model {other} is no strategy for one objective");
                return Err(Error::invalid("strategy parego", why));
            }
        };
        strategy(&model, &inner)?;
        Ok(Parego { model, setup: inner, objectives: setup.objectives })
    }

    /// Returns the weights for a trial, evenly spread over all that sum to 1.
    fn weights(&self, number: u64) -> Vec<f64> {
        let mut generator = stream(self.setup.seed, number, Purpose::Model, WEIGHTS_ATTEMPT);
        let mut weights: Vec<f64> =
            (0..self.objectives).map(|_| -(1.0 - unit(&mut generator)).ln()).collect();
        let sum: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        weights.iter_mut().for_each(|weight| *weight /= sum);
        weights
    }
}

impl Strategy for Parego {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        let weights = self.weights(number);
        let valued =
            Valued::new(history.trials(), self.objectives, |rows| (0..rows.len()).collect());
        let mut single: Vec<Past> = history.trials().to_vec();
        for past in &mut single {
            if let PastState::Complete { values } = &mut past.state {
                *values = vec![f64::NAN];
            }
            past.curve.clear();
        }
        for (at, row) in valued.at.iter().zip(&valued.rows) {
            let parts = || weights.iter().zip(row).map(|(weight, value)| weight * value);
            let value = parts().fold(f64::NEG_INFINITY, f64::max) + AUGMENT * parts().sum::<f64>();
            single[*at].state = PastState::Complete { values: vec![value] };
        }
        let single = single.into_iter().collect::<History>().until(number);
        strategy(&self.model, &self.setup)?.ask(&single)
    }
}
