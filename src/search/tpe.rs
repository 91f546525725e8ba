//! TPE: proposes where good trials are dense and bad ones are not (tree-structured Parzen estimator).
//!
//! Trials are split into the best few and the rest. Each side becomes a mixture of kernels over all parameters at once;
//! candidates are drawn from the good side and the one with the largest ratio of densities is proposed. Trials that
//! failed or were pruned count as bad, and so do those still running, which keeps workers apart. A parameter that was
//! inactive in a trial is spread over its prior there, so one model holds all branches of a conditional space.
//!
//! Settings: `startup` (default 10), the trials before the model, spread by Sobol; `candidates` (default 128).
//!
//! # Source
//! Bergstra et al., NeurIPS 2011; the joint kernel, the bandwidths and the weights follow Watanabe, arXiv 2304.11127,
//! and Optuna 5.

use rand_pcg::Pcg64;
use serde_json::{Map, Value};

use super::domain::{Domain, ListKind};
use super::history::{History, Past, PastState};
use super::normal;
use super::sampler::Sampler;
use super::space::Space;
use super::start::Start;
use super::strategy::{Proposal, Strategy, allow_settings, whole_setting};
use super::stream::{Purpose, below, stream, unit};
use crate::Result;

/// Trials that the model of the bad side holds at most: the newest.
const BAD_MAX: usize = 500;
/// Rounds of candidates, all of them known or forbidden, before a random draw takes their place.
const ROUNDS_MAX: u64 = 4;

/// TPE search.
pub struct Tpe {
    space: Space,
    axes: Vec<Axis>,
    start: Sampler<Start>,
    seed: u64,
    startup: u64,
    candidates: u64,
}

/// How one coordinate is modelled.
#[derive(Clone, Copy, Debug)]
enum Axis {
    /// A line of places.
    Line {
        /// Half the width of a cell: no kernel is narrower.
        half_cell: f64,
    },
    /// So many choices without order.
    Choice {
        /// How many.
        count: u64,
    },
}

impl Tpe {
    /// Returns a TPE search.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for settings it does not have.
    pub fn new(space: Space, settings: &Map<String, Value>, seed: u64) -> Result<Tpe> {
        allow_settings("tpe", settings, &["startup", "candidates"])?;
        let axis = |domain: &Domain| match domain {
            Domain::List { kind: ListKind::Ordinal, choices } => {
                Axis::Line { half_cell: 0.5 / choices.len() as f64 }
            }
            Domain::List { choices, .. } => Axis::Choice { count: choices.len() as u64 },
            _ => Axis::Line { half_cell: domain.count().map_or(0.0, |count| 0.5 / count as f64) },
        };
        let axes = space.searched().map(|param| axis(&param.domain)).collect();
        let start = Sampler::new(space.clone(), Start::new(space.dimensions(), seed), seed);
        Ok(Tpe {
            space,
            axes,
            start,
            seed,
            startup: whole_setting("tpe", settings, "startup", 1)?.unwrap_or(10),
            candidates: whole_setting("tpe", settings, "candidates", 1)?.unwrap_or(128),
        })
    }

    /// Splits the earlier trials into good and bad ones, each in order of their numbers.
    fn split<'a>(&self, past: &[&'a Past]) -> (Vec<&'a Past>, Vec<&'a Past>) {
        let mut valued: Vec<(f64, usize)> =
            past.iter().enumerate().filter_map(|(at, past)| Some((past.value()?, at))).collect();
        valued.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let ended = past.iter().filter(|past| past.state != PastState::Pending).count();
        let count = ended.div_ceil(10).min(25).min(valued.len());
        let mut is_good = vec![false; past.len()];
        for (_, at) in &valued[..count] {
            is_good[*at] = true;
        }
        let side = |good: bool| {
            past.iter().zip(&is_good).filter(move |(_, is)| **is == good).map(|(past, _)| *past)
        };
        (side(true).collect(), side(false).collect())
    }

    fn model(&self, trials: &[&Past]) -> Mixture<'_> {
        let newest = &trials[trials.len().saturating_sub(BAD_MAX)..];
        Mixture::new(
            &self.axes,
            newest.iter().map(|past| self.space.encode(&past.params)).collect(),
        )
    }
}

impl Strategy for Tpe {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        let past: Vec<&Past> = history.trials().iter().collect();
        if number < self.startup || !past.iter().any(|past| past.value().is_some()) {
            return Ok(self.start.propose(history, |_| None)?.into());
        }
        let (good, bad) = self.split(&past);
        let (good, bad) = (self.model(&good), self.model(&bad));
        let known: std::collections::HashSet<String> = match self.space.can_repeat() {
            true => past.iter().map(|past| self.space.key(&past.params)).collect(),
            false => Default::default(),
        };
        for round in 0..ROUNDS_MAX {
            let mut generator = stream(self.seed, number, Purpose::Model, round);
            let mut best: Option<(f64, Map<String, Value>)> = None;
            for _ in 0..self.candidates {
                let point = self.space.decode(&good.draw(&mut generator));
                let places = self.space.encode(&point);
                let score = good.log_density(&places) - bad.log_density(&places);
                if best.as_ref().is_none_or(|(top, _)| score > *top)
                    && self.space.allows(&point)?
                    && !known.contains(&self.space.key(&point))
                {
                    best = Some((score, point));
                }
            }
            if let Some((_, point)) = best {
                return Ok(Some(point).into());
            }
        }
        Ok(self.start.propose(history, |_| None)?.into())
    }
}

/// Kernels around trials, and one for the prior.
struct Mixture<'a> {
    axes: &'a [Axis],
    /// One row of cells a trial.
    cells: Vec<Cell>,
    /// Sums of the shares of the kernels up to each, the prior last.
    cumulated: Vec<f64>,
    log_weights: Vec<f64>,
    /// For each line its kernels' standard deviation; for each choice the chance of what the trial had.
    widths: Vec<f64>,
}

/// One coordinate of one kernel.
#[derive(Clone, Copy)]
struct Cell {
    /// The centre; NaN where the parameter was inactive.
    centre: f64,
    /// The logarithm of the density at the centre.
    log_peak: f64,
}

impl<'a> Mixture<'a> {
    fn new(axes: &'a [Axis], centres: Vec<Vec<Option<f64>>>) -> Mixture<'a> {
        let width = |(at, axis): (usize, &Axis)| match axis {
            Axis::Line { half_cell } => {
                let active = centres.iter().filter(|centre| centre[at].is_some()).count();
                bandwidth(active, axes.len()).max(*half_cell)
            }
            Axis::Choice { count } => {
                let (kernels, count) = (centres.len().max(1) as f64, *count as f64);
                (1.0 + 1.0 / kernels) / (1.0 + count / kernels)
            }
        };
        let widths: Vec<f64> = axes.iter().enumerate().map(width).collect();
        let cell = |at: usize, place: Option<f64>| {
            let centre = place.unwrap_or(f64::NAN);
            let log_peak = match axes[at] {
                Axis::Line { .. } => {
                    let width = widths[at];
                    let mass =
                        normal::quick((1.0 - centre) / width) - normal::quick(-centre / width);
                    -(mass * width * (2.0 * std::f64::consts::PI).sqrt()).ln()
                }
                Axis::Choice { .. } => widths[at].ln(),
            };
            Cell { centre, log_peak }
        };
        let row = |centre: &Vec<Option<f64>>| {
            centre.iter().enumerate().map(|(at, place)| cell(at, *place)).collect::<Vec<_>>()
        };
        let cells = centres.iter().flat_map(row).collect();
        let weights = weights(centres.len());
        let mut sum = 0.0;
        let cumulate = |weight: &f64| {
            sum += weight;
            sum
        };
        let cumulated = weights.iter().map(cumulate).collect();
        let log_weights = weights.iter().map(|weight| weight.ln()).collect();
        Mixture { axes, cells, cumulated, log_weights, widths }
    }

    /// Draws a place: a kernel by its share, and each coordinate from it.
    fn draw(&self, generator: &mut Pcg64) -> Vec<f64> {
        let dimensions = self.axes.len();
        let at = unit(generator) * self.cumulated.last().copied().unwrap_or(1.0);
        let kernel = self.cumulated.partition_point(|sum| *sum <= at);
        let row = self.cells.get(kernel * dimensions..(kernel + 1) * dimensions);
        let coordinate = |at: usize| {
            let centre = row.map_or(f64::NAN, |row| row[at].centre);
            match self.axes[at] {
                _ if centre.is_nan() => unit(generator),
                Axis::Line { .. } => near(generator, centre, self.widths[at]),
                Axis::Choice { count } => {
                    let own = (centre * count as f64) as u64;
                    let stays = unit(generator) < self.widths[at] || count == 1;
                    let other = below(generator, count.max(2) - 1);
                    let index = if stays { own } else { other + u64::from(other >= own) };
                    (index as f64 + 0.5) / count as f64
                }
            }
        };
        (0..dimensions).map(coordinate).collect()
    }

    /// Returns the logarithm of the density at a place, over its active coordinates.
    fn log_density(&self, place: &[Option<f64>]) -> f64 {
        let dimensions = self.axes.len().max(1);
        let active: Vec<(usize, f64)> =
            place.iter().enumerate().filter_map(|(at, place)| Some((at, (*place)?))).collect();
        let prior: f64 = active.iter().map(|(at, _)| self.log_prior(*at)).sum();
        let mut logs: Vec<f64> = Vec::with_capacity(self.log_weights.len());
        for (row, log_weight) in self.cells.chunks_exact(dimensions).zip(&self.log_weights) {
            let part = |(at, place): &(usize, f64)| {
                let cell = row[*at];
                if cell.centre.is_nan() {
                    return self.log_prior(*at);
                }
                match self.axes[*at] {
                    Axis::Line { .. } => {
                        let z = (place - cell.centre) / self.widths[*at];
                        cell.log_peak - 0.5 * z * z
                    }
                    Axis::Choice { .. } if (place - cell.centre).abs() < 1e-9 => cell.log_peak,
                    Axis::Choice { count } => {
                        ((1.0 - self.widths[*at]) / (count.max(2) - 1) as f64).ln()
                    }
                }
            };
            logs.push(log_weight + active.iter().map(part).sum::<f64>());
        }
        logs.push(self.log_weights.last().copied().unwrap_or(0.0) + prior);
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + logs.iter().map(|log| (log - top).exp()).sum::<f64>().ln()
    }

    fn log_prior(&self, at: usize) -> f64 {
        match self.axes[at] {
            Axis::Line { .. } => 0.0,
            Axis::Choice { count } => -(count as f64).ln(),
        }
    }
}

/// Returns the standard deviation of `kernels` kernels in so many dimensions.
fn bandwidth(kernels: usize, dimensions: usize) -> f64 {
    let kernels = kernels.max(1) as f64;
    let scott = 0.2 * kernels.powf(-1.0 / (dimensions as f64 + 4.0));
    scott.max(1.0 / (1.0 + kernels).min(100.0))
}

/// Returns the shares of kernels from old to new and of the prior: the newest 25 count fully, older ones less.
fn weights(kernels: usize) -> Vec<f64> {
    let old = kernels.saturating_sub(25);
    let weight = |at: usize| {
        if at >= old {
            1.0
        } else {
            1.0 / kernels as f64 + (1.0 - 1.0 / kernels as f64) * at as f64 / old as f64
        }
    };
    let mut weights: Vec<f64> = (0..kernels).map(weight).collect();
    weights.push(1.0);
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    weights
}

/// Draws from a bell in [0, 1] by drawing until it is inside; half of the draws are, wherever the centre lies.
fn near(generator: &mut Pcg64, centre: f64, width: f64) -> f64 {
    for _ in 0..64 {
        let place = centre + width * super::stream::normal(generator);
        if (0.0..=1.0).contains(&place) {
            return place;
        }
    }
    centre
}
