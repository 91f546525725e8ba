//! Curves as a Gaussian process over parameters and epochs: what it expects of trials that go on and of new ones.

use super::kernel::Kernel;
use super::points::Point;
use crate::search::gp::cholesky::{Cholesky, dot};
use crate::search::gp::frame::Frame;
use crate::search::gp::kernel::apart;

/// A Gaussian process conditioned on points of curves.
pub(crate) struct Model<'a> {
    frame: &'a Frame,
    kernel: Kernel,
    rows: Vec<Vec<f64>>,
    points: Vec<Point>,
    factor: Cholesky,
    alpha: Vec<f64>,
}

/// What is expected of an epoch, without its noise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belief {
    pub mean: f64,
    pub deviation: f64,
}

/// A trial or a point of the space, and how near it is to all trials of a model.
pub(crate) struct Place {
    trial: Option<usize>,
    near: Vec<(f64, f64)>,
}

impl<'a> Model<'a> {
    /// Returns a model of `points`, whose values are its targets, of trials with those `rows`.
    pub(crate) fn new(
        frame: &'a Frame,
        kernel: Kernel,
        rows: Vec<Vec<f64>>,
        points: Vec<Point>,
    ) -> Model<'a> {
        let mut model = Model {
            frame,
            kernel,
            rows,
            points: Vec::new(),
            factor: Cholesky::default(),
            alpha: Vec::new(),
        };
        let mut place: Option<Place> = None;
        for point in points {
            if place.as_ref().is_none_or(|place| place.trial != Some(point.trial)) {
                place = Some(model.place_of(point.trial));
            }
            if let Some(place) = &place {
                model.push(place, point);
            }
        }
        model.alpha = model.points.iter().map(|point| point.value).collect();
        model.factor.solve_lower(&mut model.alpha);
        model.factor.solve_upper(&mut model.alpha);
        model
    }

    fn push(&mut self, place: &Place, point: Point) {
        let mut row = self.covariances(place, point.epoch);
        let own = self.kernel.covariance(0.0, true, point.epoch, point.epoch);
        row.push(own + self.kernel.noise / point.count + 1e-8);
        self.factor.push(&row);
        self.points.push(point);
    }

    fn squared(&self, a: &[f64], b: &[f64]) -> f64 {
        let part = |at: usize| self.kernel.weights[at] * apart(&self.frame.axes[at], a[at], b[at]);
        (0..a.len()).map(part).sum()
    }

    /// Returns the place of a trial of the model.
    pub(crate) fn place_of(&self, trial: usize) -> Place {
        Place { trial: Some(trial), near: self.nearness(&self.rows[trial]) }
    }

    /// Returns the place of a point without a trial.
    pub(crate) fn place(&self, row: &[f64]) -> Place {
        Place { trial: None, near: self.nearness(row) }
    }

    fn nearness(&self, row: &[f64]) -> Vec<(f64, f64)> {
        self.rows.iter().map(|other| self.kernel.near(self.squared(row, other))).collect()
    }

    fn covariances(&self, place: &Place, epoch: f64) -> Vec<f64> {
        let with = |point: &Point| {
            let same = place.trial == Some(point.trial);
            self.kernel.over_epochs(place.near[point.trial], same, epoch, point.epoch)
        };
        self.points.iter().map(with).collect()
    }

    /// Returns what is expected at an epoch.
    pub(crate) fn belief(&self, place: &Place, epoch: f64) -> Belief {
        let mut covariances = self.covariances(place, epoch);
        let mean = dot(&covariances[..self.alpha.len()], &self.alpha);
        self.factor.solve_lower(&mut covariances);
        let own = self.kernel.covariance(0.0, true, epoch, epoch);
        let variance = own - dot(&covariances, &covariances);
        Belief { mean, deviation: variance.max(1e-10 * own).sqrt() }
    }

    /// Returns only the mean of what is expected.
    pub(crate) fn mean(&self, place: &Place, epoch: f64) -> f64 {
        dot(&self.covariances(place, epoch)[..self.alpha.len()], &self.alpha)
    }

    /// Takes a trial's next epochs as if they had turned out as believed: only the doubt about its surroundings changes.
    pub(crate) fn believe(&mut self, trial: usize, epoch: f64, count: f64) {
        let place = self.place_of(trial);
        self.push(&place, Point { trial, epoch, count, value: f64::NAN });
        self.alpha.push(0.0);
    }
}
