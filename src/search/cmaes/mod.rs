//! CMA-ES: draws from a distribution that moves to where trials were good and takes the shape of the valley there.
//!
//! Numbers and ordinals share a normal distribution over the unit cube, with active covariance adaptation; lattices keep
//! a margin, so that neighbouring values stay within reach; choices have a distribution each. A generation is made of
//! trials that ended, in order of their numbers; those that failed are its worst. A trial drawn from an earlier
//! distribution, or a person's own, counts like any other, but pulls no further than a draw would. So any number of
//! workers can ask at any time. Coordinates beyond the ends are drawn again, and at last mirrored. Inactive parameters
//! are drawn and do not count. A search that has converged begins anew somewhere else.
//!
//! Settings: `population` (default 4 + 3 ln d), the trials of a generation; `sigma` (default 0.1 among reals that are
//! always active, 0.2 in other spaces), the standard deviation at the start, as a share of the range; `startup` (default
//! 1), the trials before the first draw, spread by Sobol; `restarts`: `"bipop"` (default; many short runs beside ever
//! larger generations), `"ipop"` (generations twice as large each time) or `"none"`.
//!
//! # Source
//! Hansen, arXiv 1604.00772 (tutorial); Hansen, arXiv 1110.4181 (places from elsewhere); Hamano et al., arXiv
//! 2205.13482 and 2504.07884 (margins, choices); Auger and Hansen, CEC 2005 (IPOP); Hansen, GECCO 2009 (BIPOP).

mod choices;
mod gaussian;
mod margin;
mod restart;
mod weights;

use nalgebra::DVector;
use serde_json::{Map, Value};

use self::choices::Choices;
use self::gaussian::Gaussian;
use self::restart::{Restarts, Run};
use self::weights::Weights;
use super::evolution::axis::{Axis, reflect};
use super::evolution::chain::{Chain, loss};
use super::evolution::offspring::Offspring;
use super::history::{History, Past};
use super::space::Space;
use super::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use super::stream::{Purpose, stream, unit};
use crate::{Error, Result};

/// Draws beyond the ends before coordinates are mirrored.
const OUTSIDE_MAX: usize = 10;
/// The standard deviation of reals below which a run is over.
const WIDTH_MIN: f64 = 1e-7;
/// The attempt whose stream places the start of a run.
const RESTART: u64 = u64::MAX;

/// CMA-ES search.
pub struct Cmaes {
    model: Model,
    offspring: Offspring,
    chain: Chain<State>,
    startup: u64,
}

/// What never changes during a search.
struct Model {
    space: Space,
    axes: Vec<Axis>,
    /// The coordinates of the normal distribution, and of the categorical ones.
    lines: Vec<usize>,
    choices: Vec<usize>,
    /// The least chance that a discrete coordinate changes.
    chance: f64,
    /// All coordinates are numbers without cells, and always active.
    plain: bool,
    sigma: f64,
    seed: u64,
}

/// What is known after some trials.
#[derive(Clone)]
struct State {
    gaussian: Gaussian,
    choices: Choices,
    run: Run,
}

impl Cmaes {
    /// Returns a CMA-ES search.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings it does not have.
    pub fn new(setup: Setup) -> Result<Cmaes> {
        let Setup { space, settings, seed, .. } = setup;
        let settings = &settings;
        allow_settings("cmaes", settings, &["population", "sigma", "startup", "restarts"])?;
        let mut model = Model::new(space.clone(), seed);
        model.sigma = sigma(settings)?.unwrap_or(model.sigma);
        let population = whole_setting("cmaes", settings, "population", 2)?;
        let usual = weights::population(model.axes.len());
        let population = population.map_or(usual, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let run = Run::first(population, restarts(settings)?);
        let start = model.start(run, vec![0.5; model.lines.len()], model.sigma);
        Ok(Cmaes {
            offspring: Offspring::new(space, seed),
            chain: Chain::new(start),
            model,
            startup: whole_setting("cmaes", settings, "startup", 0)?.unwrap_or(1),
        })
    }
}

impl Strategy for Cmaes {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        if number < self.startup {
            return self.offspring.spread(history);
        }
        let model = &self.model;
        let (_, state) = self.chain.follow(history, |state, trials| model.learn(state, trials));
        self.offspring.propose(history, |attempt| model.draw(state, number, attempt))
    }
}

impl Model {
    fn new(space: Space, seed: u64) -> Model {
        // Two values in order are no line to speak of: their shares are learnt more directly.
        let two = |axis: Axis| match axis.count() {
            Some(2) => Axis::Choice { count: 2 },
            _ => axis,
        };
        let axes: Vec<Axis> = Axis::all(&space).into_iter().map(two).collect();
        let (choices, lines): (Vec<usize>, Vec<usize>) =
            (0..axes.len()).partition(|at| matches!(axes[*at], Axis::Choice { .. }));
        let discrete = axes.iter().filter(|axis| axis.count().is_some_and(|count| count > 1));
        let chance = margin::chance(discrete.count());
        let always = space.params().iter().all(|param| param.when.is_empty());
        let plain = always && axes.iter().all(|axis| *axis == Axis::Real);
        // Cells are only met by steps of their width.
        let sigma = if plain { 0.1 } else { 0.2 };
        Model { space, axes, lines, choices, chance, plain, sigma, seed }
    }

    fn start(&self, run: Run, mean: Vec<f64>, sigma: f64) -> State {
        let counts: Vec<usize> =
            self.choices.iter().filter_map(|at| self.axes[*at].count()).collect();
        let (gaussian, choices) = (Gaussian::new(mean, sigma), Choices::new(&counts, self.chance));
        State { gaussian, choices, run }
    }

    /// Returns a place in the unit cube.
    fn draw(&self, state: &State, number: u64, attempt: u64) -> Vec<f64> {
        let mut generator = stream(self.seed, number, Purpose::Model, attempt);
        let mut line = state.gaussian.draw(&mut generator);
        for _ in 1..OUTSIDE_MAX {
            if line.iter().all(|place| (0.0..=1.0).contains(place)) {
                break;
            }
            line = state.gaussian.draw(&mut generator);
        }
        let mut place = vec![0.5; self.axes.len()];
        for (at, coordinate) in self.lines.iter().zip(line.iter()) {
            // Beyond the outermost cells lie no others: mirroring would leave them.
            place[*at] = match self.axes[*at] {
                Axis::Real => reflect(*coordinate),
                _ => coordinate.clamp(0.0, 1.0),
            };
        }
        for (at, coordinate) in self.choices.iter().enumerate() {
            let value = state.choices.pick(at, unit(&mut generator));
            place[*coordinate] = self.axes[*coordinate].centre(value);
        }
        place
    }

    /// Takes the next generation into the state; returns how many trials it spans, 0 before it is complete.
    fn learn(&self, state: &mut State, trials: &[Past]) -> usize {
        let mut generation: Vec<(f64, &Past)> = Vec::with_capacity(state.run.population);
        let mut span = 0;
        for past in trials {
            span += 1;
            generation.extend(loss(past).map(|loss| (loss, past)));
            if generation.len() == state.run.population {
                self.update(state, generation);
                return span;
            }
        }
        0
    }

    fn update(&self, state: &mut State, mut generation: Vec<(f64, &Past)>) {
        generation.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = generation[0].0;
        if best.is_finite() {
            let weights = Weights::new(self.lines.len(), generation.len());
            let rows = generation.iter().map(|(_, past)| self.row(state, past));
            let (lines, picks): (Vec<_>, Vec<_>) = rows.unzip();
            state.gaussian.update(&lines, &weights);
            margin::keep(&mut state.gaussian, &self.axes, &self.lines, self.chance);
            state.choices.update(&picks, &weights.of_rank);
        }
        state.run.note(best);
        if let Some((run, spread)) = state.run.over(self.converged(state), self.seed) {
            let mut generator = stream(self.seed, run.number, Purpose::Model, RESTART);
            let mean = self.lines.iter().map(|_| unit(&mut generator)).collect();
            *state = self.start(run, mean, self.sigma * spread);
        }
    }

    /// Returns where a trial was: its place among the lines and its picks among the choices.
    fn row(&self, state: &State, past: &Past) -> (DVector<f64>, Vec<Option<usize>>) {
        let places = self.space.encode(&past.params);
        if self.plain {
            let line = places.into_iter().map(|place| place.unwrap_or(0.5));
            return (DVector::from_iterator(self.lines.len(), line), Vec::new());
        }
        // Within its cell, or where it does not count, a coordinate is as it was drawn.
        let mut generator = stream(self.seed, past.number, Purpose::Model, 0);
        let drawn = state.gaussian.draw(&mut generator);
        let coordinate = |line: usize, at: &usize| match (places[*at], &self.axes[*at]) {
            (None, _) => drawn[line],
            (Some(place), Axis::Real) => place,
            (Some(place), axis) if axis.cell(place) == axis.cell(drawn[line]) => drawn[line],
            (Some(place), _) => place,
        };
        let line = self.lines.iter().enumerate().map(|(line, at)| coordinate(line, at));
        let line = DVector::from_iterator(self.lines.len(), line);
        let pick = |at: &usize| places[*at].map(|place| self.axes[*at].cell(place));
        (line, self.choices.iter().map(pick).collect())
    }

    /// Says whether all reals lie as close together as matters, or the distribution lost its shape.
    fn converged(&self, state: &State) -> bool {
        let reals = self.lines.iter().enumerate().filter(|(_, at)| self.axes[**at] == Axis::Real);
        let widest = reals.map(|(line, _)| state.gaussian.width(line)).reduce(f64::max);
        widest.is_some_and(|width| width < WIDTH_MIN)
            || !self.lines.is_empty() && state.gaussian.stretch() > 1e7
    }
}

fn sigma(settings: &Map<String, Value>) -> Result<Option<f64>> {
    match settings.get("sigma") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .filter(|sigma| sigma.is_some_and(|sigma| sigma > 0.0 && sigma <= 10.0))
            .ok_or_else(|| {
                let why = format!("sigma {value} is not a positive number up to 10");
                Error::invalid("strategy cmaes", why)
            }),
    }
}

fn restarts(settings: &Map<String, Value>) -> Result<Restarts> {
    match settings.get("restarts") {
        None | Some(Value::Null) => Ok(Restarts::Bipop),
        Some(value) => match value.as_str() {
            Some("bipop") => Ok(Restarts::Bipop),
            Some("ipop") => Ok(Restarts::Ipop),
            Some("none") => Ok(Restarts::None),
            _ => {
                let why = format!("restarts {value} is not known");
                Err(Error::invalid("strategy cmaes", why)
                    .with_hint("they are bipop, ipop and none"))
            }
        },
    }
}
