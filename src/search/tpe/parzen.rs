//! From good and bad trials to a proposal: two mixtures, candidates of the good one, the best ratio of densities.

use serde_json::{Map, Value};

use super::frame::Frame;
use super::mixture::{Mixture, Room};
use super::record::Record;
use crate::Result;
use crate::search::history::History;
use crate::search::space::Space;
use crate::search::stream::{Purpose, stream, unit};

/// Trials that the model of the bad side holds at most: the newest.
const BAD_MAX: usize = 500;
/// The newest trials count fully, this many.
const FRESH: usize = 25;
/// How much a trial at work counts among the bad ones: enough to keep workers apart, too little for many of them to hold
/// the search away from the best place known.
const AT_WORK: f64 = 0.25;
/// Bandwidths are multiplied with a number between this and 1, even in the logarithm and drawn anew for each ask: some
/// proposals look about, others refine.
const SCALE_MIN: f64 = 0.05;
/// Many workers have few rounds, in each of which nobody knows what the others of it found: after this many they refine
/// more finely, the more of them there are.
const ROUNDS_LATE: std::ops::Range<f64> = 20.0..30.0;
/// How much more finely: a power of their number, reached at the end of the range.
const FINER: f64 = 0.5;
/// Rounds of candidates, all of them known or forbidden, before the caller has to do without.
const ROUNDS_MAX: u64 = 4;
/// The stream of the bandwidths; those below are the rounds.
const SCALE_ATTEMPT: u64 = ROUNDS_MAX;

/// The model of a space and what was tried in it.
pub(crate) struct Parzen {
    space: Space,
    frame: Frame,
    record: Record,
    seed: u64,
    candidates: usize,
}

impl Parzen {
    pub(crate) fn new(space: Space, seed: u64, candidates: usize) -> Parzen {
        let (frame, record) = (Frame::new(&space), Record::new(&space));
        Parzen { space, frame, record, seed, candidates }
    }

    /// Takes in what changed since the last call, and returns what is known.
    pub(crate) fn follow(&mut self, history: &History) -> &Record {
        self.record.follow(&self.space, history);
        &self.record
    }

    /// Returns a new point like the good trials, given by place and weight in order of their numbers, and unlike the
    /// others; none when all candidates are known or forbidden.
    pub(crate) fn propose(
        &self,
        number: u64,
        good: &[(usize, f64)],
    ) -> Result<Option<Map<String, Value>>> {
        let bad = self.bad(good);
        let share = |at: usize| if self.record.has_ended(at) { 1.0 } else { AT_WORK };
        let bad_weights = by_age(bad.len()).zip(&bad).map(|(weight, at)| weight * share(*at));
        let bad_weights: Vec<f64> = bad_weights.chain([1.0]).collect();
        let good_weights: Vec<f64> = good.iter().map(|(_, weight)| *weight).chain([1.0]).collect();
        let draw = unit(&mut stream(self.seed, number, Purpose::Model, SCALE_ATTEMPT));
        let scale = self.scale_min().powf(draw);
        let mixture = |trials: &mut dyn Iterator<Item = usize>, weights: &[f64]| {
            let rows: Vec<&[f64]> = trials.map(|at| self.record.place(at)).collect();
            Mixture::new(self.frame.axes(), &rows, weights, scale)
        };
        let good = mixture(&mut good.iter().map(|(at, _)| *at), &good_weights);
        let bad = mixture(&mut bad.into_iter(), &bad_weights);
        for round in 0..ROUNDS_MAX {
            if let Some(point) = self.best(number, round, &good, &bad)? {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }

    /// Returns the least that bandwidths are multiplied with.
    fn scale_min(&self) -> f64 {
        let ended = self.record.ended();
        let workers = (1 + self.record.len() - ended) as f64;
        let late =
            (ended as f64 / workers - ROUNDS_LATE.start) / (ROUNDS_LATE.end - ROUNDS_LATE.start);
        SCALE_MIN * workers.powf(-FINER * late.clamp(0.0, 1.0))
    }

    /// Returns the newest trials that are not good.
    fn bad(&self, good: &[(usize, f64)]) -> Vec<usize> {
        let mut good = good.iter().rev().map(|(at, _)| *at).peekable();
        let others = (0..self.record.len()).rev().filter(|at| good.next_if_eq(at).is_none());
        let mut bad: Vec<usize> = others.take(BAD_MAX).collect();
        bad.reverse();
        bad
    }

    /// Draws a round of candidates and returns the best one that is new and allowed.
    fn best(
        &self,
        number: u64,
        round: u64,
        good: &Mixture,
        bad: &Mixture,
    ) -> Result<Option<Map<String, Value>>> {
        let mut generator = stream(self.seed, number, Purpose::Model, round);
        let dimensions = self.frame.axes().len();
        let mut places = vec![0.0; dimensions * self.candidates];
        let mut room = Room::default();
        let mut order = Vec::with_capacity(self.candidates);
        for at in 0..self.candidates {
            let place = &mut places[at * dimensions..(at + 1) * dimensions];
            good.draw(&mut generator, place);
            self.frame.settle(place);
            let ratio = good.log_density(place, &mut room) - bad.log_density(place, &mut room);
            order.push((ratio, at));
        }
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, at) in order {
            let point = self.space.decode(&places[at * dimensions..(at + 1) * dimensions]);
            if self.space.allows(&point)? && !self.record.knows(|| self.space.key(&point)) {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }
}

/// Returns weights for so many trials from old to new: the newest count fully, the older the less.
pub(crate) fn by_age(trials: usize) -> impl Iterator<Item = f64> {
    let old = trials.saturating_sub(FRESH);
    let least = 1.0 / trials.max(1) as f64;
    (0..trials).map(move |at| match at {
        at if at >= old => 1.0,
        at => least + (1.0 - least) * at as f64 / old as f64,
    })
}
