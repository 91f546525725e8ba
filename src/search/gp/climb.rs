//! The row with the largest promise: many rows are scored, the best ones climb.

use rand_pcg::Pcg64;

use super::acquisition::Promise;
use super::minimise::minimise;
use crate::search::stream::{below, unit};

/// Rows drawn from the whole space.
const ANYWHERE: usize = 256;
/// Rows drawn from a region.
const INSIDE: usize = 256;
/// Rows drawn around each of the best trials.
const NEAR_EACH: usize = 24;
/// Rows that climb.
const CLIMBERS: usize = 5;
/// Values of a discrete coordinate that are all tried.
const SWEEP_MAX: usize = 16;

/// Returns rows inside a region around one of them, and the logarithms of their promise, the largest first.
pub(crate) fn climb_inside(
    promise: &Promise,
    centre: &[f64],
    region: &[(f64, f64)],
    generator: &mut Pcg64,
) -> Vec<(f64, Vec<f64>)> {
    let frame = promise.frame;
    let mut rows = Vec::new();
    for turn in 0..INSIDE {
        let mut row = centre.to_vec();
        for (at, (low, high)) in region.iter().enumerate() {
            // Every other row moves in a few coordinates only.
            let moves = !centre[at].is_nan() && low < high;
            if moves && (turn % 2 == 0 || unit(generator) < 3.0 / row.len() as f64) {
                row[at] = low + (high - low) * unit(generator);
            }
        }
        frame.settle(&mut row, generator);
        rows.push(row);
    }
    finish(promise, rows, region, generator)
}

/// Returns rows and the logarithms of their promise, the largest first.
///
/// `leaders` are rows of the best trials, whose neighbours are tried.
pub(crate) fn climb(
    promise: &Promise,
    leaders: &[Vec<f64>],
    generator: &mut Pcg64,
) -> Vec<(f64, Vec<f64>)> {
    let frame = promise.frame;
    let mut rows = Vec::new();
    for _ in 0..ANYWHERE {
        let mut row: Vec<f64> = (0..frame.dimensions()).map(|_| unit(generator)).collect();
        frame.settle(&mut row, generator);
        rows.push(row);
    }
    for leader in leaders {
        for turn in 0..NEAR_EACH {
            rows.push(neighbour(promise, leader, turn, generator));
        }
    }
    finish(promise, rows, &vec![(0.0, 1.0); frame.dimensions()], generator)
}

fn finish(
    promise: &Promise,
    rows: Vec<Vec<f64>>,
    region: &[(f64, f64)],
    generator: &mut Pcg64,
) -> Vec<(f64, Vec<f64>)> {
    let mut scored: Vec<(f64, Vec<f64>)> =
        rows.into_iter().map(|row| (promise.at(&row), row)).collect();
    sort(&mut scored);
    let climbers: Vec<(f64, Vec<f64>)> = spread(&scored, CLIMBERS);
    for (score, row) in climbers {
        scored.push(ascend(promise, score, row, region, generator));
    }
    sort(&mut scored);
    scored
}

/// Returns a row near another one: some of its coordinates moved, by little or much.
fn neighbour(promise: &Promise, leader: &[f64], turn: usize, generator: &mut Pcg64) -> Vec<f64> {
    let frame = promise.frame;
    let mut row = leader.to_vec();
    let scale = [0.3, 0.1, 0.03, 0.01][turn % 4];
    let active: Vec<usize> = (0..row.len()).filter(|at| !row[*at].is_nan()).collect();
    if active.is_empty() {
        return row;
    }
    let all_at_once = turn % 8 < 4 && active.iter().any(|at| frame.smooth(*at));
    let certain = active[below(generator, active.len() as u64) as usize];
    for at in active {
        let moves = match all_at_once && !frame.axes[at].choice {
            true => true,
            false => at == certain || unit(generator) < 1.0 / row.len() as f64,
        };
        if moves {
            frame.nudge(&mut row, at, scale, generator);
        }
    }
    frame.settle(&mut row, generator);
    row
}

/// Returns the best row and further ones that are not close to those before them.
fn spread(scored: &[(f64, Vec<f64>)], count: usize) -> Vec<(f64, Vec<f64>)> {
    let apart = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).any(|(x, y)| x.is_nan() != y.is_nan() || (x - y).abs() > 0.05)
    };
    let mut taken: Vec<(f64, Vec<f64>)> = Vec::new();
    for (score, row) in scored {
        if taken.len() < count && taken.iter().all(|(_, other)| apart(row, other)) {
            taken.push((*score, row.clone()));
        }
    }
    taken
}

fn ascend(
    promise: &Promise,
    score: f64,
    row: Vec<f64>,
    region: &[(f64, f64)],
    generator: &mut Pcg64,
) -> (f64, Vec<f64>) {
    let (mut score, mut row) = (score, row);
    for _ in 0..3 {
        let (before, smooth) = (score, slide(promise, &row, region));
        let value = promise.at(&smooth);
        if value > score {
            (score, row) = (value, smooth);
        }
        sweep(promise, &mut score, &mut row, region, generator);
        if score <= before + 1e-3 {
            break;
        }
    }
    (score, row)
}

/// Follows the slope along the coordinates that have one.
fn slide(promise: &Promise, row: &[f64], region: &[(f64, f64)]) -> Vec<f64> {
    let frame = promise.frame;
    let free: Vec<usize> =
        (0..row.len()).filter(|at| frame.smooth(*at) && !row[*at].is_nan()).collect();
    if free.is_empty() {
        return row.to_vec();
    }
    let (mut whole, mut slope) = (row.to_vec(), vec![0.0; row.len()]);
    let loss = |places: &[f64], gradient: &mut [f64]| {
        free.iter().zip(places).for_each(|(at, x)| whole[*at] = *x);
        let value = promise.slope(&whole, &mut slope);
        free.iter().zip(gradient).for_each(|(at, g)| *g = -slope[*at]);
        -value
    };
    let start = free.iter().map(|at| row[*at]).collect();
    let bounds: Vec<(f64, f64)> = free.iter().map(|at| region[*at]).collect();
    let (places, _) = minimise(start, &bounds, 30, 1e-6, loss);
    let mut best = row.to_vec();
    free.iter().zip(places).for_each(|(at, x)| best[*at] = x);
    best
}

/// Tries other values of each coordinate that has cells, one coordinate at a time.
fn sweep(
    promise: &Promise,
    score: &mut f64,
    row: &mut Vec<f64>,
    region: &[(f64, f64)],
    generator: &mut Pcg64,
) {
    let frame = promise.frame;
    for at in 0..row.len() {
        let cells = &frame.axes[at].cells;
        if row[at].is_nan() || cells.is_empty() {
            continue;
        }
        let own = cells.partition_point(|cell| *cell < row[at]);
        let tried: Vec<usize> = if cells.len() <= SWEEP_MAX {
            (0..cells.len()).collect()
        } else {
            let far = cells.len() / 8;
            let steps = [1, 2, 4, far, 2 * far];
            let down = steps.iter().filter_map(|step| own.checked_sub(*step));
            down.chain(steps.iter().map(|step| own + step)).filter(|i| *i < cells.len()).collect()
        };
        for cell in tried {
            let mut other = row.clone();
            other[at] = cells[cell];
            if other[at] == row[at] || other[at] < region[at].0 || other[at] > region[at].1 {
                continue;
            }
            frame.settle(&mut other, generator);
            let value = promise.at(&other);
            if value > *score {
                (*score, *row) = (value, other);
            }
        }
    }
}

fn sort(scored: &mut [(f64, Vec<f64>)]) {
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
}
