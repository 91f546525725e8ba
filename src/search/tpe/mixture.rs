//! Mixtures of kernels around trials, in single precision and by columns, so that the processor adds up several kernels
//! at a time.

use rand_pcg::Pcg64;

use super::frame::{Axis, Cells, choice};
use crate::search::normal;
use crate::search::stream::{below, unit};

const SQRT_TAU: f32 = 2.506_628_3;
/// How much of the prior goes into the chances of choices: the whole share of the prior, as Optuna takes, explores
/// where there are few trials more than pays.
const CHOICE_PRIOR: f64 = 0.3;

/// Kernels around trials, and one for the prior, which comes last.
pub(super) struct Mixture {
    kernels: usize,
    /// Sums of the shares of the kernels up to each.
    cumulated: Vec<f64>,
    log_weights: Vec<f32>,
    columns: Vec<Column>,
}

/// One coordinate of all kernels.
enum Column {
    Line {
        /// NaN where the parameter was inactive.
        centres: Vec<f64>,
        widths: Vec<f64>,
        /// For adding up: the centre, `sqrt(1/2)` over the width, and the logarithm of the density at the centre; all
        /// 0 where the parameter was inactive.
        middle: Vec<f32>,
        steep: Vec<f32>,
        peak: Vec<f32>,
    },
    Choice {
        count: u64,
        /// The choice of each kernel; -1 where the parameter was inactive.
        own: Vec<f32>,
        /// The logarithm of the chance of another choice.
        other: Vec<f32>,
        /// The chance of the own choice, and its logarithm.
        stay: f64,
        log_stay: f32,
    },
}

impl Mixture {
    /// Returns the mixture around `rows` with shares in proportion to `weights`, which has one number more, for the
    /// prior. Bandwidths are multiplied with `scale`.
    pub(super) fn new(axes: &[Axis], rows: &[&[f64]], weights: &[f64], scale: f64) -> Mixture {
        let sum: f64 = weights.iter().sum();
        let mut so_far = 0.0;
        let cumulate = |weight: &f64| {
            so_far += weight / sum;
            so_far
        };
        let columns = axes.iter().enumerate().map(|(at, axis)| {
            let places: Vec<f64> = rows.iter().map(|row| row[at]).chain([f64::NAN]).collect();
            column(axis, &places, axes.len(), scale)
        });
        Mixture {
            kernels: rows.len() + 1,
            cumulated: weights.iter().map(cumulate).collect(),
            log_weights: weights.iter().map(|weight| (weight / sum).ln() as f32).collect(),
            columns: columns.collect(),
        }
    }

    /// Draws a place into `to`: a kernel by its share, and each coordinate from it.
    pub(super) fn draw(&self, generator: &mut Pcg64, to: &mut [f64]) {
        let at = unit(generator);
        let kernel = self.cumulated.partition_point(|sum| *sum <= at).min(self.kernels - 1);
        for (column, to) in self.columns.iter().zip(to) {
            *to = match column {
                Column::Line { centres, .. } if centres[kernel].is_nan() => unit(generator),
                Column::Line { centres, widths, .. } => {
                    near(generator, centres[kernel], widths[kernel])
                }
                Column::Choice { own, .. } if own[kernel] < 0.0 => unit(generator),
                Column::Choice { count, own, stay, .. } => {
                    let stays = unit(generator) < *stay || *count == 1;
                    let own = own[kernel] as u64;
                    let other = below(generator, (*count).max(2) - 1);
                    let index = if stays { own } else { other + u64::from(other >= own) };
                    (index as f64 + 0.5) / *count as f64
                }
            };
        }
    }

    /// Returns the logarithm of the density at a place, over its active coordinates; `logs` is room to work in.
    pub(super) fn log_density(&self, place: &[f64], logs: &mut Vec<f32>) -> f32 {
        logs.clear();
        logs.extend_from_slice(&self.log_weights);
        for (column, place) in self.columns.iter().zip(place) {
            if place.is_nan() {
                continue;
            }
            match column {
                Column::Line { middle, steep, peak, .. } => {
                    let place = *place as f32;
                    let cells = middle.iter().zip(steep).zip(peak);
                    for (log, ((middle, steep), peak)) in logs.iter_mut().zip(cells) {
                        let z = (place - middle) * steep;
                        *log += peak - z * z;
                    }
                }
                Column::Choice { count, own, other, log_stay, .. } => {
                    let index = choice(*place, *count) as f32;
                    for (log, (own, other)) in logs.iter_mut().zip(own.iter().zip(other)) {
                        *log += if *own == index { *log_stay } else { *other };
                    }
                }
            }
        }
        log_sum(logs)
    }
}

/// Returns a coordinate of all kernels, the prior with them, from their places on it.
fn column(axis: &Axis, places: &[f64], dimensions: usize, scale: f64) -> Column {
    match axis {
        Axis::Line(cells) => line(cells, places, dimensions, scale),
        Axis::Choice(count) => choices(*count, places),
    }
}

fn line(cells: &Cells, places: &[f64], dimensions: usize, scale: f64) -> Column {
    let active = places.iter().filter(|place| !place.is_nan()).count();
    let wide = scale * bandwidth(active, dimensions);
    // No kernel is narrower than the value it is around.
    let widths: Vec<f64> = places.iter().map(|place| wide.max(cells.half_width(*place))).collect();
    let terms = |(place, width): (&f64, &f64)| {
        if place.is_nan() {
            return [0.0; 3];
        }
        let mass = normal::quick((1.0 - place) / width) - normal::quick(-place / width);
        let peak = -((mass * width) as f32 * SQRT_TAU).ln();
        [*place as f32, std::f32::consts::FRAC_1_SQRT_2 / *width as f32, peak]
    };
    let terms: Vec<[f32; 3]> = places.iter().zip(&widths).map(terms).collect();
    let term = |which: usize| terms.iter().map(|terms| terms[which]).collect();
    let (middle, steep, peak) = (term(0), term(1), term(2));
    Column::Line { centres: places.to_vec(), widths, middle, steep, peak }
}

fn choices(count: u64, places: &[f64]) -> Column {
    let (kernels, choices) = ((places.len() - 1).max(1) as f64, count as f64);
    let prior = CHOICE_PRIOR / kernels;
    let stay = (1.0 + prior) / (1.0 + choices * prior);
    let even = -choices.ln() as f32;
    let leave = ((1.0 - stay) / (choices - 1.0).max(1.0)).ln() as f32;
    let own = |place: &f64| if place.is_nan() { -1.0 } else { choice(*place, count) as f32 };
    Column::Choice {
        count,
        own: places.iter().map(own).collect(),
        other: places.iter().map(|own| if own.is_nan() { even } else { leave }).collect(),
        stay,
        log_stay: stay.ln() as f32,
    }
}

/// Returns the standard deviation of `kernels` kernels in so many dimensions.
fn bandwidth(kernels: usize, dimensions: usize) -> f64 {
    let kernels = kernels.max(1) as f64;
    let scott = 0.2 * kernels.powf(-1.0 / (dimensions as f64 + 4.0));
    scott.max(1.0 / (1.0 + kernels).min(100.0))
}

/// Draws from a bell in [0, 1] by drawing until it is inside; half of the draws are, wherever the centre lies.
fn near(generator: &mut Pcg64, centre: f64, width: f64) -> f64 {
    for _ in 0..64 {
        let place = centre + width * normal::rough(unit(generator));
        if (0.0..=1.0).contains(&place) {
            return place;
        }
    }
    centre
}

/// Returns the logarithm of the sum of exponentials.
fn log_sum(logs: &mut [f32]) -> f32 {
    let mut tops = [f32::NEG_INFINITY; 8];
    let (chunks, rest) = logs.as_chunks::<8>();
    for chunk in chunks {
        for (top, log) in tops.iter_mut().zip(chunk) {
            *top = if *log > *top { *log } else { *top };
        }
    }
    let top = tops.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f32; 8];
    for chunk in chunks {
        for (sum, log) in sums.iter_mut().zip(chunk) {
            *sum += exp(log - top);
        }
    }
    top + (sums.iter().sum::<f32>() + rest.iter().map(|log| exp(log - top)).sum::<f32>()).ln()
}

/// Returns the exponential of a number up to 0, to seven digits; below -87 that of -87.
///
/// A power of two by the exponent bits, the rest by a polynomial: without branches, so that several are computed at a
/// time.
fn exp(x: f32) -> f32 {
    /// Adding it leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let y = if x > -87.0 { x * std::f32::consts::LOG2_E } else { -87.0 * std::f32::consts::LOG2_E };
    let shifted = y + ROUND;
    let t = (y - (shifted - ROUND)) * std::f32::consts::LN_2;
    let rest = 1.0
        + t * (1.0
            + t * (0.5 + t * (1.0 / 6.0 + t * (1.0 / 24.0 + t * (1.0 / 120.0 + t / 720.0)))));
    f32::from_bits(rest.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_close() {
        for i in 0..=87_000 {
            let x = -(i as f32) / 1000.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-5, "{x}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }
}
