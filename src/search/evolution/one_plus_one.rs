//! One parent, one child: the best trial so far, varied.
//!
//! `one_plus_one` adds a bell around the parent whose width grows with each success and shrinks with each failure, so
//! that about one in five succeeds; each discrete coordinate changes by chance besides. It has the settings `sigma`
//! (default 0.1), the width at the start as a share of the range, and `startup` (default 1).
//!
//! `fast_ga` changes some coordinates, how many of them heavy-tailed: mostly one, at times many. Numbers move by a bell
//! whose width is drawn over orders of magnitude, choices become any other. Nothing adapts, so nothing gets stuck. It
//! has the setting `startup` (default 10), the trials before the first child, spread by Sobol.
//!
//! # Source
//! Rechenberg 1973 and Kern et al., Nat. Comput. 3 (2004) (the rule of one fifth); Doerr, Le, Makhmara, Nguyen, GECCO
//! 2017, arXiv 1703.03334 (fast GA).

use std::collections::VecDeque;

use rand_pcg::Pcg64;
use serde_json::Value;

use super::axis::{Axis, reflect};
use super::chain::{Chain, loss};
use super::offspring::Offspring;
use super::{Member, another, place};
use crate::search::history::{History, Past};
use crate::search::space::Space;
use crate::search::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use crate::search::stream::{Purpose, below, normal, stream, unit};
use crate::{Error, Result};

/// What sigma is multiplied by after a success; failures take a quarter of its logarithm.
const GROWTH: f64 = 2.0;
/// The exponent of the power law of how many coordinates change.
const HEAVY_TAIL: f64 = 1.5;

/// A search with one parent.
pub struct OnePlusOne {
    model: Model,
    offspring: Offspring,
    chain: Chain<State>,
    startup: u64,
}

struct Model {
    space: Space,
    axes: Vec<Axis>,
    seed: u64,
    fast: bool,
    workers: usize,
}

#[derive(Clone)]
struct State {
    parent: Option<Member>,
    sigma: f64,
    /// The parent's loss before each of the last trials, as many as there are workers: the first one is what a trial
    /// was to improve on when it was asked for.
    losses: VecDeque<f64>,
}

impl OnePlusOne {
    /// Returns a (1+1) evolution strategy.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings it does not have.
    pub fn new(setup: Setup) -> Result<OnePlusOne> {
        let settings = &setup.settings;
        allow_settings("one_plus_one", settings, &["sigma", "startup"])?;
        let startup = whole_setting("one_plus_one", settings, "startup", 1)?;
        let sigma = match settings.get("sigma") {
            None | Some(Value::Null) => 0.1,
            Some(value) => value.as_f64().filter(|sigma| *sigma > 0.0).ok_or_else(|| {
                let why = format!("sigma {value} is not a positive number");
                Error::invalid("strategy one_plus_one", why)
            })?,
        };
        Ok(OnePlusOne::of(setup, startup, sigma, false))
    }

    /// Returns a fast genetic algorithm with one parent.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings it does not have.
    pub fn fast(setup: Setup) -> Result<OnePlusOne> {
        let settings = &setup.settings;
        allow_settings("fast_ga", settings, &["startup"])?;
        let startup = whole_setting("fast_ga", settings, "startup", 1)?.or(Some(10));
        Ok(OnePlusOne::of(setup, startup, 1.0, true))
    }

    fn of(setup: Setup, startup: Option<u64>, sigma: f64, fast: bool) -> OnePlusOne {
        let Setup { space, seed, workers, .. } = setup;
        let axes = Axis::all(&space);
        OnePlusOne {
            offspring: Offspring::new(space.clone(), seed),
            chain: Chain::new(State { parent: None, sigma, losses: VecDeque::new() }),
            model: Model { space, axes, seed, fast, workers },
            startup: startup.unwrap_or(1),
        }
    }
}

impl Strategy for OnePlusOne {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        let model = &self.model;
        let startup = self.startup;
        let (_, state) = self.chain.follow(history, |state, trials| match trials.first() {
            Some(past) => {
                model.learn(state, past, startup);
                1
            }
            None => 0,
        });
        match &state.parent {
            Some(parent) if number >= startup && parent.loss.is_finite() => {
                self.offspring.propose(history, |attempt| {
                    let mut generator = stream(model.seed, number, Purpose::Model, attempt);
                    match model.fast {
                        true => model.change_some(&parent.place, &mut generator),
                        false => model.change_all(&parent.place, state.sigma, &mut generator),
                    }
                })
            }
            _ => self.offspring.spread(history),
        }
    }
}

impl Model {
    fn learn(&self, state: &mut State, past: &Past, startup: u64) {
        let before = state.parent.as_ref().map_or(f64::INFINITY, |parent| parent.loss);
        state.losses.push_back(before);
        if state.losses.len() > self.workers {
            state.losses.pop_front();
        }
        let asked = state.losses[0];
        let Some(loss) = loss(past) else { return };
        if past.number >= startup && asked.is_finite() {
            let factor = if loss < asked { GROWTH } else { GROWTH.powf(-0.25) };
            state.sigma = (state.sigma * factor).clamp(1e-10, 1.0);
        }
        if loss <= before {
            state.parent = Some(Member { place: place(&self.space, self.seed, past), loss });
        }
    }

    fn change_all(&self, parent: &[f64], sigma: f64, generator: &mut Pcg64) -> Vec<f64> {
        let discrete = self.axes.iter().filter(|axis| axis.count().is_some()).count().max(1);
        let mut coordinate = |(axis, place): (&Axis, &f64)| {
            let jumps = axis.count().is_some() && unit(generator) < 1.0 / discrete as f64;
            match axis {
                Axis::Choice { .. } if jumps => another(generator, axis, *place),
                Axis::Choice { .. } => *place,
                Axis::Lattice { .. } if jumps => self.move_by(*place, sigma, axis, generator),
                _ => reflect(place + sigma * normal(generator)),
            }
        };
        self.axes.iter().zip(parent).map(&mut coordinate).collect()
    }

    fn change_some(&self, parent: &[f64], generator: &mut Pcg64) -> Vec<f64> {
        let mut place = parent.to_vec();
        let mut left = heavy_tailed(generator, self.axes.len());
        let mut order: Vec<usize> = (0..self.axes.len()).collect();
        while left > 0 && !order.is_empty() {
            let at = order.swap_remove(below(generator, order.len() as u64) as usize);
            place[at] = match &self.axes[at] {
                axis @ Axis::Choice { .. } => another(generator, axis, place[at]),
                axis => {
                    let width = 10f64.powf(-3.0 * unit(generator));
                    self.move_by(place[at], width, axis, generator)
                }
            };
            left -= 1;
        }
        place
    }

    /// Moves a number by a bell of that width; one of a lattice to the next value at least.
    fn move_by(&self, place: f64, width: f64, axis: &Axis, generator: &mut Pcg64) -> f64 {
        let step = width * normal(generator);
        let moved = reflect(place + step);
        let Some(count) = axis.count() else { return moved };
        let cell = axis.cell(place);
        if axis.cell(moved) != cell || count < 2 {
            return moved;
        }
        let up = cell == 0 || step > 0.0 && cell + 1 < count;
        axis.centre(if up { cell + 1 } else { cell - 1 })
    }
}

/// Returns a number from 1 to half of `most`, `k` with a chance that falls as `k^-1.5`.
fn heavy_tailed(generator: &mut Pcg64, most: usize) -> usize {
    let most = (most / 2).max(1);
    let weight = |count: usize| (count as f64).powf(-HEAVY_TAIL);
    let total: f64 = (1..=most).map(weight).sum();
    let mut left = unit(generator) * total;
    let passes = |count: &usize| {
        left -= weight(*count);
        left < 0.0
    };
    (1..=most).find(passes).unwrap_or(1)
}
