//! NSGA-II: a population that spreads along the front of several objectives.
//!
//! Parents win tournaments by their front, then by how far apart their neighbours are. Children mix two parents
//! (simulated binary crossover for numbers, either parent's value for choices) and change a little (polynomial
//! mutation). Every trial that ended joins at once, and the worst member leaves: the steady form of the method, which
//! suits workers that ask at any time. Failed trials are worse than any other. One objective is allowed.
//!
//! Settings: `population` (default 10 to 100, more the more trials), whose first generation is spread by Sobol.
//!
//! # Source
//! Deb, Pratap, Agarwal, Meyarivan, IEEE Trans. Evol. Comput. 6 (2002); Deb and Agrawal, Complex Systems 9 (1995)
//! (crossover and mutation); Durillo et al., EMO 2009 (steady form).

use std::sync::Arc;

use rand_pcg::Pcg64;

use super::axis::Axis;
use super::chain::Chain;
use super::offspring::Offspring;
use super::{another, blur, place};
use crate::Result;
use crate::search::history::{History, Past};
use crate::search::pareto;
use crate::search::space::Space;
use crate::search::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use crate::search::stream::{Purpose, below, stream, unit};

/// The chance that parents are mixed.
const CROSSOVER: f64 = 0.9;
/// The larger, the closer children stay to their parents: for crossover and for mutation.
const CROSSOVER_INDEX: f64 = 15.0;
const MUTATION_INDEX: f64 = 20.0;

/// NSGA-II.
pub struct Nsga2 {
    model: Model,
    offspring: Offspring,
    chain: Chain<Vec<Individual>>,
}

struct Model {
    space: Space,
    axes: Vec<Axis>,
    seed: u64,
    objectives: usize,
    population: usize,
}

/// A member of the population, which stands in order from the best to the worst.
#[derive(Clone)]
struct Individual {
    place: Arc<[f64]>,
    values: Arc<[f64]>,
}

impl AsRef<[f64]> for Individual {
    fn as_ref(&self) -> &[f64] {
        &self.values
    }
}

impl Nsga2 {
    /// Returns an NSGA-II search.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have.
    pub fn new(setup: Setup) -> Result<Nsga2> {
        allow_settings("nsga2", &setup.settings, &["population"])?;
        let own = whole_setting("nsga2", &setup.settings, "population", 4)?;
        let Setup { space, seed, trials, objectives, .. } = setup;
        let usual = (trials.unwrap_or(1000) as f64).sqrt() as u64;
        let population = own.unwrap_or(usual.clamp(10, 100));
        let population = usize::try_from(population).unwrap_or(usize::MAX);
        let axes = Axis::all(&space);
        Ok(Nsga2 {
            offspring: Offspring::new(space.clone(), seed),
            chain: Chain::new(Vec::new()),
            model: Model { space, axes, seed, objectives, population },
        })
    }
}

impl Strategy for Nsga2 {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        let model = &self.model;
        let (_, members) = self.chain.follow(history, |members, trials| match trials.first() {
            Some(past) => {
                model.learn(members, past);
                1
            }
            None => 0,
        });
        if (number as usize) < model.population || members.len() < 2 {
            return self.offspring.spread(history);
        }
        self.offspring.propose(history, |attempt| model.child(members, number, attempt))
    }
}

impl Model {
    /// Lets a trial join, sorts the population and drops its worst member.
    fn learn(&self, members: &mut Vec<Individual>, past: &Past) {
        if !past.ended() {
            return;
        }
        let value = |at: usize| {
            let value = past.values().and_then(|values| values.get(at)).copied();
            value.filter(|value| !value.is_nan()).unwrap_or(f64::INFINITY)
        };
        let values: Arc<[f64]> = (0..self.objectives).map(value).collect();
        members.push(Individual { place: place(&self.space, self.seed, past), values });
        let mut sorted = Vec::with_capacity(members.len());
        for front in pareto::fronts(members) {
            let rows: Vec<&Individual> = front.iter().map(|at| &members[*at]).collect();
            let distances = pareto::crowding(&rows);
            let mut order: Vec<usize> = (0..front.len()).collect();
            order.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]).then(a.cmp(b)));
            sorted.extend(order.into_iter().map(|at| rows[at].clone()));
        }
        sorted.truncate(self.population);
        *members = sorted;
    }

    fn child(&self, members: &[Individual], number: u64, attempt: u64) -> Vec<f64> {
        let mut generator = stream(self.seed, number, Purpose::Model, attempt);
        let mut tournament = || {
            let mut any = || below(&mut generator, members.len() as u64) as usize;
            any().min(any())
        };
        let (one, other) = (&members[tournament()].place, &members[tournament()].place);
        let mixed = unit(&mut generator) < CROSSOVER;
        let chance = 1.0 / self.axes.len().max(1) as f64;
        let coordinate = |(at, axis): (usize, &Axis)| {
            let mut place = one[at];
            if mixed && unit(&mut generator) < 0.5 {
                place = match axis {
                    Axis::Choice { .. } => other[at],
                    _ => mix(&mut generator, one[at], other[at]),
                };
            }
            if unit(&mut generator) >= chance {
                return place;
            }
            match axis {
                Axis::Choice { .. } => another(&mut generator, axis, place),
                _ => {
                    let moved = mutate(&mut generator, place);
                    blur(&mut generator, axis, moved).clamp(0.0, 1.0)
                }
            }
        };
        self.axes.iter().enumerate().map(coordinate).collect()
    }
}

/// Simulated binary crossover of two places, within [0, 1]: one of the two children.
fn mix(generator: &mut Pcg64, one: f64, other: f64) -> f64 {
    let (low, high) = (one.min(other), one.max(other));
    let gap = high - low;
    if gap < 1e-14 {
        return one;
    }
    let power = 1.0 / (CROSSOVER_INDEX + 1.0);
    let u = unit(generator);
    let spread = |room: f64| {
        let beta = 1.0 + 2.0 * room / gap;
        let alpha = 2.0 - beta.powf(-(CROSSOVER_INDEX + 1.0));
        match u <= 1.0 / alpha {
            true => (u * alpha).powf(power),
            false => (1.0 / (2.0 - u * alpha)).powf(power),
        }
    };
    let child = match unit(generator) < 0.5 {
        true => 0.5 * (low + high - spread(low) * gap),
        false => 0.5 * (low + high + spread(1.0 - high) * gap),
    };
    child.clamp(0.0, 1.0)
}

/// Polynomial mutation of a place, within [0, 1].
fn mutate(generator: &mut Pcg64, place: f64) -> f64 {
    let u = unit(generator);
    let (power, index) = (1.0 / (MUTATION_INDEX + 1.0), MUTATION_INDEX + 1.0);
    let step = match u < 0.5 {
        true => (2.0 * u + (1.0 - 2.0 * u) * (1.0 - place).powf(index)).powf(power) - 1.0,
        false => 1.0 - (2.0 * (1.0 - u) + 2.0 * (u - 0.5) * place.powf(index)).powf(power),
    };
    (place + step).clamp(0.0, 1.0)
}
