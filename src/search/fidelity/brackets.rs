//! Successive halving and Hyperband: rung by rung, the best of a bracket's trials train on.
//!
//! A rung's trials go on when all of them have ended, the best first. Whoever asks meanwhile is given a trial of the next
//! bracket, so nobody waits. Trials that failed or were stopped are not replaced: the next rung is shorter if too few are
//! left.
//!
//! Settings of `halving`: `configs` (default 20), `min_epochs` (default 1), `eta` (default 2), `rounds` (how many
//! brackets; default endless), `model` (default `random`: the strategy that new trials come from), `max_epoch`.
//! Settings of `hyperband`: `eta` (default 3), `min_epochs` (default 1), `rounds` (how often all brackets; default
//! endless), `model` (default `random`), `max_epoch`. mle-hyperopt's names `num_arms`, `min_budget`, `max_budget`,
//! `halving_coeff` and `max_resource` are understood, and stand for one round.
//!
//! # Source
//! Jamieson and Talwalkar, AISTATS 2016; Li et al., JMLR 18 (2018). With `model` a model it is BOHB in its synchronous form
//! (Falkner et al., ICML 2018).

use std::ops::Range;

use serde_json::{Map, Value};

use super::super::history::{Cursor, History, PastState};
use super::super::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use super::proposer::Proposer;
use super::rungs::{self, Rung};
use super::standing::{Standing, standing};
use super::{epochs_of, least_setting, model_setting, number_setting};
use crate::Result;

/// The settings of `halving`.
pub(crate) const HALVING: &[&str] = &["configs", "min_epochs", "eta", "rounds", "model"];
/// The settings of `hyperband`.
pub(crate) const HYPERBAND: &[&str] = &["eta", "min_epochs", "rounds", "model"];

/// Successive halving, or Hyperband.
pub struct Brackets {
    /// The brackets of one round.
    round: Vec<Vec<Rung>>,
    rounds: Option<u64>,
    proposer: Proposer,
    cursor: Cursor,
    /// For each bracket from the first on, whether nothing is left to do in it.
    over: Vec<bool>,
    /// The trial that was proposed last, where brackets have numbers.
    proposed: Option<u64>,
    counts: bool,
}

/// What a bracket can do next.
enum Step {
    /// A trial goes on until so many epochs.
    Resume(u64, u64),
    /// It waits for trials at work.
    Blocked,
    Over,
}

impl Brackets {
    /// Returns a successive halving.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have, and without the epochs of a full training.
    pub fn halving(setup: &Setup) -> Result<Brackets> {
        let (name, mut setup) = ("halving", setup.clone());
        let peer = [
            ("num_arms", "configs"),
            ("min_budget", "min_epochs"),
            ("max_budget", "max_epoch"),
            ("halving_coeff", "eta"),
        ];
        rename(&mut setup, &peer);
        let settings = &setup.settings;
        allow_settings(name, settings, &[HALVING, &["max_epoch"]].concat())?;
        let max_epochs = epochs_of(name, &setup)?;
        let configs = whole_setting(name, settings, "configs", 1)?.unwrap_or(20);
        let min_epochs = least_setting(name, settings, "min_epochs", max_epochs)?;
        let eta = number_setting(name, settings, "eta", 1.0)?.unwrap_or(2.0);
        let round = vec![rungs::halving(configs, min_epochs, eta, Some(max_epochs))];
        Brackets::new(name, &setup, round)
    }

    /// Returns a Hyperband.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have, and without the epochs of a full training.
    pub fn hyperband(setup: &Setup) -> Result<Brackets> {
        let (name, mut setup) = ("hyperband", setup.clone());
        rename(&mut setup, &[("max_resource", "max_epoch")]);
        let settings = &setup.settings;
        allow_settings(name, settings, &[HYPERBAND, &["max_epoch"]].concat())?;
        let max_epochs = epochs_of(name, &setup)?;
        let eta = whole_setting(name, settings, "eta", 2)?.unwrap_or(3);
        let min_epochs = least_setting(name, settings, "min_epochs", max_epochs)?;
        let round = rungs::hyperband(max_epochs, min_epochs, eta);
        Brackets::new(name, &setup, round)
    }

    fn new(name: &str, setup: &Setup, round: Vec<Vec<Rung>>) -> Result<Brackets> {
        let rounds = whole_setting(name, &setup.settings, "rounds", 1)?;
        let model = model_setting(name, &setup.settings, "random")?;
        let mut ladder: Vec<u64> = round.iter().flatten().map(|rung| rung.epochs).collect();
        ladder.sort_unstable();
        ladder.dedup();
        let proposer = Proposer::new(model, setup, &ladder)?;
        let (cursor, over, counts) = (Cursor::default(), Vec::new(), name == "hyperband");
        Ok(Brackets { round, rounds, proposer, cursor, over, proposed: None, counts })
    }

    /// Returns the place of a bracket in its round and the numbers of its trials; `None` after the last round.
    fn bracket(&self, place: usize) -> Option<(usize, Range<u64>)> {
        let in_round =
            |brackets: &[Vec<Rung>]| -> u64 { brackets.iter().map(|rungs| rungs[0].configs).sum() };
        let (round, at) = (place / self.round.len(), place % self.round.len());
        if self.rounds.is_some_and(|rounds| round as u64 >= rounds) {
            return None;
        }
        let first = round as u64 * in_round(&self.round) + in_round(&self.round[..at]);
        Some((at, first..first + self.round[at][0].configs))
    }

    /// Returns the place of the bracket that a trial number begins in.
    fn place_of(&self, number: u64) -> usize {
        let all: u64 = self.round.iter().map(|rungs| rungs[0].configs).sum();
        let (round, mut left) = (number / all, number % all);
        let within = self.round.iter().position(|rungs| {
            let here = left < rungs[0].configs;
            left = left.saturating_sub(rungs[0].configs);
            here
        });
        round as usize * self.round.len() + within.unwrap_or(0)
    }

    /// Returns what a bracket whose trials have all begun can do.
    fn step(&self, history: &History, at: usize, numbers: Range<u64>) -> Step {
        let mut members: Vec<u64> = numbers.filter(|n| history.get(*n).is_some()).collect();
        for (i, rung) in self.round[at].iter().enumerate() {
            let mut blocked = false;
            let mut ranked: Vec<(f64, u64)> = Vec::new();
            for number in members {
                let Some(past) = history.get(number) else { continue };
                match standing(past, rung.epochs) {
                    Standing::Value(value) => ranked.push((value, number)),
                    Standing::Short => return Step::Resume(number, rung.epochs),
                    Standing::AtWork => blocked = true,
                    Standing::Out => {}
                }
            }
            if blocked {
                return Step::Blocked;
            }
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let next = self.round[at].get(i + 1).map_or(0, |next| next.configs as usize);
            members = ranked.iter().take(next).map(|(_, number)| *number).collect();
        }
        Step::Over
    }

    /// Forgets which brackets are over from the first that changed on.
    fn follow(&mut self, history: &History) {
        let (anew, changed) = self.cursor.follow(history);
        let changed = changed.iter().map(|at| history.trials()[*at].number).min();
        match changed {
            _ if anew => self.over.clear(),
            Some(first) => {
                let place = self.place_of(first);
                self.over.truncate(place);
            }
            None => {}
        }
    }
}

impl Strategy for Brackets {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let proposal = self.propose(history)?;
        self.proposed = match &proposal {
            Proposal::New { .. } => Some(history.next_number()),
            Proposal::Resume { number, .. } => Some(*number),
            _ => None,
        };
        Ok(proposal)
    }

    fn notes(&self) -> Map<String, Value> {
        let bracket = |number| self.place_of(number) % self.round.len();
        let counter = self.proposed.filter(|_| self.counts).map(bracket);
        counter.map(|at| ("hb_counter".to_owned(), at.into())).into_iter().collect()
    }
}

impl Brackets {
    fn propose(&mut self, history: &History) -> Result<Proposal> {
        self.follow(history);
        let next = history.next_number();
        let mut place = 0;
        while let Some((at, numbers)) = self.bracket(place).filter(|(_, all)| all.start < next) {
            let known = self.over.get(place).copied();
            if numbers.end <= next && known != Some(true) {
                match self.step(history, at, numbers) {
                    Step::Resume(number, epochs) => return Ok(Proposal::Resume { number, epochs }),
                    step => {
                        if known.is_none() && self.over.len() == place {
                            self.over.push(matches!(step, Step::Over));
                        } else if let Some(over) = self.over.get_mut(place) {
                            *over = matches!(step, Step::Over);
                        }
                    }
                }
            }
            place += 1;
        }
        let begins = self.place_of(next);
        if let Some((at, _)) = self.bracket(begins)
            && let Some(params) = self.proposer.propose(history)?
        {
            return Ok(Proposal::New {
                params,
                epochs: Some(self.round[at][0].epochs),
                from: None,
            });
        }
        self.finish(history, begins)
    }

    /// Returns what is left to do when no trial begins any more.
    fn finish(&self, history: &History, begins: usize) -> Result<Proposal> {
        if let Some((at, numbers)) = self.bracket(begins)
            && let Step::Resume(number, epochs) = self.step(history, at, numbers)
        {
            return Ok(Proposal::Resume { number, epochs });
        }
        let at_work = history.iter().any(|past| past.state == PastState::Pending);
        Ok(if at_work { Proposal::Wait } else { Proposal::Exhausted })
    }
}

/// Puts the peer's names of settings in the place of ours; whoever uses them means one round.
fn rename(setup: &mut Setup, names: &[(&str, &str)]) {
    for (theirs, ours) in names {
        if let Some(value) = setup.settings.shift_remove(*theirs) {
            setup.settings.insert((*ours).to_owned(), value);
            setup.settings.entry("rounds").or_insert(1.into());
        }
    }
}
