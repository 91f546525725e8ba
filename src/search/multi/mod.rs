//! Strategies for several objectives that learn a model.
//!
//! They take any number of objectives, one included. A trial counts as valued when it gave a number for each of them;
//! those that failed or were pruned are bad.

mod boxes;
pub mod ehvi;
pub mod motpe;
pub mod parego;

use crate::search::history::Past;

/// The valued trials of a history and their objectives, each brought to [0, 1].
pub(crate) struct Valued {
    /// Places in the history.
    pub(crate) at: Vec<usize>,
    /// One row of objectives for each.
    pub(crate) rows: Vec<Vec<f64>>,
}

impl Valued {
    /// Returns the valued trials; objectives run from 0, the best value, to 1, the worst value of a trial that `scales`
    /// says to count.
    pub(crate) fn new(
        trials: &[Past],
        objectives: usize,
        scales: impl Fn(&[Vec<f64>]) -> Vec<usize>,
    ) -> Valued {
        let mut at = Vec::new();
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for (place, past) in trials.iter().enumerate() {
            if let Some(values) = past.values()
                && values.len() == objectives
                && values.iter().all(|value| value.is_finite())
            {
                at.push(place);
                rows.push(values.to_vec());
            }
        }
        let scaling = scales(&rows);
        for objective in 0..objectives {
            let best = rows.iter().map(|row| row[objective]).fold(f64::INFINITY, f64::min);
            let worst = scaling.iter().map(|at| rows[*at][objective]).fold(best, f64::max);
            // Halves, as the distance of two large numbers may be too large for one.
            let range = worst / 2.0 - best / 2.0;
            for row in &mut rows {
                let above = row[objective] / 2.0 - best / 2.0;
                row[objective] = if range > 0.0 { above / range } else { above.min(1.0) };
            }
        }
        Valued { at, rows }
    }
}
