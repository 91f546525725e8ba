//! Racing: new trials run with one seed, and only those that may be the best are run with more.
//!
//! An epoch is a seed here: a trial that is to reach `n` epochs is run with the first `n` seeds, and its curve holds the
//! value of each. All trials run with the same seeds in the same order, so that what a seed does to all of them is taken
//! out ([`effects`]). How much values of one config differ is measured on the way: the first three trials run with two
//! seeds, and while those agree, none is run again but the best, once.
//!
//! Where another trial is as good as the best one with a chance of more than `level`, the one of the two that has run less
//! runs with twice its seeds, as long as no more than `share` of all runs repeat a config; else there is a new trial. At
//! the end, when no new ones are allowed, the best trial runs with all seeds, and so does who may still be better. So the
//! best trial of a search has run with all seeds, and a lucky one is found out.
//!
//! Settings: `model` (default `auto`: the strategy that new trials come from, which sees what trials are worth without
//! what their seeds do), `share` (default 0.5), `level` (default 0.1), `min_seeds` (default 1, for each new trial),
//! `max_epoch` (the seeds there are).
//!
//! # Source
//! Birattari et al., GECCO 2002 (racing); Hutter et al., LION 2011 (one run for a challenger, doubled while it keeps up,
//! and half of the time for new configs). That differences are judged by the pooled noise instead of a test for each pair
//! is our choice: pairs have too few runs in common.

mod effects;

use serde_json::{Map, Value};

use self::effects::{Effects, Standing};
use super::fidelity::{epochs_of, least_setting, model_setting, number_setting};
use super::history::{Cursor, History, Past, PastState};
use super::normal;
use super::strategy::{Proposal, Setup, Strategy, allow_settings, strategy};
use crate::{Error, Result};

/// The settings, `max_epoch` aside.
pub(crate) const SETTINGS: &[&str] = &["model", "share", "level", "min_seeds"];

/// So many first trials run with two seeds, to measure the noise.
const PROBES: u64 = 3;
/// Differences in this many runs are enough to say that there is no noise.
const QUIET: usize = 3;

/// A race over seeds.
pub struct Racing {
    model: Box<dyn Strategy + Send>,
    /// The history as the model sees it.
    seen: History,
    cursor: Cursor,
    seeds: u64,
    least: u64,
    share: f64,
    level: f64,
    trials: Option<u64>,
    budget: Option<u64>,
}

impl Racing {
    /// Returns a race.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings it does not have, several objectives, a model that decides about epochs itself,
    /// and without the number of seeds.
    pub fn new(setup: &Setup) -> Result<Racing> {
        let (name, settings) = ("racing", &setup.settings);
        allow_settings(name, settings, &[SETTINGS, &["max_epoch"]].concat())?;
        let seeds = epochs_of(name, setup)?;
        if setup.objectives > 1 {
            let why = format!("compares one objective, not {}", setup.objectives);
            return Err(Error::invalid(format!("strategy {name}"), why));
        }
        let model = model_setting(name, settings, super::strategy::DEFAULT)?;
        let share = number_setting(name, settings, "share", 0.0)?.unwrap_or(0.5);
        let level = number_setting(name, settings, "level", 0.0)?.unwrap_or(0.1);
        for (key, value) in [("share", share), ("level", level)] {
            if value >= 1.0 {
                let why = format!("{key} {value} is not below 1");
                return Err(Error::invalid(format!("strategy {name}"), why));
            }
        }
        let inner =
            Setup { settings: Map::new(), epochs: None, epoch_budget: None, ..setup.clone() };
        Ok(Racing {
            model: strategy(model, &inner)?,
            seen: History::new(),
            cursor: Cursor::default(),
            seeds,
            least: least_setting(name, settings, "min_seeds", seeds)?,
            share,
            level,
            trials: setup.trials,
            budget: setup.epoch_budget,
        })
    }

    /// Returns the trial that is to be run with more seeds, and with how many in all; `last` where no new ones are allowed.
    fn due(&self, effects: &Effects, spent: Spent, last: bool) -> Option<(u64, u64)> {
        let more =
            |standing: &Standing| (standing.seeds * 2).max(standing.seeds + 1).min(self.seeds);
        let ready = |standing: &&Standing| !standing.at_work && standing.seeds < self.seeds;
        let payable = |cost: u64| self.budget.is_none_or(|budget| spent.runs + cost <= budget);
        let best = effects.best()?;
        let step = |standing: &Standing| (standing.number, more(standing));
        if effects.is_quiet(QUIET) || !last && effects.freedom < QUIET {
            let alone = best.seeds < 2 && ready(&best) && payable(1);
            return alone.then(|| step(best));
        }
        if last && ready(&best) && payable(more(best) - best.seeds) {
            return Some(step(best));
        }
        let chance = |other: &Standing| {
            let spread = (1.0 / other.seeds as f64 + 1.0 / best.seeds as f64).sqrt();
            normal::below((best.value - other.value) / (effects.noise * spread))
        };
        let others = effects.standings.iter().filter(|other| other.number != best.number);
        let (chance, rival) = others
            .filter(ready)
            .map(|other| (chance(other), other))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.number.cmp(&a.1.number)))?;
        // Of the two that are hard to tell apart, the one that is known less.
        let next = if ready(&best) && best.seeds <= rival.seeds { best } else { rival };
        let cost = more(next) - next.seeds;
        let within = (spent.repeats + cost) as f64 <= self.share * (spent.runs + cost) as f64;
        let allowed = payable(cost) && (last || within);
        (chance > self.level && allowed).then(|| step(next))
    }

    /// Says whether there are runs left for a new trial: the best one needs all of its seeds at the end.
    fn allows_new(&self, history: &History, effects: &Effects, spent: Spent) -> bool {
        let missing = effects.best().map_or(0, |best| self.seeds - best.seeds.min(self.seeds));
        self.trials.is_none_or(|trials| history.next_number() < trials)
            && self.budget.is_none_or(|budget| spent.runs + self.least + missing <= budget)
    }

    /// Returns a point of the model, shown what trials are worth.
    fn propose(
        &mut self,
        history: &History,
        effects: &Effects,
    ) -> Result<Option<Map<String, Value>>> {
        let (anew, _) = self.cursor.follow(history);
        if anew {
            self.seen = History::new();
        }
        for past in history.iter() {
            let state = match (effects.value(past.number), &past.state) {
                (Some(value), _) => PastState::Complete { values: vec![value] },
                (None, PastState::Pending | PastState::Pruned) => past.state.clone(),
                (None, _) => PastState::Failed,
            };
            if self.seen.get(past.number).is_none_or(|seen| seen.state != state) {
                self.seen.put(Past::new(past.number, past.params.clone(), state));
            }
        }
        let proposal = match self.seen.next_number() == history.next_number() {
            true => self.model.ask(&self.seen)?,
            false => self.model.ask(&self.seen.until(history.next_number()))?,
        };
        Ok(match proposal {
            Proposal::New { params, .. } => Some(params),
            _ => None,
        })
    }
}

/// Runs that were asked for.
#[derive(Clone, Copy)]
struct Spent {
    runs: u64,
    /// Those that repeat a config.
    repeats: u64,
}

impl Spent {
    fn of(history: &History) -> Spent {
        let runs = |past: &Past| past.epochs.unwrap_or(1);
        let all: u64 = history.iter().map(runs).sum();
        Spent {
            runs: all,
            repeats: all - history.iter().map(|past| runs(past).min(1)).sum::<u64>(),
        }
    }
}

impl Strategy for Racing {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let (effects, spent) = (Effects::of(history), Spent::of(history));
        let is_new = self.allows_new(history, &effects, spent);
        if let Some((number, epochs)) = self.due(&effects, spent, !is_new) {
            return Ok(Proposal::Resume { number, epochs });
        }
        if is_new && let Some(params) = self.propose(history, &effects)? {
            let probe = history.next_number() < PROBES;
            let seeds = if probe { self.least.max(2).min(self.seeds) } else { self.least };
            return Ok(Proposal::New { params, epochs: Some(seeds), from: None });
        }
        if let Some((number, epochs)) = self.due(&effects, spent, true) {
            return Ok(Proposal::Resume { number, epochs });
        }
        let at_work = history.iter().any(|past| past.state == PastState::Pending);
        Ok(if at_work { Proposal::Wait } else { Proposal::Exhausted })
    }
}
