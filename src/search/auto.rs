//! The strategy of a search that names none: the best one measured for the space, the objectives and the budget.
//!
//! | search | strategy |
//! |---|---|
//! | with epochs | `freeze_thaw`; `bohb` from trial 400 on, and where more than 30 parameters are searched |
//! | several objectives | `ehvi`; `motpe` from trial 300 on, with more than 30 parameters or 3 objectives |
//! | one objective | `gp`; `tpe` from trial 300 on, and with more than 30 parameters |
//! | one objective, numbers alone, up to 16 workers | `gp`; `tpe` from trial 1,000 on, and with more than 30 parameters |
//!
//! Models that look at all trials together cost more the longer a search is; past these bounds cheap ones do as well in
//! the same time. The strategy of a trial follows from its number, so a search that is taken up again goes on alike.
//! It has no settings.
//!
//! # Source
//! The comparison of optimisers in Benjamins et al., arXiv 2506.06143 (none is best everywhere: choose by the task).

use serde_json::{Map, Value};

use super::gp::Frame;
use super::history::History;
use super::strategy::{Proposal, Setup, Strategy, allow_settings, strategy};
use crate::Result;

/// Searched parameters up to which models of all trials are worth their time.
const DIMENSIONS_MAX: usize = 30;

/// Workers up to which there is time between two asks for a long look at many trials.
const WORKERS_MAX: usize = 16;

/// The portfolio.
pub struct Auto {
    early: Box<dyn Strategy + Send>,
    late: Box<dyn Strategy + Send>,
    /// The number of the first trial that `late` proposes.
    turn: u64,
    /// Whether `early` made the last proposal.
    is_early: bool,
}

impl Auto {
    /// Returns the portfolio's choice.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings.
    pub fn new(setup: &Setup) -> Result<Auto> {
        allow_settings("auto", &setup.settings, &[])?;
        let wide = setup.space.dimensions() > DIMENSIONS_MAX;
        let numbers = Frame::new(&setup.space).lines();
        let crowded = setup.workers > WORKERS_MAX;
        let (early, late, turn) = match (setup.epochs, setup.objectives) {
            (Some(_), _) => ("freeze_thaw", "bohb", 400),
            (None, 1) if numbers && !crowded => ("gp", "tpe", 1_000),
            (None, 1) => ("gp", "tpe", 300),
            (None, objectives) => ("ehvi", "motpe", if objectives > 3 { 0 } else { 300 }),
        };
        Ok(Auto {
            early: strategy(early, setup)?,
            late: strategy(late, setup)?,
            turn: if wide { 0 } else { turn },
            is_early: true,
        })
    }
}

impl Strategy for Auto {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        self.is_early = history.next_number() < self.turn;
        match self.is_early {
            true => self.early.ask(history),
            false => self.late.ask(history),
        }
    }

    fn notes(&self) -> Map<String, Value> {
        if self.is_early { self.early.notes() } else { self.late.notes() }
    }
}
