//! A region around the best trial that grows while trials in it succeed and shrinks while they do not.

use super::frame::Frame;
use super::kernel::Kernel;
use super::past::Rows;
use super::knob;

/// Returns half the width of the region for the next trial.
pub(crate) fn width(rows: &Rows, startup: u64, dimensions: usize) -> f64 {
    let mut width: f64 = knob("WIDTH", 0.2);
    let mut best = f64::INFINITY;
    let shrink = 0.5f64.powf(knob("SHRINK", 2.0) / (dimensions as f64 + 1.0)).max(0.5);
    for (number, _, value) in rows.valued() {
        let better = value < best;
        best = best.min(value);
        if number >= startup && number % 4 < knob("LOCAL", 0.0) as u64 {
            width *= if better { 1.5 } else { shrink };
            width = width.min(0.5);
            if width < 0.002 { width = 0.2; }
        }
    }
    width
}

/// Returns the region around a row.
pub(crate) fn region(frame: &Frame, centre: &[f64], width: f64, kernel: &Kernel) -> Vec<(f64, f64)> {
    let lines: Vec<usize> =
        (0..centre.len()).filter(|at| !frame.axes[*at].choice && !centre[*at].is_nan()).collect();
    let log_length = |at: usize| -0.5 * kernel.weights[at].ln();
    let mean = lines.iter().map(|at| log_length(*at)).sum::<f64>() / lines.len().max(1) as f64;
    let side = |at: usize| {
        if !lines.contains(&at) {
            return (centre[at], centre[at]);
        }
        let half = width * (log_length(at) - mean).exp().clamp(0.3, 3.0);
        ((centre[at] - half).max(0.0), (centre[at] + half).min(1.0))
    };
    (0..centre.len()).map(side).collect()
}
