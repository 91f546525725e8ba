//! Turns of a local search: a region around the best trial, which grows while trials in it succeed and shrinks while they
//! do not.
//!
//! Regions restart at their first size once they have become tiny. How many of four turns are local, one to three,
//! follows how often local and other trials have been clearly better than all before them. All of it is computed from the
//! values in order of their numbers.
//!
//! # Source
//! Eriksson et al., NeurIPS 2019 (TuRBO: the region in units of length-scales); the turns are our choice.

use super::frame::Frame;
use super::kernel::Kernel;

/// The half diagonal of a region at first.
const WIDTH: f64 = 0.3;
/// A region this much smaller restarts.
const TINY: f64 = 0.01;
/// How much an earlier turn counts less than the next one.
const FADING: f64 = 0.9;

/// What the trials so far say about local turns.
pub(crate) struct Local {
    dimensions: f64,
    /// What counts as an improvement.
    least: f64,
    best: f64,
    /// Half the side of the region for the next local turn.
    pub width: f64,
    /// Successes and turns, of local and of other trials.
    credit: [(f64, f64); 2],
}

impl Local {
    /// Returns the state before the first trial; smaller improvements than `least` are none.
    pub(crate) fn new(dimensions: usize, least: f64) -> Local {
        let dimensions = dimensions.max(1) as f64;
        let width = WIDTH / dimensions.sqrt();
        Local { dimensions, least, best: f64::INFINITY, width, credit: [(1.0, 2.0); 2] }
    }

    /// Takes in the value of a trial, which was proposed by a model or not.
    pub(crate) fn learn(&mut self, number: u64, value: f64, modelled: bool) {
        let better = self.best - value > self.least;
        self.best = self.best.min(value);
        if !modelled {
            return;
        }
        let local = self.has_turn(number);
        let credit = &mut self.credit[usize::from(!local)];
        credit.0 = FADING * credit.0 + f64::from(u8::from(better));
        credit.1 = FADING * credit.1 + 1.0;
        if local {
            let first = WIDTH / self.dimensions.sqrt();
            let shrink = 0.5f64.powf((2.0 / (self.dimensions + 1.0)).min(1.0));
            self.width = (self.width * if better { 1.5 } else { shrink }).min(0.5);
            if self.width < TINY * first {
                self.width = first;
            }
        }
    }

    /// Says whether the trial of that number is a local one.
    pub(crate) fn has_turn(&self, number: u64) -> bool {
        let [local, other] = self.credit.map(|(successes, turns)| successes / turns);
        let share = 4.0 * local / (local + other).max(1e-9);
        number % 4 < (share.round() as u64).clamp(1, 3)
    }

    /// Returns the region around a row: wide along coordinates that matter little, whole along those that are inactive there,
    /// as other values of their parents bring them up.
    pub(crate) fn region(&self, frame: &Frame, centre: &[f64], kernel: &Kernel) -> Vec<(f64, f64)> {
        let on_line = |at: &usize| !frame.axes[*at].choice && !centre[*at].is_nan();
        let log_length = |at: usize| -0.5 * kernel.weights[frame.lengths[at]].ln();
        let lines: Vec<usize> = (0..centre.len()).filter(on_line).collect();
        let mean = lines.iter().map(|at| log_length(*at)).sum::<f64>() / lines.len().max(1) as f64;
        let side = |at: usize| {
            if centre[at].is_nan() {
                return (0.0, 1.0);
            }
            if !on_line(&at) {
                return (centre[at], centre[at]);
            }
            let half = self.width * (log_length(at) - mean).exp().clamp(0.3, 3.0);
            ((centre[at] - half).max(0.0), (centre[at] + half).min(1.0))
        };
        (0..centre.len()).map(side).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_widens_the_region_and_earns_turns() {
        let turns = |local: &Local| (0..4).filter(|number| local.has_turn(*number)).count();
        let (mut lucky, mut unlucky) = (Local::new(3, 0.0), Local::new(3, 0.0));
        let first = lucky.width;
        assert_eq!(turns(&lucky), 2);
        for number in 0..40 {
            let local = lucky.has_turn(number);
            lucky.learn(number, if local { -(number as f64) } else { 9.0 }, true);
            let local = unlucky.has_turn(number);
            unlucky.learn(number, if local { 9.0 } else { -(number as f64) }, true);
        }
        assert_eq!((turns(&lucky), turns(&unlucky)), (3, 1));
        assert!(lucky.width > first && unlucky.width < first);
    }
}
