//! Freeze-thaw: of all trials, begun or not, the one that promises most trains a little further.
//!
//! All curves together are one Gaussian process over parameters and epochs; see its kernel. Whoever asks gets the trial
//! with the largest improvement to be expected over the best mean reached so far, in view of the epochs it takes: an earlier
//! one goes on for some epochs, or a new one begins. How many epochs ahead it looks is drawn anew each time, even in the
//! logarithm: near ones let good curves run on, far ones begin new trials. So there is no schedule of rungs: a promising
//! curve runs on, and one that others overtake stays as it is. Trials at work count as if their next epochs had turned
//! out as believed; where trials failed, a model of success holds new ones away.
//!
//! Settings: `startup` (by default as many trials as parameters and 2, from 5 to 12: the trials before the model), `first`
//! (the epochs of a new trial, by default a 27th of all), `step` (default 0.3: a trial goes on for this share of its epochs),
//! `greed` (default 0.25: the power of the epochs that an improvement is divided by), `max_epoch`.
//!
//! # Source
//! Swersky, Snoek and Adams, arXiv 1406.3896 (freeze-thaw, the kernel over epochs). A joint process over parameters and
//! epochs instead of their conditional independence, expected improvement instead of entropy, and its division by the
//! epochs are our choices. The drawn horizon: Rakotoarison et al., ICML 2024 (in-context freeze-thaw), section 4.2.

mod fit;
mod kernel;
mod model;
mod points;
mod scale;
mod trials;

use std::collections::HashSet;

use rand_pcg::Pcg64;

use self::fit::Fitter;
use self::kernel::Kernel;
use self::model::{Model, Place};
use self::points::Point;
use self::scale::{SHARES, Scale};
use self::trials::{Trial, to_fit, trials};
use super::super::gp;
use super::super::gp::acquisition::{log_chance, log_improvement};
use super::super::gp::frame::Frame;
use super::super::history::{History, PastState};
use super::super::sampler::Sampler;
use super::super::space::Space;
use super::super::start::Start;
use super::super::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use super::super::stream::{Purpose, below, stream, unit};
use super::{epochs_of, number_setting};
use crate::Result;

/// Trials that the model of failures holds at most: the newest.
const LABELS_MAX: usize = 150;
/// New points drawn from the whole space.
const ANYWHERE: usize = 250;
/// New points drawn around each of the best trials.
const NEAR_EACH: usize = 40;
/// The best trials whose neighbours are tried.
const LEADERS: usize = 5;
/// The trials that may go on: those that are to end best.
const RESUMED_MAX: usize = 80;

/// Its settings.
pub(crate) const SETTINGS: &[&str] = &["startup", "first", "step", "greed"];

/// Freeze-thaw search.
pub struct FreezeThaw {
    space: Space,
    frame: Frame,
    start: Sampler<Start>,
    seed: u64,
    startup: u64,
    epochs: u64,
    budget: Option<u64>,
    first: u64,
    step: f64,
    greed: f64,
    fit: Option<Fit>,
    success: Option<(Vec<(u64, bool)>, gp::model::Model)>,
}

/// What was fitted, and to what.
struct Fit {
    points: Vec<Point>,
    numbers: Vec<u64>,
    scale: Scale,
    logs: Vec<f64>,
}

/// What can be done next: a trial, by its place, goes on, or a new one begins.
enum Move {
    Resume(usize),
    New(Vec<f64>),
}

impl FreezeThaw {
    /// Returns a freeze-thaw search.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have, and without the epochs of a full training.
    pub fn new(setup: &Setup) -> Result<FreezeThaw> {
        let name = "freeze_thaw";
        let Setup { space, settings, seed, .. } = setup.clone();
        allow_settings(name, &settings, &[SETTINGS, &["max_epoch"]].concat())?;
        let by_space = (space.dimensions() as u64 + 2).clamp(5, 12);
        let startup = whole_setting(name, &settings, "startup", 2)?.unwrap_or(by_space);
        let epochs = epochs_of(name, setup)?;
        let first = whole_setting(name, &settings, "first", 1)?.unwrap_or(epochs.div_ceil(27));
        Ok(FreezeThaw {
            frame: Frame::new(&space),
            start: Sampler::new(space.clone(), Start::new(space.dimensions(), seed), seed),
            space,
            seed,
            startup,
            epochs,
            budget: setup.epoch_budget,
            first: first.min(epochs),
            step: number_setting(name, &settings, "step", 0.0)?.unwrap_or(0.3),
            greed: number_setting(name, &settings, "greed", -1.0)?.unwrap_or(0.25),
            fit: None,
            success: None,
        })
    }

    /// Makes the fit follow the trials.
    fn refit(&mut self, trials: &[Trial]) {
        let (chosen, points) = to_fit(trials);
        let numbers: Vec<u64> = chosen.iter().map(|at| trials[*at].past.number).collect();
        if self.fit.as_ref().is_some_and(|fit| fit.points == points && fit.numbers == numbers) {
            return;
        }
        let values: Vec<f64> = points.iter().map(|point| point.value).collect();
        let rows: Vec<Vec<f64>> = chosen.iter().map(|at| trials[*at].row.clone()).collect();
        let fit = |scale: &Scale, start: Option<Vec<f64>>, rounds: usize| {
            let targets: Vec<f64> = values.iter().map(|value| scale.bend(*value)).collect();
            Fitter::new(&self.frame, &rows, &points, &targets, self.epochs as f64)
                .fit(start, rounds)
        };
        let bent = SHARES.map(|share| {
            let scale = Scale::of(&values, share);
            let (logs, loss) = fit(&scale, None, 8);
            (loss - scale.log_slope(&values), scale, logs)
        });
        let likeliest = bent.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        let fitted = likeliest.map(|(_, scale, logs)| (scale, fit(&scale, Some(logs), 20).0));
        self.fit = fitted.map(|(scale, logs)| Fit { points, numbers, scale, logs });
    }

    /// Returns what can be done next, the most promising first.
    fn moves(&mut self, trials: &[Trial], number: u64) -> Option<Vec<(f64, Move)>> {
        self.refit(trials);
        let success = self.success(trials);
        let fit = self.fit.as_ref()?;
        let kernel = Kernel::of(&fit.logs, self.epochs as f64);
        let mut points: Vec<Point> = trials.iter().flat_map(|trial| trial.points.clone()).collect();
        points.iter_mut().for_each(|point| point.value = fit.scale.bend(point.value));
        let rows = trials.iter().map(|trial| trial.row.clone()).collect();
        let mut model = Model::new(&self.frame, kernel, rows, points);
        let places: Vec<Place> = (0..trials.len()).map(|at| model.place_of(at)).collect();
        let best = best_mean(&model, trials, &places);
        let mut leaders: Vec<(f64, usize)> = (0..trials.len())
            .filter(|at| !trials[*at].failed())
            .map(|at| (model.mean(&places[at], self.epochs as f64), at))
            .collect();
        leaders.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, trial) in trials.iter().enumerate() {
            if !trial.past.ended() && trial.paid() > trial.reached() {
                model.believe(at, trial.paid() as f64, 1.0);
            }
        }
        let paid: u64 = trials.iter().map(Trial::paid).sum();
        let left = self.budget.map_or(self.epochs, |budget| budget.saturating_sub(paid).max(1));
        let promise = |place: &Place, reached: u64, aim: u64| {
            let belief = model.belief(place, aim as f64);
            let (log, _) = log_improvement((best - belief.mean) / belief.deviation);
            belief.deviation.ln() + log - self.greed * ((aim - reached) as f64).ln()
        };
        let mut generator = stream(self.seed, number, Purpose::Fidelity, paid);
        let farther = (self.epochs as f64 / self.first as f64).powf(unit(&mut generator));
        let horizon = ((self.first as f64 * farther) as u64).clamp(self.first, self.epochs);
        let mut moves = Vec::new();
        for (_, at) in leaders.iter().take(RESUMED_MAX) {
            let reached = trials[*at].reached();
            if !matches!(trials[*at].past.state, PastState::Complete { .. })
                || reached >= self.epochs
            {
                continue;
            }
            let aim = (reached + horizon.min(left)).min(self.epochs).max(self.next(reached));
            moves.push((promise(&model.place_of(*at), reached, aim), Move::Resume(*at)));
        }
        let ended = trials.iter().rev().filter(|trial| trial.past.ended());
        let caution = 1.0 + ended.take_while(|trial| trial.failed()).count() as f64;
        let aim = horizon.min(left).max(self.first);
        for row in self.rows(trials, &leaders, &mut generator) {
            let fine = success.as_ref().map_or(0.0, |success| {
                let belief = success.belief(&self.frame, &row);
                caution * log_chance(belief.mean, belief.deviation).0
            });
            moves.push((promise(&model.place(&row), 0, aim) + fine, Move::New(row)));
        }
        moves.retain(|(promise, _)| !promise.is_nan());
        moves.sort_by(|a, b| b.0.total_cmp(&a.0));
        Some(moves)
    }

    /// Returns a model of success and failure, where any trial failed.
    fn success(&mut self, trials: &[Trial]) -> Option<gp::model::Model> {
        let ended: Vec<usize> = (0..trials.len()).filter(|at| trials[*at].past.ended()).collect();
        let ended = &ended[ended.len().saturating_sub(LABELS_MAX)..];
        let labels: Vec<(u64, bool)> =
            ended.iter().map(|at| (trials[*at].past.number, trials[*at].failed())).collect();
        if labels.iter().all(|(_, lost)| !lost) {
            return None;
        }
        if let Some((known, model)) = &self.success
            && *known == labels
        {
            return Some(model.clone());
        }
        let rows: Vec<Vec<f64>> = ended.iter().map(|at| trials[*at].row.clone()).collect();
        let targets: Vec<f64> =
            labels.iter().map(|(_, lost)| if *lost { -1.0 } else { 1.0 }).collect();
        let fitter = gp::fit::Fitter::new(&self.frame, &rows);
        let shape = gp::kernel::Shape::Matern52;
        let fitted = fitter.fit(&targets, shape, fitter.start(), 12);
        let mut model =
            gp::model::Model::new(&self.frame, gp::kernel::Kernel::of(shape, &fitted.logs));
        rows.iter().for_each(|row| model.add(&self.frame, row));
        model.aim(targets);
        self.success = Some((labels, model.clone()));
        Some(model)
    }

    /// Returns rows that could be new trials.
    fn rows(
        &self,
        trials: &[Trial],
        leaders: &[(f64, usize)],
        generator: &mut Pcg64,
    ) -> Vec<Vec<f64>> {
        let frame = &self.frame;
        let dimensions = frame.dimensions();
        let mut rows = Vec::new();
        for _ in 0..ANYWHERE {
            let mut row: Vec<f64> = (0..dimensions).map(|_| unit(generator)).collect();
            frame.settle(&mut row, generator);
            rows.push(row);
        }
        for (_, leader) in leaders.iter().take(LEADERS) {
            for turn in 0..NEAR_EACH {
                let mut row = trials[*leader].row.clone();
                let scale = [0.3, 0.1, 0.03, 0.01][turn % 4];
                let certain = below(generator, dimensions.max(1) as u64) as usize;
                for at in 0..dimensions {
                    let all = turn % 8 < 4 && !frame.axes[at].choice;
                    let moves = all || at == certain || unit(generator) < 1.0 / dimensions as f64;
                    if moves && !row[at].is_nan() {
                        frame.nudge(&mut row, at, scale, generator);
                    }
                }
                frame.settle(&mut row, generator);
                rows.push(row);
            }
        }
        rows
    }

    /// Returns the epochs that a trial is to reach next.
    fn next(&self, reached: u64) -> u64 {
        let step = (reached as f64 * self.step).ceil().max(1.0) as u64;
        (reached + step).min(self.epochs)
    }

    fn begin(&mut self, history: &History, epochs: u64) -> Result<Proposal> {
        let proposal = self.start.propose(history, |_| None)?;
        let at_work = history.iter().any(|past| past.state == PastState::Pending);
        Ok(match proposal {
            Some(params) => Proposal::New { params, epochs: Some(epochs), from: None },
            None if at_work => Proposal::Wait,
            None => Proposal::Exhausted,
        })
    }
}

impl Strategy for FreezeThaw {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let trials = trials(&self.space, &self.frame, history, self.epochs);
        let number = history.next_number();
        let told = trials.iter().filter(|trial| trial.curve.iter().any(|v| v.is_finite())).count();
        if number < self.startup || told < 2 {
            return self.begin(history, self.first);
        }
        let Some(moves) = self.moves(&trials, number) else {
            return self.begin(history, self.first);
        };
        let known: HashSet<String> = match self.space.can_repeat() {
            true => history.iter().map(|past| self.space.key(&past.params)).collect(),
            false => Default::default(),
        };
        for (_, next) in moves {
            match next {
                Move::Resume(at) => {
                    let epochs = self.next(trials[at].reached());
                    return Ok(Proposal::Resume { number: trials[at].past.number, epochs });
                }
                Move::New(row) => {
                    let params = self.frame.point(&self.space, &row);
                    if self.space.allows(&params)? && !known.contains(&self.space.key(&params)) {
                        return Ok(Proposal::New { params, epochs: Some(self.first), from: None });
                    }
                }
            }
        }
        self.begin(history, self.first)
    }
}

/// Returns the best mean that a trial has reached: not the best value, so noise is not improved on.
fn best_mean(model: &Model, trials: &[Trial], places: &[Place]) -> f64 {
    // A curve that rises again had its best shortly before.
    let late =
        |trial: &Trial| trial.points.iter().rev().take(3).map(|p| p.epoch).collect::<Vec<_>>();
    let of_trial = |(trial, place): (&Trial, &Place)| {
        late(trial).into_iter().map(|epoch| model.mean(place, epoch)).fold(f64::INFINITY, f64::min)
    };
    trials.iter().zip(places).map(of_trial).fold(f64::INFINITY, f64::min)
}
