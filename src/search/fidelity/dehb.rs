//! DEHB: differential evolution at every number of epochs, with Hyperband's brackets saying how often at which.
//!
//! Each number of epochs has a population. The first bracket is successive halving of points from the start; from then on
//! every rung of every bracket replaces members of its population: the best of the population with fewer epochs are
//! parents, their mutant is crossed with the member whose place it tries to take, and the better one stays. Which member
//! that is follows from the trial's number, and a place is held by the best trial that was tried there, so it does not
//! matter in which order trials end.
//!
//! Settings: `eta` (default 3), `min_epochs` (default 1), `factor` (default 0.5: how far a difference of parents moves a
//! mutant), `crossover` (default 0.5: the chance of each parameter to be the mutant's), `max_epoch`.
//!
//! # Source
//! Awad, Mallik and Hutter, IJCAI 2021; rand/1/bin of Storn and Price 1997.

use std::collections::HashSet;

use rand_pcg::Pcg64;
use serde_json::{Map, Value};

use super::super::history::{History, Past, PastState};
use super::super::sampler::Sampler;
use super::super::space::Space;
use super::super::start::Start;
use super::super::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use super::super::stream::{Purpose, below, stream, unit};
use super::rungs::{self, Rung};
use super::standing::{Standing, can_go_on, standing};
use super::{epochs_of, least_setting, number_setting};
use crate::Result;

/// Mutants that are known or forbidden before a random draw takes their place.
const REPEATS_MAX: u64 = 64;

/// Its settings.
pub(crate) const SETTINGS: &[&str] = &["eta", "min_epochs", "factor", "crossover"];

/// DEHB search.
pub struct Dehb {
    space: Space,
    start: Sampler<Start>,
    seed: u64,
    brackets: Vec<Vec<Rung>>,
    /// The epochs of each population, and its members.
    levels: Vec<(u64, usize)>,
    /// For each number past the first bracket where it is tried; longer as needed.
    plan: Vec<Try>,
    /// How many trials each population was planned to try.
    planned: Vec<usize>,
    /// The bracket that is planned next.
    bracket: usize,
    factor: f64,
    crossover: f64,
}

/// Where a trial is tried.
#[derive(Clone, Copy, Debug)]
struct Try {
    level: usize,
    place: usize,
    /// Its parents are the best with fewer epochs.
    from_below: bool,
}

/// The members of a population with their losses, by place.
type Members<'a> = Vec<Option<(f64, &'a Past)>>;

impl Dehb {
    /// Returns a DEHB search.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have, and without the epochs of a full training.
    pub fn new(setup: &Setup) -> Result<Dehb> {
        let name = "dehb";
        let Setup { space, settings, seed, .. } = setup.clone();
        allow_settings(name, &settings, &[SETTINGS, &["max_epoch"]].concat())?;
        let max_epochs = epochs_of(name, setup)?;
        let eta = whole_setting(name, &settings, "eta", 2)?.unwrap_or(3);
        let min_epochs = least_setting(name, &settings, "min_epochs", max_epochs)?;
        let brackets = rungs::hyperband(max_epochs, min_epochs, eta);
        let size = |epochs: u64| {
            let rungs = brackets.iter().flatten().filter(|rung| rung.epochs == epochs);
            rungs.map(|rung| rung.configs as usize).max().unwrap_or(1)
        };
        let levels: Vec<(u64, usize)> =
            brackets[0].iter().map(|rung| (rung.epochs, size(rung.epochs))).collect();
        Ok(Dehb {
            start: Sampler::new(space.clone(), Start::new(space.dimensions(), seed), seed),
            space,
            seed,
            planned: vec![0; levels.len()],
            bracket: usize::from(brackets.len() > 1),
            levels,
            brackets,
            plan: Vec::new(),
            factor: number_setting(name, &settings, "factor", 0.0)?.unwrap_or(0.5),
            crossover: number_setting(name, &settings, "crossover", 0.0)?.unwrap_or(0.5),
        })
    }

    /// Returns how many points the first bracket begins with.
    fn begun(&self) -> u64 {
        self.brackets[0][0].configs
    }

    fn planned(&mut self, number: u64) -> Try {
        let at = (number - self.begun()) as usize;
        while self.plan.len() <= at {
            for (i, rung) in self.brackets[self.bracket].iter().enumerate() {
                let level = self.levels.iter().position(|(epochs, _)| *epochs == rung.epochs);
                let level = level.unwrap_or(0);
                for _ in 0..rung.configs {
                    let place = self.planned[level] % self.levels[level].1;
                    self.planned[level] += 1;
                    self.plan.push(Try { level, place, from_below: i > 0 });
                }
            }
            self.bracket = (self.bracket + 1) % self.brackets.len();
        }
        self.plan[at]
    }

    /// Returns the next trial of the first bracket that goes on, and its epochs; the rung before it has ended.
    fn promotion(&self, history: &History) -> Option<(u64, u64)> {
        let mut members: Vec<&Past> = (0..self.begun()).filter_map(|n| history.get(n)).collect();
        for pair in self.brackets[0].windows(2) {
            let stands = || members.iter().map(|past| (standing(past, pair[0].epochs), *past));
            if stands().any(|(stand, _)| matches!(stand, Standing::AtWork | Standing::Short)) {
                return None;
            }
            let mut ranked: Vec<(f64, &Past)> =
                stands().filter_map(|(stand, past)| Some((stand.value()?, past))).collect();
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.number.cmp(&b.1.number)));
            members = ranked.iter().take(pair[1].configs as usize).map(|(_, past)| *past).collect();
            if let Some(due) = members.iter().find(|past| can_go_on(past, pair[1].epochs)) {
                return Some((due.number, pair[1].epochs));
            }
        }
        None
    }

    /// Returns the populations of all levels.
    fn populations<'a>(&mut self, history: &'a History) -> Vec<Members<'a>> {
        let mut populations: Vec<Members> =
            self.levels.iter().map(|(_, size)| vec![None; *size]).collect();
        let mut promoted = vec![0; self.levels.len()];
        for past in history.iter() {
            let tried = (past.number >= self.begun()).then(|| self.planned(past.number));
            for level in 0..self.levels.len() {
                if tried.is_some_and(|tried| tried.level != level) {
                    continue;
                }
                let (epochs, size) = self.levels[level];
                let Some(value) = standing(past, epochs).value() else { continue };
                let place = match tried {
                    Some(tried) => tried.place,
                    None => {
                        promoted[level] += 1;
                        (promoted[level] - 1) % size
                    }
                };
                let member = &mut populations[level][place];
                if member.is_none_or(|(known, _)| value < known) {
                    *member = Some((value, past));
                }
            }
        }
        populations
    }

    fn mutant(
        &self,
        tried: Try,
        populations: &[Members],
        generator: &mut Pcg64,
    ) -> Option<Map<String, Value>> {
        let level = |at: usize| {
            let mut members: Vec<(f64, &Past)> =
                populations[at].iter().copied().flatten().collect();
            members.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.number.cmp(&b.1.number)));
            members.into_iter().map(|(_, past)| past).collect::<Vec<&Past>>()
        };
        let mut parents = match tried.from_below && tried.level > 0 {
            true => {
                let mut best = level(tried.level - 1);
                best.truncate(self.levels[tried.level].1);
                best
            }
            false => level(tried.level),
        };
        // Too few parents: members of the other populations help out.
        for other in (0..populations.len()).flat_map(level) {
            if parents.len() < 3 && parents.iter().all(|past| past.number != other.number) {
                parents.push(other);
            }
        }
        if parents.len() < 3 {
            return None;
        }
        let mut drawn: Vec<Vec<f64>> = Vec::with_capacity(3);
        for _ in 0..3 {
            let past = parents.swap_remove(below(generator, parents.len() as u64) as usize);
            drawn.push(self.places(past, generator));
        }
        let own = populations[tried.level][tried.place].map(|(_, past)| past);
        let mut places = match own {
            Some(past) => self.places(past, generator),
            None => drawn[0].clone(),
        };
        let certain = below(generator, places.len().max(1) as u64) as usize;
        for (at, place) in places.iter_mut().enumerate() {
            let mutated = drawn[0][at] + self.factor * (drawn[1][at] - drawn[2][at]);
            let (crossed, anew) = (unit(generator), unit(generator));
            if at == certain || crossed < self.crossover {
                *place = if (0.0..=1.0).contains(&mutated) { mutated } else { anew };
            }
        }
        Some(self.space.decode(&places))
    }

    /// Returns the places of a trial's parameters; what is inactive is drawn.
    fn places(&self, past: &Past, generator: &mut Pcg64) -> Vec<f64> {
        let places = self.space.encode(&past.params);
        places.into_iter().map(|place| place.unwrap_or_else(|| unit(generator))).collect()
    }
}

impl Strategy for Dehb {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        if number >= self.begun()
            && let Some((number, epochs)) = self.promotion(history)
        {
            return Ok(Proposal::Resume { number, epochs });
        }
        let mut epochs = self.levels[0].0;
        if number >= self.begun() {
            let populations = self.populations(history);
            let tried = self.planned(number);
            epochs = self.levels[tried.level].0;
            let known: HashSet<String> = match self.space.can_repeat() {
                true => history.iter().map(|past| self.space.key(&past.params)).collect(),
                false => HashSet::new(),
            };
            for attempt in 0..REPEATS_MAX {
                let mut generator = stream(self.seed, number, Purpose::Model, attempt);
                let Some(params) = self.mutant(tried, &populations, &mut generator) else { break };
                if self.space.allows(&params)? && !known.contains(&self.space.key(&params)) {
                    return Ok(Proposal::New { params, epochs: Some(epochs), from: None });
                }
            }
        }
        if let Some(params) = self.start.propose(history, |_| None)? {
            return Ok(Proposal::New { params, epochs: Some(epochs), from: None });
        }
        let at_work = history.iter().any(|past| past.state == PastState::Pending);
        Ok(if at_work { Proposal::Wait } else { Proposal::Exhausted })
    }
}
