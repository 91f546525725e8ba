//! A Gaussian process: proposes where a smooth model of the trials so far promises most (Bayesian optimisation).
//!
//! The model is a Gaussian process over the unit cube with a length-scale for each parameter; whole numbers, steps and
//! choices are seen as the values they are, and a parameter that is inactive stands beside the middle of its
//! line. Values are bent before the fit, in the way that makes them most likely. Trials that failed are kept out of the
//! model and feed one of the chance of success; trials that run count as if they had turned out as believed.
//!
//! Where all parameters are numbers, turns of a local search in a region around the best trial alternate with those of
//! the whole space. Elsewhere several kernels take turns, drawn from those that explain the trials: the likeliest one is
//! too sure of which choices are alike.
//!
//! Settings: `startup`, the trials that end before the model begins, by default as many as parameters and 2, from 4 to
//! 22. They are at most half of the trials asked for where all parameters are numbers or some have conditions, else a
//! quarter: the centre of the space, among numbers a step along each of them, then Sobol points.
//!
//! # Source
//! Jones et al. 1998 (expected improvement); Snoek et al., NeurIPS 2012, section 3.2 (a Matérn kernel for
//! hyper-parameters, and draws of it, which they average and we take in turn); Garrido-Merchán and Hernández-Lobato 2020
//! (rounding inside the kernel); Ginsbourger et al. 2010 (the kriging believer).

pub(crate) mod acquisition;
pub(crate) mod cholesky;
mod climb;
pub(crate) mod fit;
pub(crate) mod frame;
pub(crate) mod kernel;
mod local;
pub(crate) mod minimise;
pub(crate) mod model;
mod past;
mod warp;

use rand_pcg::Pcg64;
use serde_json::{Map, Value};

use self::acquisition::Improvement;
pub(crate) use self::acquisition::{Gain, Promise};
pub(crate) use self::climb::climb;
use self::climb::climb_inside;
use self::fit::Fitted;
pub(crate) use self::fit::Fitter;
pub(crate) use self::frame::Frame;
pub(crate) use self::kernel::{Kernel, Shape};
use self::local::Local;
pub(crate) use self::model::Model;
pub(crate) use self::past::Rows;
pub(crate) use self::warp::Warp;
use super::history::History;
use super::sampler::Sampler;
use super::space::Space;
use super::start::Start;
use super::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use super::stream::{Purpose, stream};
use crate::Result;

/// Rows a fit looks at, at most.
const FIT_MAX: usize = 256;
/// Rows that decide on how values are bent and on the kind of kernel, at most.
const CHOICE_MAX: usize = 128;
/// Rows the model holds, at most: the best and the newest.
const ROWS_MAX: usize = 300;

/// Kernels that are drawn for turns.
const DRAWS: usize = 4;
/// Steps between two draws.
const STEPS: usize = 20;

/// Trials up to which a fit looks at all that ended.
const EACH_MAX: u64 = 48;

/// By how much a squared exponential has to be likelier than the other kernels.
const GAUSS_MARGIN: f64 = 2.0;
/// What a trial has to be better than all before it, as a share of the distance of the median from the best, to count as
/// a success of its kind of turn: polishing a peak is none.
const IMPROVEMENT: f64 = 0.03;
/// How far the first steps along the coordinates go.
const STEP: f64 = 1.0 / 6.0;

/// Search by a Gaussian process.
pub struct Gp {
    space: Space,
    frame: Frame,
    start: Sampler<Start>,
    seed: u64,
    startup: u64,
    /// Says whether every other turn or so is a local one: all coordinates are lines, and most are smooth.
    local: bool,
    rows: Rows,
    fit: Option<Fit>,
    /// A model for each kernel of the fit, which take turns, and the trials that it holds.
    models: Vec<(Model, Vec<u64>)>,
}

/// What was fitted, and to what.
struct Fit {
    /// The trials numbered below this were looked at.
    until: u64,
    /// Their values.
    values: Vec<(u64, f64)>,
    warp: Warp,
}

impl Gp {
    /// Returns a search by a Gaussian process.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have.
    pub fn new(setup: &Setup) -> Result<Gp> {
        let Setup { space, settings, seed, trials, .. } = setup.clone();
        allow_settings("gp", &settings, &["startup"])?;
        let by_space = (space.dimensions() as u64 + 2).clamp(4, 22);
        let frame = Frame::new(&space);
        // A few points say little of which of several branches is the best, or of slopes nobody walked along.
        let lines = frame.lines();
        let share = if frame.conditional || lines { 2 } else { 4 };
        let by_trials = trials.map_or(by_space, |trials| (trials / share).max(3));
        let startup = whole_setting("gp", &settings, "startup", 1)?;
        let smooth = (0..frame.dimensions()).filter(|at| frame.smooth(*at)).count();
        let local = 2 * smooth > frame.dimensions() && lines;
        Ok(Gp {
            frame,
            local,
            start: Sampler::new(space.clone(), Start::new(space.dimensions(), seed), seed),
            space,
            seed,
            startup: startup.unwrap_or(by_space.min(by_trials)),
            rows: Rows::default(),
            fit: None,
            models: Vec::new(),
        })
    }

    /// Proposes a point before there is a model.
    fn begin(&mut self, history: &History) -> Result<Proposal> {
        if history.is_empty() && history.next_number() == 0 {
            let centre = self.space.decode(&vec![0.5; self.space.dimensions()]);
            if self.space.allows(&centre)? {
                return Ok(Some(centre).into());
            }
        }
        if self.local
            && let Some(point) = self.step(history.next_number())?
        {
            return Ok(Some(point).into());
        }
        Ok(self.start.propose(history, |_| None)?.into())
    }

    /// Returns the best trial's point with one coordinate moved, once for each coordinate.
    ///
    /// Simplex methods begin so: in many dimensions it tells more about the slope than points far apart, and half of
    /// the steps lead down.
    fn step(&self, number: u64) -> Result<Option<Map<String, Value>>> {
        let at = (number.max(1) - 1) as usize;
        let best = self.rows.valued().min_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)));
        let Some((_, row, _)) = best.filter(|(_, row, _)| 2 < row.len() && at < row.len()) else {
            return Ok(None);
        };
        let mut row = row.to_vec();
        row[at] += if row[at] + STEP > 1.0 { -STEP } else { STEP };
        let mut generator = stream(self.seed, number, Purpose::Model, 0);
        self.frame.settle(&mut row, &mut generator);
        let point = self.frame.point(&self.space, &row);
        Ok((!self.rows.knows(&row) && self.space.allows(&point)?).then_some(point))
    }

    /// Makes the fit follow the trials: once for each number of them on a row that grows by a sixteenth a step.
    ///
    /// A long search is fitted up to the first trial at work, as far as that is in its second half: what ends out of
    /// order would else make each ask fit anew.
    /// Returns the number of the first trial it leaves out.
    fn refit(&mut self, number: u64) -> u64 {
        let settled = match self.rows.first_pending() {
            Some(first) if number > EACH_MAX => first.max(number / 2),
            _ => number,
        };
        let until = last_step(settled);
        let values: Vec<(u64, f64)> =
            self.rows.valued().filter(|(past, ..)| *past < until).map(|(n, _, v)| (n, v)).collect();
        if self.fit.as_ref().is_some_and(|fit| fit.until == until && fit.values == values) {
            return until;
        }
        let rows: Vec<Vec<f64>> = self
            .rows
            .valued()
            .filter(|(past, ..)| *past < until)
            .map(|(_, row, _)| row.to_vec())
            .collect();
        let known: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        let kept = keep(&known, FIT_MAX);
        let rows: Vec<Vec<f64>> = kept.iter().map(|at| rows[*at].clone()).collect();
        let known: Vec<f64> = kept.iter().map(|at| known[*at]).collect();
        let draws = stream(self.seed, until, Purpose::Model, 1);
        let (warp, kernels) = fit(&self.frame, &rows, &known, (!self.local).then_some(draws));
        let empty = |kernel| (Model::new(&self.frame, kernel), Vec::new());
        self.models = kernels.into_iter().map(empty).collect();
        self.fit = Some(Fit { until, values, warp });
        until
    }

    /// Makes the model whose turn it is follow the fit and the trials.
    fn condition(&mut self, number: u64) -> Option<&mut Model> {
        let fit = self.fit.as_ref()?;
        let turn = number as usize % self.models.len();
        let (model, numbers) = &mut self.models[turn];
        let all: Vec<(u64, &[f64], f64)> = self.rows.valued().collect();
        let values: Vec<f64> = all.iter().map(|(_, _, value)| *value).collect();
        let kept = keep(&values, ROWS_MAX);
        let same = kept.iter().zip(numbers.iter()).take_while(|(at, n)| all[**at].0 == **n).count();
        model.truncate(same);
        numbers.truncate(same);
        for at in &kept[same..] {
            model.add(&self.frame, all[*at].1);
            numbers.push(all[*at].0);
        }
        let kept_values: Vec<f64> = kept.iter().map(|at| values[*at]).collect();
        model.aim(fit.warp.bend(&kept_values).0);
        Some(model)
    }

    fn propose(&mut self, history: &History) -> Result<Option<Map<String, Value>>> {
        let number = history.next_number();
        let until = self.refit(number);
        let Some(mut model) = self.condition(number).cloned() else { return Ok(None) };
        let rows: Vec<&[f64]> = self.rows.valued().map(|(_, row, _)| row).collect();
        // The best mean at a trial, not the best value: noise is not improved on.
        let mut believed: Vec<(f64, &[f64])> =
            rows.iter().map(|row| (model.mean(&self.frame, row), *row)).collect();
        believed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut best = believed.first().map_or(0.0, |(mean, _)| *mean);
        let leaders: Vec<Vec<f64>> = believed.iter().take(5).map(|(_, row)| row.to_vec()).collect();
        for row in self.rows.pending() {
            best = best.min(model.believe(&self.frame, row));
        }
        let success = self.rows.success(&self.frame, until);
        // Each failure doubles the price of the next.
        let caution = f64::from(1 << self.rows.recent_failures());
        let promise = Promise {
            frame: &self.frame,
            gain: &Improvement { model: &model, best },
            success: success.as_ref(),
            caution,
        };
        let mut generator = stream(self.seed, number, Purpose::Model, 0);
        let found = match self.local_turn(number).zip(leaders.first()) {
            Some((local, leader)) => {
                let region = local.region(&self.frame, leader, &model.kernel);
                climb_inside(&promise, leader, &region, &mut generator)
            }
            None => climb(&promise, &leaders, &mut generator),
        };
        for (_, row) in found {
            let point = self.frame.point(&self.space, &row);
            if !self.rows.knows(&row) && self.space.allows(&point)? {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }
}

impl Gp {
    /// Returns the state of the local search when it is its turn.
    fn local_turn(&self, number: u64) -> Option<Local> {
        let mut sorted: Vec<f64> = self.rows.valued().map(|(.., value)| value).collect();
        sorted.sort_by(f64::total_cmp);
        let least = match &sorted[..] {
            [] => 0.0,
            [best, ..] => IMPROVEMENT * (sorted[sorted.len() / 2] - best),
        };
        let mut local = Local::new(self.frame.dimensions(), least);
        for (past, _, value) in self.rows.valued() {
            local.learn(past, value, past >= self.startup);
        }
        (self.local && local.has_turn(number)).then_some(local)
    }
}

impl Strategy for Gp {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        self.rows.follow(&self.space, &self.frame, history);
        // Where many run at once, there is little to learn from before as many have ended.
        let ended = history.iter().filter(|past| past.ended()).count() as u64;
        if ended < self.startup || self.rows.valued().count() < 2 {
            return self.begin(history);
        }
        match self.propose(history)? {
            Some(point) => Ok(Some(point).into()),
            None => Ok(self.start.propose(history, |_| None)?.into()),
        }
    }
}

/// Returns the last number up to `number` at which a fit is due.
pub(crate) fn last_step(number: u64) -> u64 {
    let mut step = 1;
    loop {
        let next = step + (step / 16).max(1);
        if next > number {
            return step;
        }
        step = next;
    }
}

/// Returns the places of at most `most` values in order: half of them the best, the rest the last.
fn keep(values: &[f64], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    if values.len() <= most {
        return order;
    }
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]).then(a.cmp(b)));
    let mut kept: Vec<usize> = order[..most / 2].to_vec();
    let mut rest = order.split_off(most / 2);
    rest.sort_unstable();
    kept.extend(&rest[rest.len() - (most - most / 2)..]);
    kept.sort_unstable();
    kept
}

/// Returns the bending that makes the values most likely and the kernel that does, or if there is a generator draws of it.
///
/// Of many rows a part says which kinds these are, and what is drawn.
fn fit(
    frame: &Frame,
    rows: &[Vec<f64>],
    values: &[f64],
    draws: Option<Pcg64>,
) -> (Warp, Vec<Kernel>) {
    let count = rows.len().min(CHOICE_MAX);
    let part = || (0..count).map(|at| at * rows.len() / count);
    let part_rows: Vec<Vec<f64>> = part().map(|at| rows[at].clone()).collect();
    let part_values: Vec<f64> = part().map(|at| values[at]).collect();
    let fitter = Fitter::new(frame, &part_rows);
    let (warp, Fitted { logs, shape, .. }) = choose(&fitter, &part_values);
    let all = match draws {
        Some(mut generator) => {
            let targets = warp.bend(&part_values).0;
            fitter.draw(&targets, shape, &logs, DRAWS, STEPS, &mut generator)
        }
        None if count == rows.len() => vec![logs],
        None => {
            vec![Fitter::new(frame, rows).fit(&warp.bend(values).0, shape, logs, 30).logs]
        }
    };
    (warp, all.iter().map(|logs| Kernel::of(shape, logs)).collect())
}

fn choose(fitter: &Fitter, values: &[f64]) -> (Warp, Fitted) {
    let mut best: Option<(f64, Warp, Fitted)> = None;
    for warp in Warp::ALL {
        let (targets, log_slope) = warp.bend(values);
        let fitted = fitter.fit(&targets, Shape::Matern52, fitter.start(), 12);
        let loss = fitted.loss - log_slope;
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, warp, fitted));
        }
    }
    let (_, warp, fitted) = best.unwrap_or_else(|| {
        let logs = fitter.start();
        (0.0, Warp::Straight, Fitted { logs, shape: Shape::Matern52, loss: 0.0 })
    });
    let targets = warp.bend(values).0;
    let rough = fitter.fit(&targets, Shape::Matern32, fitted.logs.clone(), 30);
    let smooth = fitter.fit(&targets, Shape::Matern52, fitted.logs, 30);
    let matern = if rough.loss < smooth.loss { rough } else { smooth };
    let gauss = fitter.fit(&targets, Shape::Gauss, fitter.start(), 40);
    (warp, if gauss.loss + GAUSS_MARGIN < matern.loss { gauss } else { matern })
}
