//! How alike two rows are.

use super::frame::{Axis, Frame};

/// Where on the line of a parameter a row in which it is not active stands, and its squared distance from that line.
///
/// All rows so have places in one space of points, which is what makes a kernel of their distances one: a distance that is
/// the same to every active row does not, and such matrices have no Cholesky factor.
const INACTIVE: f64 = 0.5;
const OFF_LINE: f64 = 1.0 / 6.0;

/// The shape of a kernel over scaled distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Matérn with parameter 3/2: once differentiable.
    Matern32,
    /// Matérn with parameter 5/2: twice differentiable.
    Matern52,
    /// Squared exponential: as smooth as can be.
    Gauss,
}

impl Shape {
    /// Returns the kernel at a squared distance and its derivative by it.
    pub(crate) fn at(self, square: f64) -> (f64, f64) {
        match self {
            Shape::Matern32 => {
                let a = (3.0 * square).sqrt();
                let fall = (-a).exp();
                ((1.0 + a) * fall, -1.5 * fall)
            }
            Shape::Matern52 => {
                let a = (5.0 * square).sqrt();
                let fall = (-a).exp();
                ((1.0 + a + a * a / 3.0) * fall, -(5.0 / 6.0) * (1.0 + a) * fall)
            }
            Shape::Gauss => {
                let value = (-0.5 * square).exp();
                (value, -0.5 * value)
            }
        }
    }
}

/// A kernel with lengths of its own for each coordinate, see [`Frame::lengths`].
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub shape: Shape,
    /// The inverses of the squared lengths.
    pub weights: Vec<f64>,
    /// The variance of the function.
    pub signal: f64,
    /// The variance of the noise.
    pub noise: f64,
}

impl Kernel {
    /// Returns a kernel whose parameters are logarithms: lengths, then the signal's and the noise's variance.
    pub(crate) fn of(shape: Shape, logs: &[f64]) -> Kernel {
        let (lengths, rest) = logs.split_at(logs.len() - 2);
        Kernel {
            shape,
            weights: lengths.iter().map(|log| (-2.0 * log).exp()).collect(),
            signal: rest[0].exp(),
            noise: rest[1].exp(),
        }
    }

    /// Returns the covariances of a row with others, given by columns, and their derivatives by the squared distance.
    pub(crate) fn against(
        &self,
        frame: &Frame,
        row: &[f64],
        columns: &[Vec<f64>],
    ) -> (Vec<f64>, Vec<f64>) {
        let count = columns.first().map_or(0, Vec::len);
        let mut squares = vec![0.0; count];
        for (at, column) in columns.iter().enumerate() {
            let weights = &self.weights[frame.lengths[at]..frame.lengths[at + 1]];
            let (axis, gaps) = (&frame.axes[at], frame.conditional);
            match weights {
                [weight] => add_squares(axis, gaps, row[at], column, *weight, &mut squares),
                _ => add_choices(axis, row[at], column, weights, &mut squares),
            }
        }
        let mut slopes = vec![0.0; count];
        for (square, slope) in squares.iter_mut().zip(&mut slopes) {
            let (value, by_square) = self.shape.at(*square);
            *square = self.signal * value;
            *slope = self.signal * by_square;
        }
        (squares, slopes)
    }

    /// Turns squared distances into covariances, and writes the derivatives of these to `slopes`.
    pub(crate) fn over(&self, squares: &mut [f64], slopes: &mut Vec<f64>) {
        slopes.clear();
        slopes.extend(squares.iter_mut().map(|square| {
            let (value, slope) = self.shape.at(*square);
            *square = self.signal * value;
            self.signal * slope
        }));
    }
}

fn add_squares(axis: &Axis, gaps: bool, x: f64, column: &[f64], weight: f64, squares: &mut [f64]) {
    match (axis.choice, gaps) {
        (false, false) => {
            for (square, other) in squares.iter_mut().zip(column) {
                *square += weight * (x - other) * (x - other);
            }
        }
        (true, false) => {
            for (square, other) in squares.iter_mut().zip(column) {
                *square += if x == *other { 0.0 } else { weight };
            }
        }
        _ => {
            for (square, other) in squares.iter_mut().zip(column) {
                *square += weight * apart(axis, x, *other);
            }
        }
    }
}

/// Adds the squared distances of choices with a length each: unlike ones are as far apart as both are from the place of
/// none, where rows stand in which the parameter is inactive.
fn add_choices(axis: &Axis, x: f64, column: &[f64], weights: &[f64], squares: &mut [f64]) {
    let weight = |x: f64| if x.is_nan() { 0.0 } else { weights[axis.length_of(x)] };
    let own = weight(x);
    for (square, other) in squares.iter_mut().zip(column) {
        let alike = x == *other || x.is_nan() && other.is_nan();
        *square += if alike { 0.0 } else { own + weight(*other) };
    }
}

/// Returns the squared distance of two places on an axis, as seen by its length numbered `length`.
pub(crate) fn apart_by(axis: &Axis, length: usize, a: f64, b: f64) -> f64 {
    if axis.lengths() == 1 {
        return apart(axis, a, b);
    }
    let is = |x: f64| !x.is_nan() && axis.length_of(x) == length;
    f64::from(u8::from(is(a) != is(b)))
}

/// Returns the squared distance of two places on an axis.
pub(crate) fn apart(axis: &Axis, a: f64, b: f64) -> f64 {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) if axis.choice => f64::from(u8::from(a != b)),
        (false, false) => gap(a, b) * gap(a, b),
        _ if axis.choice => 1.0,
        _ => gap(a, b) * gap(a, b) + OFF_LINE,
    }
}

/// Returns how far two places are apart along a line.
pub(crate) fn gap(a: f64, b: f64) -> f64 {
    let place = |x: f64| if x.is_nan() { INACTIVE } else { x };
    place(a) - place(b)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::search::space::Space;

    #[test]
    fn covariances_of_rows_with_inactive_parameters_have_no_negative_eigenvalue() {
        let space = Space::parse(&json!({
            "kind": ["a", "b"],
            "x": {"type": "real", "low": 0, "high": 1, "when": {"kind": "b"}},
            "z": {"type": "categorical", "choices": ["a", "b", "c"], "when": {"kind": "b"}},
            "y": {"type": "real", "low": 0, "high": 1},
        }))
        .unwrap();
        let frame = Frame::new(&space);
        let row = |i: i32| {
            let x = if i % 2 == 0 { f64::NAN } else { f64::from(i) / 60.0 };
            let z = if i % 2 == 0 { f64::NAN } else { (f64::from(i % 3) + 0.5) / 3.0 };
            vec![f64::from(i % 2), x, z, f64::from(i * 7 % 60) / 60.0]
        };
        let rows: Vec<Vec<f64>> = (0..60).map(row).collect();
        let columns: Vec<Vec<f64>> =
            (0..4).map(|at| rows.iter().map(|row| row[at]).collect()).collect();
        for shape in [Shape::Matern32, Shape::Matern52, Shape::Gauss] {
            let kernel = Kernel::of(shape, &[3.0, -0.3, 0.2, -0.4, 0.9, 1.0, 0.0, -20.0]);
            let all: Vec<f64> =
                rows.iter().flat_map(|row| kernel.against(&frame, row, &columns).0).collect();
            let matrix = nalgebra::DMatrix::from_vec(60, 60, all);
            let smallest = matrix.symmetric_eigenvalues().min();
            assert!(smallest > -1e-9, "{shape:?}: {smallest}");
        }
    }
}
