//! Random search: every trial number draws from the prior with a stream of its own.
//!
//! Settings: `refine_after` (a number of trials, or a list of them) and `refine_top_k` (default 5). From trial number
//! `refine_after` on, draws come from the smallest box around the best `refine_top_k` complete trials numbered below
//! it, once there are that many. The box fixes itself by number, so workers that ask at the same time agree on it as
//! far as they see the same results. `compat: mle_hyperopt` draws the points that mle-hyperopt draws from the same seed.

use serde_json::{Map, Value};

use super::compat::{self, PeerRandom};
use super::history::{History, Past};
use super::sampler::{Points, Sampler};
use super::space::Space;
use super::strategy::{Proposal, Strategy, allow_settings, whole_setting};
use super::stream::{Purpose, stream, unit};
use crate::{Error, Result};

/// Random search.
pub struct Random {
    sampler: Sampler<Draws>,
    /// Trial numbers at which the box is drawn anew, rising.
    refine_after: Vec<u64>,
    refine_top_k: usize,
    /// Draws as mle-hyperopt makes them, where those are wanted.
    peer: Option<PeerRandom>,
}

/// A stream of its own for every trial number and attempt.
pub(crate) struct Draws {
    pub(crate) dimensions: usize,
    pub(crate) seed: u64,
}

impl Points for Draws {
    const IN_A_ROW: bool = false;

    fn point(&self, number: u64, attempt: u64, _place: u64) -> Result<Vec<f64>> {
        let mut generator = stream(self.seed, number, Purpose::Point, attempt);
        Ok((0..self.dimensions).map(|_| unit(&mut generator)).collect())
    }
}

impl Random {
    /// Returns a random search.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings it does not have.
    pub fn new(space: Space, settings: &Map<String, Value>, seed: u64) -> Result<Random> {
        allow_settings("random", settings, &["refine_after", "refine_top_k", "compat"])?;
        let top_k = whole_setting("random", settings, "refine_top_k", 2)?;
        let refine_after = steps(settings)?;
        if top_k.is_some() && refine_after.is_empty() {
            return Err(Error::invalid("strategy random", "refine_top_k needs refine_after"));
        }
        let draws = Draws { dimensions: space.dimensions(), seed };
        Ok(Random {
            sampler: Sampler::new(space, draws, seed),
            refine_after,
            refine_top_k: top_k.map_or(5, |top_k| usize::try_from(top_k).unwrap_or(usize::MAX)),
            peer: compat::wanted("random", settings)?.then(|| PeerRandom::new(seed)),
        })
    }
}

impl Strategy for Random {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let whole = self.sampler.space();
        let narrow = |number: u64| {
            let after = *self.refine_after.iter().rev().find(|after| **after <= number)?;
            narrow(&whole, history, after, self.refine_top_k)
        };
        if let Some(peer) = &mut self.peer {
            return Ok(peer.propose(&whole, history, narrow)?.into());
        }
        Ok(self.sampler.propose(history, narrow)?.into())
    }
}

/// Returns the box around the best trials numbered below `after`, once there are enough.
fn narrow(space: &Space, history: &History, after: u64, top_k: usize) -> Option<Space> {
    let before = history.trials().iter().filter(|past| past.number < after);
    let mut valued: Vec<(f64, &Past)> =
        before.filter_map(|past| Some((past.value()?, past))).collect();
    if valued.len() < top_k {
        return None;
    }
    valued.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.number.cmp(&b.1.number)));
    let best: Vec<_> = valued[..top_k].iter().map(|(_, past)| &past.params).collect();
    Some(space.narrowed(&best))
}

fn steps(settings: &Map<String, Value>) -> Result<Vec<u64>> {
    let mut steps = match settings.get("refine_after") {
        Some(Value::Array(list)) => {
            let steps: Option<Vec<u64>> = list.iter().map(Value::as_u64).collect();
            let why = "refine_after is not a list of whole numbers";
            steps.ok_or_else(|| Error::invalid("strategy random", why))?
        }
        _ => whole_setting("random", settings, "refine_after", 1)?.into_iter().collect(),
    };
    steps.sort_unstable();
    Ok(steps)
}
