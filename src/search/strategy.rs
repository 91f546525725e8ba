//! What every search strategy is: a function of the space, its settings, the history and a seed.

use serde_json::{Map, Value};

use super::grid::Grid;
use super::halton::Halton;
use super::random::Random;
use super::sobol::Sobol;
use super::space::{Space, suggest};
use super::tpe::Tpe;
use crate::{Error, Result};

/// The strategies by name.
pub const KNOWN: &[&str] = &["random", "grid", "sobol", "halton", "tpe"];

/// How a trial stands.
#[derive(Clone, Debug, PartialEq)]
pub enum PastState {
    /// Asked for, not yet valued.
    Pending,
    /// Valued: one number for each objective, all to be minimised. Whoever maximises hands in negated values.
    Complete {
        /// The objectives.
        values: Vec<f64>,
    },
    /// Crashed, or gave no number.
    Failed,
    /// Stopped before its end for want of promise.
    Pruned,
}

/// One earlier trial of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Its number in the study, from 0.
    pub number: u64,
    /// Its active parameters.
    pub params: Map<String, Value>,
    /// How it stands.
    pub state: PastState,
}

impl Past {
    /// Returns the first objective of a complete trial, when it is a number.
    pub fn value(&self) -> Option<f64> {
        match &self.state {
            PastState::Complete { values } => {
                values.first().copied().filter(|value| value.is_finite())
            }
            _ => None,
        }
    }
}

/// Proposes points.
///
/// A strategy may keep caches, but two of them with the same space, settings and seed answer the same question alike,
/// whatever they were asked before.
pub trait Strategy {
    /// Returns the point for trial `number`, or `None` when nothing is left to try.
    ///
    /// `history` holds the trials asked for so far, in any order and state; those numbered `number` and above do not
    /// count, so that a trial asked for again gets its point again.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the space or the settings do not allow a proposal.
    fn ask(&mut self, history: &[Past], number: u64) -> Result<Option<Map<String, Value>>>;
}

/// Returns the strategy of that name; capitals do not matter.
///
/// `trials` is how many will be asked for, where that is known.
///
/// # Errors
/// [`Error::Invalid`] for an unknown name, an unknown or unfit setting, or a space the strategy cannot search.
pub fn strategy(
    name: &str,
    space: &Space,
    settings: &Map<String, Value>,
    seed: u64,
    trials: Option<u64>,
) -> Result<Box<dyn Strategy + Send>> {
    let space = space.clone();
    Ok(match name.to_lowercase().as_str() {
        "random" => Box::new(Random::new(space, settings, seed)?),
        "grid" => Box::new(Grid::new(space, settings)?),
        "sobol" => Box::new(Sobol::new(space, settings, seed, trials)?),
        "halton" => Box::new(Halton::new(space, settings, seed)?),
        "tpe" => Box::new(Tpe::new(space, settings, seed)?),
        other => {
            let error = Error::invalid("strategy", format!("\"{name}\" is not known"))
                .with_hint(format!("strategies are {}", KNOWN.join(", ")));
            return Err(suggest(error, other, KNOWN.iter().copied()));
        }
    })
}

/// Refuses settings that a strategy does not have.
pub(crate) fn allow_settings(
    strategy: &str,
    settings: &Map<String, Value>,
    known: &[&str],
) -> Result<()> {
    let Some(stranger) = settings.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let error =
        Error::invalid(format!("strategy {strategy}"), format!("has no setting \"{stranger}\""));
    let error = match known {
        [] => error.with_hint("it has no settings"),
        _ => error.with_hint(format!("its settings are {}", known.join(", "))),
    };
    Err(suggest(error, stranger, known.iter().copied()))
}

/// Returns a setting that is a whole number of at least `least`.
pub(crate) fn whole_setting(
    strategy: &str,
    settings: &Map<String, Value>,
    key: &str,
    least: u64,
) -> Result<Option<u64>> {
    let Some(value) = settings.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    match value.as_u64().filter(|number| *number >= least) {
        Some(number) => Ok(Some(number)),
        None => {
            let why = format!("{key} {value} is not a whole number of at least {least}");
            Err(Error::invalid(format!("strategy {strategy}"), why))
        }
    }
}
