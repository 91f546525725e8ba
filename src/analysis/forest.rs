//! A random forest of regression trees on the unit cube, made to be integrated: each leaf is a box.
//!
//! # Source
//! Breiman, Machine Learning 45 (2001); splits by the largest decrease of squared error, on bootstrap samples, each from
//! two thirds of the axes.

use rand_pcg::Pcg64;

use crate::search::stream::{Purpose, below, stream};

/// How one axis of the cube is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// At a threshold.
    Line,
    /// Into two sets of its values, which are whole numbers below this.
    Choice(usize),
}

/// Trees of a forest.
const TREES: u64 = 64;
/// A node with fewer rows is a leaf.
const SPLIT_MIN: usize = 4;
/// No path is longer.
const DEPTH_MAX: usize = 24;

/// A part of an axis: of a line an interval, of a choice a set.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// From, to.
    Interval(f64, f64),
    /// For each value whether it is inside.
    Set(Vec<bool>),
}

impl Side {
    /// Returns the share of the axis it covers.
    pub fn share(&self) -> f64 {
        match self {
            Side::Interval(from, to) => to - from,
            Side::Set(inside) => {
                inside.iter().filter(|inside| **inside).count() as f64 / inside.len() as f64
            }
        }
    }

    /// Returns whether a value lies in it.
    pub fn has(&self, x: f64) -> bool {
        match self {
            Side::Interval(from, to) => *from <= x && x < *to,
            Side::Set(inside) => inside.get(x as usize).copied().unwrap_or(false),
        }
    }
}

/// A leaf: a box and what is predicted in it.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The box, a side for each axis.
    pub sides: Vec<Side>,
    /// The mean of its rows.
    pub value: f64,
}

/// A tree, as its leaves.
pub type Tree = Vec<Leaf>;

/// Grows a forest on rows of places and their values; the same rows and seed give the same forest.
pub fn grow(axes: &[Axis], rows: &[Vec<f64>], values: &[f64], seed: u64) -> Vec<Tree> {
    (0..TREES)
        .map(|tree| {
            let mut generator = stream(seed, tree, Purpose::Model, 0);
            let n = rows.len() as u64;
            let sample: Vec<usize> = (0..n).map(|_| below(&mut generator, n) as usize).collect();
            let sides = axes
                .iter()
                .map(|axis| match axis {
                    Axis::Line => Side::Interval(0.0, 1.0),
                    Axis::Choice(count) => Side::Set(vec![true; *count]),
                })
                .collect();
            let mut leaves = Vec::new();
            let data = Data { axes, rows, values };
            data.split(sample, sides, 0, &mut generator, &mut leaves);
            leaves
        })
        .collect()
}

struct Data<'a> {
    axes: &'a [Axis],
    rows: &'a [Vec<f64>],
    values: &'a [f64],
}

/// How a node is cut in two.
struct Cut {
    axis: usize,
    lower: Side,
    upper: Side,
    gain: f64,
}

impl Data<'_> {
    fn split(
        &self,
        sample: Vec<usize>,
        sides: Vec<Side>,
        depth: usize,
        generator: &mut Pcg64,
        leaves: &mut Tree,
    ) {
        let cut = (sample.len() >= SPLIT_MIN && depth < DEPTH_MAX)
            .then(|| self.best_cut(&sample, &sides, generator))
            .flatten();
        let Some(cut) = cut else {
            let sum: f64 = sample.iter().map(|&at| self.values[at]).sum();
            leaves.push(Leaf { sides, value: sum / sample.len() as f64 });
            return;
        };
        let (lower, upper): (Vec<usize>, Vec<usize>) =
            sample.into_iter().partition(|&at| cut.lower.has(self.rows[at][cut.axis]));
        for (rows, side) in [(lower, cut.lower), (upper, cut.upper)] {
            let mut sides = sides.clone();
            sides[cut.axis] = side;
            self.split(rows, sides, depth + 1, generator, leaves);
        }
    }

    fn best_cut(&self, sample: &[usize], sides: &[Side], generator: &mut Pcg64) -> Option<Cut> {
        let mut order: Vec<usize> = (0..self.axes.len()).collect();
        let tries = (2 * order.len()).div_ceil(3);
        for at in 0..tries {
            let other = at + below(generator, (order.len() - at) as u64) as usize;
            order.swap(at, other);
        }
        let mut best: Option<Cut> = None;
        for (place, &axis) in order.iter().enumerate() {
            // Beyond the drawn axes only as long as none of these can be cut.
            if place >= tries && best.is_some() {
                break;
            }
            let cut = match (&self.axes[axis], &sides[axis]) {
                (Axis::Line, Side::Interval(from, to)) => self.cut_line(sample, axis, *from, *to),
                (Axis::Choice(_), Side::Set(inside)) => self.cut_choice(sample, axis, inside),
                _ => None,
            };
            if let Some(cut) = cut
                && best.as_ref().is_none_or(|best| cut.gain > best.gain)
            {
                best = Some(cut);
            }
        }
        best
    }

    fn cut_line(&self, sample: &[usize], axis: usize, from: f64, to: f64) -> Option<Cut> {
        let mut points: Vec<(f64, f64)> =
            sample.iter().map(|&at| (self.rows[at][axis], self.values[at])).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (place, gain) = best_place(&points)?;
        let middle = f64::midpoint(points[place - 1].0, points[place].0);
        let (lower, upper) = (Side::Interval(from, middle), Side::Interval(middle, to));
        Some(Cut { axis, lower, upper, gain })
    }

    /// Orders the choices by their mean: the best of all two-part splits is one of those along this order.
    fn cut_choice(&self, sample: &[usize], axis: usize, inside: &[bool]) -> Option<Cut> {
        let mut sums = vec![(0.0, 0.0); inside.len()];
        for &at in sample {
            let of = &mut sums[self.rows[at][axis] as usize];
            *of = (of.0 + self.values[at], of.1 + 1.0);
        }
        let mean = |choice: usize| sums[choice].0 / sums[choice].1;
        let mut points: Vec<(f64, f64)> = sample
            .iter()
            .map(|&at| (mean(self.rows[at][axis] as usize), self.values[at]))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (place, gain) = best_place(&points)?;
        let middle = f64::midpoint(points[place - 1].0, points[place].0);
        let lower: Vec<bool> = (0..inside.len())
            .map(|choice| inside[choice] && sums[choice].1 > 0.0 && mean(choice) < middle)
            .collect();
        // Choices nobody tried go with the upper part: somewhere they must go.
        let upper = (0..inside.len()).map(|choice| inside[choice] && !lower[choice]).collect();
        Some(Cut { axis, lower: Side::Set(lower), upper: Side::Set(upper), gain })
    }
}

/// Returns where ordered points are best cut in two, and by how much that lowers the squared error.
fn best_place(points: &[(f64, f64)]) -> Option<(usize, f64)> {
    let total: f64 = points.iter().map(|point| point.1).sum();
    let n = points.len() as f64;
    let (mut sum, mut best) = (0.0, None);
    for place in 1..points.len() {
        sum += points[place - 1].1;
        if points[place - 1].0 >= points[place].0 {
            continue;
        }
        let (left, right) = (place as f64, n - place as f64);
        let gain = sum * sum / left + (total - sum) * (total - sum) / right - total * total / n;
        if gain > 1e-12 && best.is_none_or(|(_, most)| gain > most) {
            best = Some((place, gain));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::stream::unit;

    #[test]
    fn leaves_fill_the_cube_and_follow_the_values() {
        let axes = [Axis::Line, Axis::Choice(3)];
        let mut generator = stream(1, 0, Purpose::Point, 0);
        let rows: Vec<Vec<f64>> =
            (0..300).map(|_| vec![unit(&mut generator), below(&mut generator, 3) as f64]).collect();
        let truth = |row: &[f64]| row[0] * 4.0 + if row[1] == 2.0 { 3.0 } else { 0.0 };
        let values: Vec<f64> = rows.iter().map(|row| truth(row)).collect();
        let forest = grow(&axes, &rows, &values, 7);
        for tree in &forest {
            let volume: f64 =
                tree.iter().map(|leaf| leaf.sides.iter().map(Side::share).product::<f64>()).sum();
            assert!((volume - 1.0).abs() < 1e-9, "{volume}");
        }
        let predict = |row: &[f64]| {
            let of = |tree: &Tree| {
                let inside =
                    |leaf: &&Leaf| leaf.sides.iter().zip(row).all(|(side, x)| side.has(*x));
                tree.iter().find(inside).expect("a leaf").value
            };
            forest.iter().map(of).sum::<f64>() / forest.len() as f64
        };
        for row in [[0.1, 0.0], [0.9, 2.0], [0.5, 1.0]] {
            assert!((predict(&row) - truth(&row)).abs() < 0.3, "{row:?}: {}", predict(&row));
        }
    }
}
