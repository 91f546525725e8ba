//! Differential evolution: steps along the differences of good trials (L-SHADE).
//!
//! A trial competes with one member of the population, its parent, and takes its place when it is as good. The parent
//! of a trial follows from its number. Step lengths and crossover rates are drawn around those that had success, and
//! replaced members are kept as ends of differences for a while. Where the number of trials is known, the population
//! shrinks to 4 towards the end. Values without order are inherited from the trials that make up a step.
//!
//! Settings: `population` (default 10 to 100, more the more trials), the first generation, spread by Sobol.
//!
//! # Source
//! Tanabe and Fukunaga, CEC 2013 (SHADE) and CEC 2014 (L-SHADE); Zhang and Sanderson, IEEE Trans. Evol. Comput. 13
//! (2009) (current-to-pbest/1 with archive, bounds).

use std::sync::Arc;

use rand_pcg::Pcg64;

use super::axis::Axis;
use super::chain::{Chain, loss};
use super::offspring::Offspring;
use super::{Member, blur, inherit, place};
use crate::Result;
use crate::search::history::{History, Past};
use crate::search::space::Space;
use crate::search::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use crate::search::stream::{Purpose, below, normal, stream, unit};

/// The population at the end of a search.
const POPULATION_MIN: u64 = 4;
/// The part of the population that steps lead towards.
const BEST: f64 = 0.2;
/// Remembered pairs of step length and crossover rate.
const MEMORIES: usize = 5;

/// Differential evolution.
pub struct Differential {
    model: Model,
    offspring: Offspring,
    chain: Chain<State>,
}

struct Model {
    space: Space,
    axes: Vec<Axis>,
    seed: u64,
    population: u64,
    trials: Option<u64>,
}

#[derive(Clone)]
struct State {
    /// The first number of this generation, and how many it has.
    first: u64,
    size: u64,
    /// A member for each number of the generation; `None` while its first trial runs.
    members: Vec<Option<Member>>,
    /// Members that were replaced.
    archive: Vec<Arc<[f64]>>,
    memory: [(f64, f64); MEMORIES],
    next_memory: usize,
    /// Step length, crossover rate and gain of this generation's successes.
    successes: Vec<(f64, f64, f64)>,
}

impl Differential {
    /// Returns a differential evolution.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have.
    pub fn new(setup: Setup) -> Result<Differential> {
        allow_settings("de", &setup.settings, &["population"])?;
        let own = whole_setting("de", &setup.settings, "population", POPULATION_MIN)?;
        let Setup { space, seed, trials, .. } = setup;
        let usual = (trials.unwrap_or(1000) as f64).sqrt() as u64;
        let population = own.unwrap_or(usual.clamp(10, 100));
        let axes = Axis::all(&space);
        let start = State {
            first: 0,
            size: population,
            members: vec![None; usize::try_from(population).unwrap_or(usize::MAX)],
            archive: Vec::new(),
            memory: [(0.5, 0.5); MEMORIES],
            next_memory: 0,
            successes: Vec::new(),
        };
        Ok(Differential {
            offspring: Offspring::new(space.clone(), seed),
            chain: Chain::new(start),
            model: Model { space, axes, seed, population, trials },
        })
    }
}

impl Strategy for Differential {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        let model = &self.model;
        let (_, state) = self.chain.follow(history, |state, trials| match trials.first() {
            Some(past) => {
                model.learn(state, past);
                1
            }
            None => 0,
        });
        let mut state = state.clone();
        model.turn(&mut state, number);
        let parent = state.members[(number - state.first) as usize].clone();
        match parent {
            Some(parent) => self
                .offspring
                .propose(history, |attempt| model.vary(&state, &parent, number, attempt)),
            None => self.offspring.spread(history),
        }
    }
}

impl Model {
    /// Takes a trial into the state.
    fn learn(&self, state: &mut State, past: &Past) {
        let Some(loss) = loss(past) else { return };
        self.turn(state, past.number);
        let (length, rate) = self.drawn(state, past.number);
        let own = &mut state.members[(past.number - state.first) as usize];
        let member = Member { place: place(&self.space, self.seed, past), loss };
        match own.replace(member) {
            Some(parent) if parent.loss < loss => *own = Some(parent),
            Some(parent) if parent.loss > loss => {
                let gain = parent.loss - loss;
                let gain = if gain.is_finite() { gain } else { 1.0 };
                state.successes.push((length, rate, gain));
                if state.archive.len() >= state.members.len() {
                    let mut generator = stream(self.seed, past.number, Purpose::Walk, u64::MAX);
                    let at = below(&mut generator, state.archive.len() as u64) as usize;
                    state.archive.swap_remove(at);
                }
                state.archive.push(parent.place);
            }
            _ => {}
        }
    }

    /// Ends generations until `number` belongs to the last one.
    fn turn(&self, state: &mut State, number: u64) {
        while number - state.first >= state.size {
            state.first += state.size;
            state.size = self.size_at(state.first).min(state.size);
            state.remember();
            state.shrink();
        }
    }

    /// Returns the population at a number.
    fn size_at(&self, number: u64) -> u64 {
        let Some(trials) = self.trials else { return self.population };
        let left = 1.0 - number as f64 / trials.max(1) as f64;
        let spare = self.population.saturating_sub(POPULATION_MIN) as f64;
        POPULATION_MIN.min(self.population) + (spare * left.max(0.0)).round() as u64
    }

    /// Returns the step length and the crossover rate of a number.
    fn drawn(&self, state: &State, number: u64) -> (f64, f64) {
        let mut generator = stream(self.seed, number, Purpose::Walk, u64::MAX - 1);
        let (length, rate) = state.memory[below(&mut generator, MEMORIES as u64) as usize];
        let rate = (rate + 0.1 * normal(&mut generator)).clamp(0.0, 1.0);
        for _ in 0..32 {
            let angle = std::f64::consts::PI * (unit(&mut generator) - 0.5);
            let drawn = length + 0.1 * angle.tan();
            if drawn > 0.0 {
                return (drawn.min(1.0), rate);
            }
        }
        (length, rate)
    }

    /// Returns a step from the parent, crossed with it.
    fn vary(&self, state: &State, parent: &Member, number: u64, attempt: u64) -> Vec<f64> {
        let (length, rate) = self.drawn(state, number);
        let mut generator = stream(self.seed, number, Purpose::Model, attempt);
        let [best, one, two] = self.donors(state, parent, &mut generator);
        let forced = below(&mut generator, self.axes.len().max(1) as u64) as usize;
        let coordinate = |(at, axis): (usize, &Axis)| {
            let own = parent.place[at];
            let crossed = unit(&mut generator) < rate || at == forced;
            if !crossed {
                return own;
            }
            if let Axis::Choice { .. } = axis {
                return inherit(&mut generator, axis, &[best[at], one[at], two[at]]);
            }
            let step = length * (best[at] - own) + length * (one[at] - two[at]);
            match blur(&mut generator, axis, own + step) {
                low if low < 0.0 => own / 2.0,
                high if high > 1.0 => (1.0 + own) / 2.0,
                inside => inside,
            }
        };
        self.axes.iter().enumerate().map(coordinate).collect()
    }

    /// Returns one of the best members, another one, and one that may have been replaced.
    fn donors(&self, state: &State, parent: &Member, generator: &mut Pcg64) -> [Arc<[f64]>; 3] {
        let mut members: Vec<&Member> = state.members.iter().flatten().collect();
        members.sort_by(|a, b| a.loss.total_cmp(&b.loss));
        let best = ((members.len() as f64 * BEST).round() as usize).max(2).min(members.len());
        let best = &members[below(generator, best as u64) as usize].place;
        let mut differs = |from: usize, not: &[&Arc<[f64]>]| {
            let mut found = best;
            for _ in 0..8 {
                let at = below(generator, from as u64) as usize;
                found = match members.get(at) {
                    Some(member) => &member.place,
                    None => &state.archive[at - members.len()],
                };
                if !not.iter().any(|other| Arc::ptr_eq(other, found)) {
                    break;
                }
            }
            found
        };
        let one = differs(members.len(), &[&parent.place]);
        let two = differs(members.len() + state.archive.len(), &[&parent.place, one]);
        [best, one, two].map(Arc::clone)
    }
}

impl State {
    /// Moves a memory to the successes of the generation, the more they gained the more.
    fn remember(&mut self) {
        let successes = std::mem::take(&mut self.successes);
        let total: f64 = successes.iter().map(|(_, _, gain)| gain).sum();
        if total <= 0.0 {
            return;
        }
        // Lehmer means favour long steps, which plain means would wear down.
        let lehmer = |of: fn(&(f64, f64, f64)) -> f64| {
            let sum = |power: i32| -> f64 {
                successes.iter().map(|one| one.2 / total * of(one).powi(power)).sum()
            };
            if sum(1) > 0.0 { sum(2) / sum(1) } else { 0.0 }
        };
        self.memory[self.next_memory] = (lehmer(|one| one.0), lehmer(|one| one.1));
        self.next_memory = (self.next_memory + 1) % MEMORIES;
    }

    /// Drops the worst members beyond the size.
    fn shrink(&mut self) {
        while self.members.len() as u64 > self.size {
            let losses = self
                .members
                .iter()
                .map(|member| member.as_ref().map_or(f64::INFINITY, |member| member.loss));
            let worst = losses.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            self.members.remove(worst.map_or(0, |(at, _)| at));
        }
        self.archive.truncate(self.members.len());
    }
}
