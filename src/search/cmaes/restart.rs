//! When a run of a CMA-ES is over, and what the next one is like.

use std::collections::VecDeque;

use crate::search::stream::{Purpose, stream, unit};

/// What comes after a run that converged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restarts {
    /// Runs with larger and larger generations, and short ones beside them that get as many trials.
    Bipop,
    /// Each run has generations twice as large.
    Ipop,
    /// The run goes on.
    None,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// How many runs were before it.
    pub(super) number: u64,
    /// The trials of a generation.
    pub(super) population: usize,
    rule: Restarts,
    /// The population of the first run.
    usual: usize,
    /// How many runs doubled the population.
    doublings: u32,
    /// It has a small population.
    small: bool,
    /// Trials spent by runs with large and small populations.
    spent: [u64; 2],
    /// The best values of the last generations.
    recent: VecDeque<f64>,
    /// Generations without change after which it is over.
    patience: usize,
}

impl Run {
    pub(super) fn first(population: usize, rule: Restarts) -> Run {
        Run {
            number: 0,
            population,
            rule,
            usual: population,
            doublings: 0,
            small: false,
            spent: [0; 2],
            recent: VecDeque::new(),
            patience: 20,
        }
    }

    /// Takes in the best value of a generation; infinity where all failed.
    pub(super) fn note(&mut self, best: f64) {
        self.spent[usize::from(self.small)] += self.population as u64;
        self.recent.push_back(best);
        if self.recent.len() > self.patience {
            self.recent.pop_front();
        }
    }

    /// Returns the next run and its sigma as a share of the first one's, if this one is over.
    pub(super) fn over(&self, converged: bool, seed: u64) -> Option<(Run, f64)> {
        let failed = self.recent.back().is_some_and(|best| best.is_infinite());
        let over = failed || self.rule != Restarts::None && (converged || self.stagnates());
        if !over {
            return None;
        }
        let mut next = Run { number: self.number + 1, recent: VecDeque::new(), ..self.clone() };
        if failed {
            // Nothing was learnt: somewhere else, the same again.
            return Some((next, 1.0));
        }
        next.small =
            self.rule == Restarts::Bipop && self.spent[1] < self.spent[0] && self.number > 0;
        if !next.small {
            next.doublings += 1;
            next.population = self.usual << next.doublings.min(10);
            return Some((next, 1.0));
        }
        let mut generator = stream(seed, next.number, Purpose::Walk, u64::MAX);
        let large = (self.usual << self.doublings.min(10)) as f64;
        let share = unit(&mut generator).powi(2);
        let usual = self.usual as f64;
        next.population = (usual * (0.5 * large / usual).powf(share)).max(2.0) as usize;
        Some((next, 10f64.powf(-2.0 * unit(&mut generator))))
    }

    fn stagnates(&self) -> bool {
        let (low, high) = self
            .recent
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |ends, x| (ends.0.min(*x), ends.1.max(*x)));
        self.recent.len() == self.patience && high - low <= 1e-12 * (1.0 + low.abs())
    }
}
