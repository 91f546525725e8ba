//! `evolution`: picks an evolutionary strategy by objectives, dimensions, trials, workers and kinds of parameters.
//!
//! | search | strategy |
//! |---|---|
//! | several objectives | `nsga2` |
//! | choices only | `fast_ga` |
//! | more workers than a generation of CMA-ES can use | `de` |
//! | one dimension, or fewer than 3 trials a dimension | `one_plus_one` |
//! | half of the parameters or more discrete, up to 30 trials a dimension | `pso` |
//! | half of the parameters or more discrete, more trials | `de` |
//! | all else | `cmaes` |
//!
//! It has no settings of its own; settings of the strategy that is picked are passed on.
//!
//! # Source
//! Meunier et al., IEEE Trans. Evol. Comput. 26 (2022), arXiv 2010.04542: NGOpt's rules for continuous spaces, of which
//! these are the outline. Its rules for choices are not followed: they do worse than random search on tables of trainings.

use super::axis::Axis;
use super::differential::Differential;
use super::nsga2::Nsga2;
use super::one_plus_one::OnePlusOne;
use super::swarm::Swarm;
use crate::Result;
use crate::search::cmaes::Cmaes;
use crate::search::strategy::{Setup, Strategy};

/// Trials that are assumed where their number is not known.
const TRIALS: u64 = 1000;

/// Returns the strategy that suits the search.
///
/// # Errors
/// [`crate::Error::Invalid`] for settings that the strategy does not have.
pub fn evolution(setup: Setup) -> Result<Box<dyn Strategy + Send>> {
    let axes = Axis::all(&setup.space);
    let dimensions = axes.len() as u64;
    let trials = setup.trials.unwrap_or(TRIALS);
    let choices_only = axes.iter().all(|axis| matches!(axis, Axis::Choice { .. }));
    let crowded = setup.workers as u64 * 10 > trials && trials > 10;
    let discrete = 2 * axes.iter().filter(|axis| axis.count().is_some()).count() >= axes.len();
    if setup.objectives > 1 {
        return Ok(Box::new(Nsga2::new(setup)?));
    }
    if crowded && !choices_only {
        return Ok(Box::new(Differential::new(setup)?));
    }
    Ok(match () {
        () if choices_only => Box::new(OnePlusOne::fast(setup)?),
        () if dimensions <= 1 || trials < 3 * dimensions => Box::new(OnePlusOne::new(setup)?),
        () if discrete && trials <= 30 * dimensions => Box::new(Swarm::new(setup)?),
        () if discrete => Box::new(Differential::new(setup)?),
        () => Box::new(Cmaes::new(setup)?),
    })
}
