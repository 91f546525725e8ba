//! The Cholesky factor of a matrix that grows by rows.

use multiversion::multiversion;

/// A lower triangle `L` with `L·Lᵀ` the matrix of the rows handed in.
///
/// Each row depends on those before it only, so a factor that has grown equals one computed at once, bit by bit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cholesky {
    size: usize,
    /// The rows of the triangle one after the other.
    rows: Vec<f64>,
}

impl Cholesky {
    /// Forgets all rows from `size` on.
    pub(crate) fn truncate(&mut self, size: usize) {
        self.size = self.size.min(size);
        self.rows.truncate(start(self.size));
    }

    /// Adds a row of the matrix: its entries up to and with the diagonal.
    ///
    /// A pivot that rounding has made too small is raised, as a little noise would.
    pub(crate) fn push(&mut self, row: &[f64]) {
        let at = self.rows.len();
        self.rows.extend_from_slice(row);
        let (above, own) = self.rows.split_at_mut(at);
        factor_row(above, own);
        self.size += 1;
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.rows[start(i)..start(i + 1)]
    }

    /// Solves `L·x = b` in place.
    pub(crate) fn solve_lower(&self, b: &mut [f64]) {
        solve_lower(&self.rows, &mut b[..self.size]);
    }

    /// Solves `Lᵀ·x = b` in place.
    pub(crate) fn solve_upper(&self, b: &mut [f64]) {
        solve_upper(&self.rows, &mut b[..self.size]);
    }

    /// Returns the logarithm of the determinant of the matrix.
    pub(crate) fn log_determinant(&self) -> f64 {
        (0..self.size).map(|i| 2.0 * self.row(i)[i].ln()).sum()
    }

    /// Writes the inverse of the matrix to `to`, its lower triangle by rows; `room` is worked in.
    pub(crate) fn inverse(&self, room: &mut Vec<f64>, to: &mut Vec<f64>) {
        inverse(&self.rows, self.size, room, to);
    }
}

/// Turns a row of the matrix into one of the triangle, which has the rows `above`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
fn factor_row(above: &[f64], own: &mut [f64]) {
    let (own, last) = own.split_at_mut(own.len() - 1);
    substitute(above, own);
    let pivot = last[0] - lanes(own, own);
    last[0] = pivot.max(1e-12 * last[0]).sqrt();
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
fn solve_lower(rows: &[f64], b: &mut [f64]) {
    substitute(rows, b);
}

/// Solves `L·x = b` in place.
#[inline(always)]
fn substitute(rows: &[f64], b: &mut [f64]) {
    for i in 0..b.len() {
        let row = &rows[start(i)..start(i + 1)];
        b[i] = (b[i] - lanes(&row[..i], &b[..i])) / row[i];
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
fn solve_upper(rows: &[f64], b: &mut [f64]) {
    for i in (0..b.len()).rev() {
        let row = &rows[start(i)..start(i + 1)];
        let x = b[i] / row[i];
        b[i] = x;
        for (other, entry) in b[..i].iter_mut().zip(row) {
            *other -= x * entry;
        }
    }
}

/// Works on four rows at a time, in whole registers: there are zeros beyond the diagonals, up to a multiple of [`WIDTH`].
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
fn inverse(rows: &[f64], n: usize, lower: &mut Vec<f64>, to: &mut Vec<f64>) {
    let (wide, tall) = (n.next_multiple_of(WIDTH), n.next_multiple_of(4));
    // The inverse of L: each of its rows is made of those above it.
    lower.clear();
    lower.resize(tall * wide + wide, 0.0);
    let (lower, sums) = lower.split_at_mut(tall * wide);
    for i in 0..n {
        let row = &rows[start(i)..start(i + 1)];
        let (above, own) = lower.split_at_mut(i * wide);
        let mut above = above.chunks_exact(4 * wide);
        let mut at = 0;
        for four in &mut above {
            let factors = [row[at], row[at + 1], row[at + 2], row[at + 3]];
            at += 4;
            add_rows(&mut own[..at.next_multiple_of(WIDTH)], factors, four, wide);
        }
        for (other, factor) in above.remainder().chunks_exact(wide).zip(&row[at..i]) {
            own.iter_mut().zip(&other[..i]).for_each(|(sum, entry)| *sum += factor * entry);
        }
        let scale = 1.0 / row[i];
        own[..i].iter_mut().for_each(|sum| *sum *= -scale);
        own[i] = scale;
    }
    // Its transpose times itself.
    to.clear();
    for i in 0..n {
        sums.fill(0.0);
        for four in lower.chunks_exact(4 * wide).skip(i / 4) {
            let factor = |k: usize| four[k * wide + i];
            let factors = [factor(0), factor(1), factor(2), factor(3)];
            add_rows(&mut sums[..(i + 1).next_multiple_of(WIDTH)], factors, four, wide);
        }
        to.extend_from_slice(&sums[..=i]);
    }
}

/// Numbers in a register, at most.
const WIDTH: usize = 8;

/// Adds four rows, each `wide`, times a factor each.
#[inline(always)]
fn add_rows(to: &mut [f64], factors: [f64; 4], rows: &[f64], wide: usize) {
    let count = to.len();
    let row = |k: usize| &rows[k * wide..k * wide + count];
    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
    for i in 0..count {
        to[i] += (factors[0] * a[i] + factors[1] * b[i]) + (factors[2] * c[i] + factors[3] * d[i]);
    }
}

fn start(row: usize) -> usize {
    row * (row + 1) / 2
}

/// Returns the inner product.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    lanes(a, b)
}

/// Returns the inner product, summed in eight lanes so that it can run in parallel: the same wherever it is computed.
#[inline(always)]
fn lanes(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; WIDTH];
    let (mut a, mut b) = (a.chunks_exact(WIDTH), b.chunks_exact(WIDTH));
    for (x, y) in (&mut a).zip(&mut b) {
        for lane in 0..WIDTH {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    let quarter = |at: usize| lanes[at] + lanes[at + 4];
    (quarter(0) + quarter(2)) + (quarter(1) + quarter(3)) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_inverts_and_shrinks() {
        let n = 23;
        let entry = |i: usize, j: usize| {
            (-0.1 * (i as f64 - j as f64).powi(2)).exp() + if i == j { 0.1 } else { 0.0 }
        };
        let mut factor = Cholesky::default();
        for i in 0..n {
            factor.push(&(0..=i).map(|j| entry(i, j)).collect::<Vec<_>>());
        }
        let full = factor.clone();
        factor.truncate(10);
        for i in 10..n {
            factor.push(&(0..=i).map(|j| entry(i, j)).collect::<Vec<_>>());
        }
        assert_eq!(factor.rows, full.rows);
        let mut x: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let wanted = x.clone();
        factor.solve_lower(&mut x);
        factor.solve_upper(&mut x);
        let mut inverse = Vec::new();
        factor.inverse(&mut Vec::new(), &mut inverse);
        for i in 0..n {
            let product: f64 = (0..n).map(|j| entry(i, j) * x[j]).sum();
            assert!((product - wanted[i]).abs() < 1e-10);
            let at = |i: usize, j: usize| inverse[start(i.max(j)) + i.min(j)];
            let direct: f64 = (0..n).map(|j| at(i, j) * wanted[j]).sum();
            assert!((direct - x[i]).abs() < 1e-9);
        }
    }
}
