//! The Cholesky factor of a matrix that grows by rows.

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
        for j in 0..self.size {
            let other = &above[start(j)..start(j + 1)];
            own[j] = (own[j] - dot(&own[..j], &other[..j])) / other[j];
        }
        let pivot = own[self.size] - dot(&own[..self.size], &own[..self.size]);
        own[self.size] = pivot.max(1e-12 * row[self.size]).sqrt();
        self.size += 1;
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.rows[start(i)..start(i + 1)]
    }

    /// Solves `L·x = b` in place.
    pub(crate) fn solve_lower(&self, b: &mut [f64]) {
        for i in 0..self.size {
            let row = self.row(i);
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
    }

    /// Solves `Lᵀ·x = b` in place.
    pub(crate) fn solve_upper(&self, b: &mut [f64]) {
        for i in (0..self.size).rev() {
            let row = self.row(i);
            let x = b[i] / row[i];
            b[i] = x;
            for (other, entry) in b[..i].iter_mut().zip(row) {
                *other -= x * entry;
            }
        }
    }

    /// Returns the logarithm of the determinant of the matrix.
    pub(crate) fn log_determinant(&self) -> f64 {
        (0..self.size).map(|i| 2.0 * self.row(i)[i].ln()).sum()
    }

    /// Returns the inverse of the matrix, its lower triangle by rows.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let n = self.size;
        // The inverse of L, transposed: row j holds column j from its diagonal on.
        let mut columns = vec![0.0; n * n];
        for j in 0..n {
            let column = &mut columns[j * n..(j + 1) * n];
            column[j] = 1.0 / self.row(j)[j];
            for i in j + 1..n {
                let row = self.row(i);
                column[i] = -dot(&row[j..i], &column[j..i]) / row[i];
            }
        }
        let mut inverse = Vec::with_capacity(start(n));
        for i in 0..n {
            for j in 0..=i {
                inverse
                    .push(dot(&columns[i * n + i..(i + 1) * n], &columns[j * n + i..(j + 1) * n]));
            }
        }
        inverse
    }
}

fn start(row: usize) -> usize {
    row * (row + 1) / 2
}

/// Returns the inner product, summed in eight lanes so that it can run in parallel.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (mut a, mut b) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in (&mut a).zip(&mut b) {
        for lane in 0..8 {
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
        let inverse = factor.inverse();
        for i in 0..n {
            let product: f64 = (0..n).map(|j| entry(i, j) * x[j]).sum();
            assert!((product - wanted[i]).abs() < 1e-10);
            let at = |i: usize, j: usize| inverse[start(i.max(j)) + i.min(j)];
            let direct: f64 = (0..n).map(|j| at(i, j) * wanted[j]).sum();
            assert!((direct - x[i]).abs() < 1e-9);
        }
    }
}
