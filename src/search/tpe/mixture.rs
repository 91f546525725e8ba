//! Mixtures of kernels around trials, in single precision and by blocks of kernels, so that the processor adds up several
//! at a time.

use multiversion::multiversion;
use rand_pcg::Pcg64;

use super::frame::{Axis, Cells, choice};
use crate::search::normal;
use crate::search::stream::{below, unit};

const SQRT_TAU: f32 = 2.506_628_3;
/// How much of the prior goes into the chances of choices: the whole share of the prior, as Optuna takes, explores
/// where there are few trials more than pays.
const CHOICE_PRIOR: f64 = 0.3;

/// Kernels in a block.
const LANES: usize = 16;
/// A number for each kernel of a block.
type Lanes = [f32; LANES];

/// Kernels around trials, and one for the prior, which comes last.
pub(super) struct Mixture {
    kernels: usize,
    /// Sums of the shares of the kernels up to each.
    cumulated: Vec<f64>,
    columns: Vec<Column>,
    /// The logarithms of the shares by block; what fills up the last block weighs nothing.
    log_weights: Vec<Lanes>,
    /// For each block one entry a column, see [`Column`].
    terms: Vec<[Lanes; 3]>,
}

/// One coordinate of all kernels.
///
/// The terms of a line are the centre, `sqrt(1/2)` over the width, and the logarithm of the density at the centre, all 0
/// where the parameter was inactive. Those of a choice are the kernel's own, -1 where inactive, and the logarithm of the
/// chance of another one.
enum Column {
    Line {
        /// NaN where the parameter was inactive.
        centres: Vec<f64>,
        widths: Vec<f64>,
    },
    Choice {
        count: u64,
        /// The choice of each kernel; none where the parameter was inactive.
        own: Vec<Option<u64>>,
        /// The chance of the own choice, and its logarithm.
        stay: f64,
        log_stay: f32,
    },
}

impl Column {
    fn is_line(&self) -> bool {
        matches!(self, Column::Line { .. })
    }
}

/// Room to work in.
#[derive(Default)]
pub(super) struct Room {
    at: Vec<f32>,
    logs: Vec<Lanes>,
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
        let kernels = rows.len() + 1;
        let blocks = kernels.div_ceil(LANES);
        let mut log_weights = vec![[f32::NEG_INFINITY; LANES]; blocks];
        for (at, weight) in weights.iter().enumerate() {
            log_weights[at / LANES][at % LANES] = (weight / sum).ln() as f32;
        }
        let mut terms = vec![[[0.0; LANES]; 3]; blocks * axes.len()];
        let columns = axes.iter().enumerate().map(|(column, axis)| {
            let places: Vec<f64> = rows.iter().map(|row| row[column]).chain([f64::NAN]).collect();
            let put = |kernel: usize, values: [f32; 3]| {
                let entry = &mut terms[kernel / LANES * axes.len() + column];
                for (lanes, value) in entry.iter_mut().zip(values) {
                    lanes[kernel % LANES] = value;
                }
            };
            match axis {
                Axis::Line(cells) => line(cells, places, axes.len(), scale, put),
                Axis::Choice(count) => choices(*count, &places, put),
            }
        });
        let columns: Vec<Column> = columns.collect();
        for (column, _) in columns.iter().enumerate().filter(|(_, column)| column.is_line()) {
            terms[column..].iter_mut().step_by(axes.len()).for_each(settle_lines);
        }
        Mixture {
            kernels,
            cumulated: weights.iter().map(cumulate).collect(),
            columns,
            log_weights,
            terms,
        }
    }

    /// Draws a place into `to`: a kernel by its share, and each coordinate from it.
    pub(super) fn draw(&self, generator: &mut Pcg64, to: &mut [f64]) {
        let at = unit(generator);
        let kernel = self.cumulated.partition_point(|sum| *sum <= at).min(self.kernels - 1);
        for (column, to) in self.columns.iter().zip(to) {
            *to = match column {
                Column::Line { centres, .. } if centres[kernel].is_nan() => unit(generator),
                Column::Line { centres, widths } => {
                    near(generator, centres[kernel], widths[kernel])
                }
                Column::Choice { count, own, stay, .. } => match own[kernel] {
                    None => unit(generator),
                    Some(own) => {
                        let stays = unit(generator) < *stay || *count == 1;
                        let other = below(generator, (*count).max(2) - 1);
                        let index = if stays { own } else { other + u64::from(other >= own) };
                        (index as f64 + 0.5) / *count as f64
                    }
                },
            };
        }
    }

    /// Returns the logarithm of the density at a place, over its active coordinates.
    pub(super) fn log_density(&self, place: &[f64], room: &mut Room) -> f32 {
        room.at.clear();
        room.at.extend(self.columns.iter().zip(place).map(|(column, place)| match column {
            Column::Choice { count, .. } if !place.is_nan() => choice(*place, *count) as f32,
            _ => *place as f32,
        }));
        log_density(&self.columns, &self.log_weights, &self.terms, &room.at, &mut room.logs)
    }
}

/// Returns the logarithm of the density at a place; `logs` is room to work in.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
fn log_density(
    columns: &[Column],
    log_weights: &[Lanes],
    terms: &[[Lanes; 3]],
    place: &[f32],
    logs: &mut Vec<Lanes>,
) -> f32 {
    logs.clear();
    let width = columns.len();
    for (block, log_weights) in log_weights.iter().enumerate() {
        let mut sums = *log_weights;
        let terms = &terms[block * width..(block + 1) * width];
        for ((column, terms), at) in columns.iter().zip(terms).zip(place) {
            if !at.is_nan() {
                add(column, terms, *at, &mut sums);
            }
        }
        logs.push(sums);
    }
    log_sum(logs)
}

/// Adds the logarithms of the densities of a block's kernels along one coordinate.
#[inline(always)]
fn add(column: &Column, terms: &[Lanes; 3], at: f32, logs: &mut Lanes) {
    match column {
        Column::Line { .. } => {
            let [middle, steep, peak] = terms;
            for (((log, middle), steep), peak) in logs.iter_mut().zip(middle).zip(steep).zip(peak) {
                let z = (at - middle) * steep;
                *log += peak - z * z;
            }
        }
        Column::Choice { log_stay, .. } => {
            let ([own, other, _], stay) = (terms, *log_stay);
            // Both sides are at hand, so that no lane takes a branch.
            for ((log, own), other) in logs.iter_mut().zip(*own).zip(*other) {
                *log += if own == at { stay } else { other };
            }
        }
    }
}

/// Returns a line of all kernels, the prior with them, from their places on it, and hands their places and widths to `put`,
/// for [`settle_lines`].
fn line(
    cells: &Cells,
    places: Vec<f64>,
    dimensions: usize,
    scale: f64,
    mut put: impl FnMut(usize, [f32; 3]),
) -> Column {
    let active = places.iter().filter(|place| !place.is_nan()).count();
    let wide = scale * bandwidth(active, dimensions);
    // No kernel is narrower than the value it is around.
    let widths: Vec<f64> = places.iter().map(|place| wide.max(cells.half_width(*place))).collect();
    for (at, (place, width)) in places.iter().zip(&widths).enumerate() {
        if !place.is_nan() {
            put(at, [*place as f32, *width as f32, 0.0]);
        }
    }
    Column::Line { centres: places, widths }
}

/// Turns places and widths of kernels, 0 where there is none, into the terms of a line. A bell's mass is that inside [0, 1].
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
fn settle_lines(terms: &mut [Lanes; 3]) {
    let [places, steeps, peaks] = terms;
    for ((place, steep), peak) in places.iter().zip(steeps).zip(peaks) {
        let width = *steep;
        let is_there = width > 0.0;
        let by_width = std::f32::consts::FRAC_1_SQRT_2 / width;
        let mass = 0.5 * (erf(place * by_width) + erf((1.0 - place) * by_width));
        let logarithm = ln(mass * width * SQRT_TAU);
        *steep = if is_there { by_width } else { 0.0 };
        *peak = if is_there { -logarithm } else { 0.0 };
    }
}

/// Returns a choice of all kernels, the prior with them, and hands their terms to `put`.
fn choices(count: u64, places: &[f64], mut put: impl FnMut(usize, [f32; 3])) -> Column {
    let (kernels, choices) = ((places.len() - 1).max(1) as f64, count as f64);
    let prior = CHOICE_PRIOR / kernels;
    let stay = (1.0 + prior) / (1.0 + choices * prior);
    let even = -choices.ln() as f32;
    let leave = ((1.0 - stay) / (choices - 1.0).max(1.0)).ln() as f32;
    let own = |place: &f64| (!place.is_nan()).then(|| choice(*place, count));
    let own: Vec<Option<u64>> = places.iter().map(own).collect();
    for (at, own) in own.iter().enumerate() {
        put(at, own.map_or([-1.0, even, 0.0], |own| [own as f32, leave, 0.0]));
    }
    Column::Choice { count, own, stay, log_stay: stay.ln() as f32 }
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
#[inline(always)]
fn log_sum(logs: &[Lanes]) -> f32 {
    let mut tops = [f32::NEG_INFINITY; LANES];
    for block in logs {
        for (top, log) in tops.iter_mut().zip(block) {
            *top = if *log > *top { *log } else { *top };
        }
    }
    let top = tops.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f32; LANES];
    for block in logs {
        for (sum, log) in sums.iter_mut().zip(block) {
            *sum += exp(log - top);
        }
    }
    top + sums.iter().sum::<f32>().ln()
}

/// Returns the exponential of a number up to 0, to seven digits; below -87 that of -87.
///
/// A power of two by the exponent bits, the rest by a polynomial: without branches, so that several are computed at a
/// time.
#[inline(always)]
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

/// Returns the logarithm of a positive number that is not subnormal, to six digits.
///
/// The exponent bits give a whole power of two, what is left lies around 1: there the series of the inverse hyperbolic
/// tangent ends soon.
#[inline(always)]
fn ln(x: f32) -> f32 {
    /// The bits of the square root of one half: from there on numbers are around 1.
    const AROUND: u32 = 0x3f35_04f3;
    let above = x.to_bits().wrapping_sub(AROUND);
    let power = (above.cast_signed() >> 23) as f32;
    let rest = f32::from_bits((above & 0x007f_ffff) + AROUND);
    let s = (rest - 1.0) / (rest + 1.0);
    let t = s * s;
    power * std::f32::consts::LN_2
        + 2.0 * s * (1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t / 9.0))))
}

/// Returns the error function of a number that is not negative, to six digits.
///
/// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let tail = t
        * (0.254_829_6
            + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
    1.0 - tail * exp(-x * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_functions_are_close() {
        for i in 0..=10_000 {
            let x = i as f32 / 1000.0;
            let wanted = 1.0 - 2.0 * normal::below(-f64::from(x) * std::f64::consts::SQRT_2);
            assert!((f64::from(erf(x)) - wanted).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn logarithms_are_close() {
        for i in 0..100_000u32 {
            let x = f32::from_bits(0x0080_0000 + i * 21_000);
            assert!((ln(x) - x.ln()).abs() <= 2e-7 * x.ln().abs().max(1.0), "{x}");
        }
    }

    #[test]
    fn exponentials_are_close() {
        for i in 0..=87_000 {
            let x = -(i as f32) / 1000.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-5, "{x}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }
}
