//! How alike two points of two curves are.
//!
//! A loss is the sum of what training ends at, smooth in the parameters; of what is still to be learnt, which falls with the
//! epochs as mixtures of exponentials do and has a part that all trials share, one that is smooth in the parameters and
//! one of the trial alone; of what over-fitting adds, which grows with the epochs; and of noise.
//!
//! # Source
//! The kernel over epochs: Swersky et al., arXiv 1406.3896 (freeze-thaw); its parts here are ours.

use crate::search::gp::kernel::Shape;

/// Parameters after the lengths, all logarithms.
pub(crate) const SHARED: usize = 10;

/// The variances and scales of a kernel over curves.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// For each coordinate the inverse of its squared length.
    pub weights: Vec<f64>,
    /// By how much squared distances shrink where it is about what is still to be learnt.
    pub stretch: f64,
    /// The variance of the end, over parameters.
    pub end: f64,
    /// The variance of over-fitting at the last epoch, over parameters.
    pub late: f64,
    /// The variance of what is to be learnt at the first epoch, over parameters.
    pub fall: f64,
    /// The same, shared by all.
    pub common: f64,
    /// The variance of the end, of a trial alone.
    pub own_end: f64,
    /// The variance of what is to be learnt, of a trial alone.
    pub own_fall: f64,
    /// The variance of the noise of an epoch.
    pub noise: f64,
    /// How fast learning goes.
    pub speed: f64,
    /// The epochs before it becomes slower.
    pub delay: f64,
    /// The epochs of a full training.
    pub epochs: f64,
}

/// How what two points have in common changes: with their distance, and with the logarithms of the parameters.
pub(crate) struct Parts {
    /// By the squared distance, as it is for the end and for what is to be learnt.
    pub by_square: f64,
    pub by_fall_square: f64,
    pub by: [f64; SHARED],
}

impl Kernel {
    pub(crate) fn of(logs: &[f64], epochs: f64) -> Kernel {
        let (lengths, rest) = logs.split_at(logs.len() - SHARED);
        let at = |i: usize| rest[i].exp();
        Kernel {
            weights: lengths.iter().map(|log| (-2.0 * log).exp()).collect(),
            stretch: (-2.0 * rest[0]).exp(),
            end: at(1),
            late: at(2),
            fall: at(3),
            common: at(4),
            own_end: at(5),
            own_fall: at(6),
            noise: at(7),
            speed: at(8),
            delay: at(9),
            epochs,
        }
    }

    /// Returns what is left to learn, as a covariance of two epochs; 1 at the first.
    pub(crate) fn fading(&self, a: f64, b: f64) -> f64 {
        (self.speed * ((2.0 + self.delay) / (a + b + self.delay)).ln()).exp()
    }

    fn growing(&self, a: f64, b: f64) -> f64 {
        a * b / (self.epochs * self.epochs)
    }

    /// Returns the covariance of two points at a squared distance, without noise.
    pub(crate) fn covariance(&self, square: f64, same: bool, a: f64, b: f64) -> f64 {
        let near = self.near(square);
        self.over_epochs(near, same, a, b)
    }

    /// Returns what a squared distance of two trials does to their points, for [`Kernel::over_epochs`].
    pub(crate) fn near(&self, square: f64) -> (f64, f64) {
        (Shape::Matern52.at(square).0, Shape::Matern52.at(square * self.stretch).0)
    }

    pub(crate) fn over_epochs(&self, near: (f64, f64), same: bool, a: f64, b: f64) -> f64 {
        let fading = self.fading(a, b);
        let shared = near.0 * (self.end + self.late * self.growing(a, b))
            + fading * (near.1 * self.fall + self.common);
        let own = if same { self.own_end + self.own_fall * fading } else { 0.0 };
        1.0 + shared + own
    }

    /// Returns the slopes of the covariance, without noise.
    pub(crate) fn parts(&self, square: f64, same: bool, a: f64, b: f64) -> Parts {
        let (near, slope) = Shape::Matern52.at(square);
        let (near_fall, slope_fall) = Shape::Matern52.at(square * self.stretch);
        let (fading, growing) = (self.fading(a, b), self.growing(a, b));
        let own = if same { 1.0 } else { 0.0 };
        let end = near * self.end;
        let late = near * self.late * growing;
        let fall = near_fall * self.fall * fading;
        let common = self.common * fading;
        let (own_end, own_fall) = (own * self.own_end, own * self.own_fall * fading);
        let faded = fall + common + own_fall;
        let ratio = ((2.0 + self.delay) / (a + b + self.delay)).ln();
        let by_delay =
            self.speed * self.delay * (1.0 / (2.0 + self.delay) - 1.0 / (a + b + self.delay));
        let by_fall_square = slope_fall * self.stretch * self.fall * fading;
        Parts {
            by_square: slope * (self.end + self.late * growing),
            by_fall_square,
            by: [
                -2.0 * by_fall_square * square,
                end,
                late,
                fall,
                common,
                own_end,
                own_fall,
                0.0,
                faded * self.speed * ratio,
                faded * by_delay,
            ],
        }
    }
}
