//! EHVI: a Gaussian process for each objective, and the trial expected to add most to the hypervolume.
//!
//! Volumes are those of bent values, and measured from what the models believe at the trials so far, so that noise does
//! not fake a front. Trials
//! at work count as if they had turned out as believed; those that failed feed a model of the chance of success, as in
//! [`gp`](crate::search::gp).
//!
//! Settings: `startup`, the trials before the model (by default as many as parameters, 4 to 12, and a seventh of the
//! trials asked for at most), spread by Sobol.
//!
//! # Source
//! Emmerich, Giannakoglou, Naujoks, IEEE Trans. Evol. Comput. 10 (2006); Daulton, Balandat, Bakshy, NeurIPS 2021, for
//! noise.

use serde_json::{Map, Value};

use super::Valued;
use super::boxes::{Boxes, Gained};
use super::motpe::subset;
use crate::Result;
use crate::search::gp::{
    Fitter, Frame, Gain, Kernel, Model, Promise, Rows, Shape, Warp, climb, last_step,
};
use crate::search::history::History;
use crate::search::pareto::{front, fronts};
use crate::search::sampler::Sampler;
use crate::search::space::Space;
use crate::search::start::Start;
use crate::search::strategy::{Proposal, Setup, Strategy, allow_settings, whole_setting};
use crate::search::stream::{Purpose, stream};

/// Trials that the models hold at most: half of them from the first fronts, the rest the newest.
const ROWS_MAX: usize = 400;
/// Rows a fit looks at, at most.
const FIT_MAX: usize = 200;
/// Members of the front that places are measured from, by the number of objectives: boxes must not become too many.
const FRONT_MAX: [usize; 5] = [1, 1, 200, 40, 12];

/// Bad values are drawn together: models of straight ones see little of what distinguishes the good.
const BENT: Warp = Warp::Bent(1.0);

/// EHVI search.
pub struct Ehvi {
    space: Space,
    frame: Frame,
    rows: Rows,
    start: Sampler<Start>,
    seed: u64,
    startup: u64,
    objectives: usize,
    fit: Option<Fit>,
}

/// The kernels of all objectives, and what they were fitted to.
struct Fit {
    until: u64,
    rows: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
    kernels: Vec<Kernel>,
}

/// The trials that models learn from.
struct Known {
    numbers: Vec<u64>,
    rows: Vec<Vec<f64>>,
    /// The values by objective.
    values: Vec<Vec<f64>>,
}

struct Volume<'a> {
    models: &'a [Model],
    boxes: &'a Boxes,
}

impl Ehvi {
    /// Returns an EHVI search.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have.
    pub fn new(setup: &Setup) -> Result<Ehvi> {
        let Setup { space, settings, seed, trials, objectives, .. } = setup;
        allow_settings("ehvi", settings, &["startup"])?;
        let by_space = (space.dimensions() as u64).clamp(4, 12);
        let by_trials = trials.map_or(by_space, |trials| (trials / 7).max(3));
        let startup = whole_setting("ehvi", settings, "startup", 1)?;
        Ok(Ehvi {
            frame: Frame::new(space),
            rows: Rows::default(),
            start: Sampler::new(space.clone(), Start::new(space.dimensions(), *seed), *seed),
            space: space.clone(),
            seed: *seed,
            startup: startup.unwrap_or(by_space.min(by_trials)),
            objectives: *objectives,
            fit: None,
        })
    }

    /// Returns what to learn from, if that is anything.
    fn known(&self, history: &History) -> Option<Known> {
        let valued =
            Valued::new(history.trials(), self.objectives, |rows| (0..rows.len()).collect());
        let kept = keep(&valued.rows);
        let row = |at: &usize| self.frame.row(&self.space, &history[valued.at[*at]].params);
        let column = |objective: usize| kept.iter().map(|at| valued.rows[*at][objective]).collect();
        (kept.len() >= 2).then(|| Known {
            numbers: kept.iter().map(|at| history[valued.at[*at]].number).collect(),
            rows: kept.iter().map(row).collect(),
            values: (0..self.objectives).map(column).collect(),
        })
    }

    /// Makes the kernels follow the trials: once for each number of them on a row that grows by a sixteenth a step.
    fn refit(&mut self, number: u64, known: &Known) -> &[Kernel] {
        let until = last_step(number);
        let count = known.numbers.partition_point(|number| *number < until).max(2);
        let from = count.saturating_sub(FIT_MAX);
        let rows = &known.rows[from..count];
        let values: Vec<Vec<f64>> =
            known.values.iter().map(|values| values[from..count].to_vec()).collect();
        let same =
            |fit: &Fit| fit.until == until && alike(&fit.rows, rows) && alike(&fit.values, &values);
        if !self.fit.as_ref().is_some_and(same) {
            let fitter = Fitter::new(&self.frame, rows);
            let kernel = |values: &Vec<f64>| {
                let fitted = fitter.fit(&BENT.bend(values).0, Shape::Matern52, fitter.start(), 40);
                Kernel::of(fitted.shape, &fitted.logs)
            };
            let kernels = values.iter().map(kernel).collect();
            self.fit = Some(Fit { until, rows: rows.to_vec(), values, kernels });
        }
        self.fit.as_ref().map_or(&[], |fit| &fit.kernels)
    }

    fn propose(&mut self, history: &History) -> Result<Option<Map<String, Value>>> {
        let number = history.next_number();
        let Some(known) = self.known(history) else { return Ok(None) };
        let kernels = self.refit(number, &known).to_vec();
        let mut models: Vec<Model> =
            kernels.into_iter().map(|kernel| Model::new(&self.frame, kernel)).collect();
        for (model, values) in models.iter_mut().zip(&known.values) {
            known.rows.iter().for_each(|row| model.add(&self.frame, row));
            model.aim(BENT.bend(values).0);
        }
        let mean = |model: &Model, row: &[f64]| model.belief(&self.frame, row).mean;
        let mut believed: Vec<Vec<f64>> = known
            .rows
            .iter()
            .map(|row| models.iter().map(|model| mean(model, row)).collect())
            .collect();
        let best = front(&believed);
        let leaders: Vec<Vec<f64>> = best.iter().map(|at| known.rows[*at].clone()).collect();
        let reference = reference(&believed);
        for row in self.rows.pending() {
            believed.push(models.iter_mut().map(|model| model.believe(&self.frame, row)).collect());
        }
        let best: Vec<&[f64]> =
            front(&believed).into_iter().map(|at| believed[at].as_slice()).collect();
        let most = FRONT_MAX.get(self.objectives).copied().unwrap_or(6);
        let best = match best.len() > most {
            true => thinned(&best, most),
            false => best,
        };
        let boxes = Boxes::new(&best, &reference);
        let success = self.rows.success(&self.frame, last_step(number));
        let promise = Promise {
            frame: &self.frame,
            gain: &Volume { models: &models, boxes: &boxes },
            success: success.as_ref(),
            caution: f64::from(1 << self.rows.recent_failures()),
        };
        let mut generator = stream(self.seed, number, Purpose::Model, 0);
        for (_, row) in climb(&promise, &leaders, &mut generator) {
            let point = self.frame.point(&self.space, &row);
            if !self.rows.knows(&row) && self.space.allows(&point)? {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }
}

impl Strategy for Ehvi {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        self.rows.follow(&self.space, &self.frame, history);
        if history.next_number() >= self.startup
            && let Some(point) = self.propose(history)?
        {
            return Ok(Some(point).into());
        }
        Ok(self.start.propose(history, |_| None)?.into())
    }
}

impl Volume<'_> {
    fn logarithm(gained: &Gained) -> f64 {
        gained.gain.max(f64::MIN_POSITIVE).ln()
    }
}

impl Gain for Volume<'_> {
    fn at(&self, frame: &Frame, row: &[f64]) -> f64 {
        let (means, deviations): (Vec<f64>, Vec<f64>) = self
            .models
            .iter()
            .map(|model| model.belief(frame, row))
            .map(|belief| (belief.mean, belief.deviation))
            .unzip();
        Volume::logarithm(&self.boxes.expect(&means, &deviations))
    }

    fn slope(&self, frame: &Frame, row: &[f64], slope: &mut [f64]) -> f64 {
        let (beliefs, slopes): (Vec<_>, Vec<_>) =
            self.models.iter().map(|model| model.slopes(frame, row)).unzip();
        let means: Vec<f64> = beliefs.iter().map(|belief| belief.mean).collect();
        let deviations: Vec<f64> = beliefs.iter().map(|belief| belief.deviation).collect();
        let gained = self.boxes.expect(&means, &deviations);
        let gain = gained.gain.max(f64::MIN_POSITIVE);
        for (at, slope) in slope.iter_mut().enumerate() {
            let part = |k: usize| {
                gained.by_mean[k] * slopes[k].mean[at]
                    + gained.by_deviation[k] * slopes[k].deviation[at]
            };
            *slope = (0..slopes.len()).map(part).sum::<f64>() / gain;
        }
        Volume::logarithm(&gained)
    }
}

/// Returns the point that the hypervolume is measured from, a little behind the worst of all rows: far enough for the
/// ends of the front to be looked for.
fn reference(rows: &[Vec<f64>]) -> Vec<f64> {
    let end = |objective: usize| {
        let all = || rows.iter().map(|row| row[objective]);
        let (low, high) =
            (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        high + 0.1 * (high - low).max(1e-6)
    };
    (0..rows.first().map_or(0, Vec::len)).map(end).collect()
}

/// Returns rows that dominate most of what all of them do.
fn thinned<'a>(rows: &[&'a [f64]], most: usize) -> Vec<&'a [f64]> {
    let low = |k: usize| rows.iter().map(|row| row[k]).fold(f64::INFINITY, f64::min);
    let lows: Vec<f64> = (0..rows.first().map_or(0, |row| row.len())).map(low).collect();
    let shifted: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| row.iter().zip(&lows).map(|(value, low)| value - low).collect())
        .collect();
    let shifted: Vec<&[f64]> = shifted.iter().map(Vec::as_slice).collect();
    subset(&shifted, most).into_iter().map(|at| rows[at]).collect()
}

/// Returns the places of the rows to learn from, in order.
fn keep(rows: &[Vec<f64>]) -> Vec<usize> {
    if rows.len() <= ROWS_MAX {
        return (0..rows.len()).collect();
    }
    let ranked: Vec<usize> = fronts(rows).into_iter().flatten().collect();
    let mut kept: Vec<usize> = ranked[..ROWS_MAX / 2].to_vec();
    let mut rest: Vec<usize> = ranked[ROWS_MAX / 2..].to_vec();
    rest.sort_unstable_by(|a, b| b.cmp(a));
    kept.extend(&rest[..ROWS_MAX - ROWS_MAX / 2]);
    kept.sort_unstable();
    kept
}

/// Says whether all numbers are the same, NaN included.
fn alike(one: &[Vec<f64>], other: &[Vec<f64>]) -> bool {
    let bits =
        |rows: &[Vec<f64>]| -> Vec<u64> { rows.iter().flatten().map(|x| x.to_bits()).collect() };
    bits(one) == bits(other)
}
