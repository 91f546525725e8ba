//! Looking for the place that promises most: random places, and walks from the best trials.

use rand_pcg::Pcg64;

use super::Model;
use super::acquisition::Acquisition;
use crate::search::stream::{below, normal, unit};
use crate::search::tpe::{Axis, Frame};

/// Random places looked at.
const PLACES: usize = 300;
/// Steps of a walk at most.
const STEPS_MAX: usize = 20;
/// Neighbours along each line.
const NEIGHBOURS: usize = 4;
/// How far neighbours on a line are.
const REACH: f64 = 0.2;

/// A search of one model.
pub(super) struct Walk<'a> {
    pub(super) frame: &'a Frame,
    pub(super) model: &'a Model,
    pub(super) best: f64,
    pub(super) generator: Pcg64,
}

impl Walk<'_> {
    /// Returns places, the most promising first.
    pub(super) fn find(&mut self, acquisition: Acquisition, leaders: &[&[f64]]) -> Vec<Vec<f64>> {
        if acquisition != Acquisition::Hedge {
            return self.search(acquisition, leaders);
        }
        let mut found = [Acquisition::Ei, Acquisition::Lcb, Acquisition::Pi]
            .map(|acquisition| self.search(acquisition, leaders));
        let gain = |places: &Vec<Vec<f64>>| {
            places.first().map_or(f64::NEG_INFINITY, |place| -self.model.predict(place).0)
        };
        let gains = [0, 1, 2].map(|which| gain(&found[which]));
        let top = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares = gains.map(|gain| if top.is_finite() { (gain - top).exp() } else { 1.0 });
        let mut draw = unit(&mut self.generator) * shares.iter().sum::<f64>();
        let mut chosen = 0;
        while chosen < 2 && draw >= shares[chosen] {
            draw -= shares[chosen];
            chosen += 1;
        }
        std::mem::take(&mut found[chosen])
    }

    fn search(&mut self, acquisition: Acquisition, leaders: &[&[f64]]) -> Vec<Vec<f64>> {
        let dimensions = self.frame.axes().len();
        let mut scored: Vec<(f64, Vec<f64>)> = Vec::with_capacity(PLACES);
        for _ in 0..PLACES {
            let place = (0..dimensions).map(|_| unit(&mut self.generator)).collect();
            scored.push(self.score(acquisition, place));
        }
        sort(&mut scored);
        let mut starts: Vec<Vec<f64>> = leaders.iter().map(|leader| leader.to_vec()).collect();
        starts.extend(scored.iter().take(leaders.len().max(1)).map(|(_, place)| place.clone()));
        for start in starts {
            self.walk(acquisition, start, &mut scored);
        }
        sort(&mut scored);
        scored.into_iter().map(|(_, place)| place).collect()
    }

    /// Goes to the best neighbour as long as there is a better one, and notes all that were looked at.
    fn walk(
        &mut self,
        acquisition: Acquisition,
        start: Vec<f64>,
        scored: &mut Vec<(f64, Vec<f64>)>,
    ) {
        let (mut score, mut here) = self.score(acquisition, start);
        for _ in 0..STEPS_MAX {
            let from = scored.len();
            self.neighbours(acquisition, &here, scored);
            let best = scored[from..].iter().max_by(|a, b| a.0.total_cmp(&b.0));
            match best {
                Some((better, place)) if *better > score => {
                    (score, here) = (*better, place.clone());
                }
                _ => break,
            }
        }
    }

    /// Adds places that differ from one in a single coordinate, and what hangs on it.
    fn neighbours(
        &mut self,
        acquisition: Acquisition,
        here: &[f64],
        scored: &mut Vec<(f64, Vec<f64>)>,
    ) {
        for (at, axis) in self.frame.axes().iter().enumerate() {
            if here[at].is_nan() {
                continue;
            }
            let turns = match axis {
                Axis::Line(_) => NEIGHBOURS,
                Axis::Choice(count) => (*count as usize - 1).min(2 * NEIGHBOURS),
            };
            for turn in 0..turns {
                let mut place = here.to_vec();
                place[at] = match axis {
                    Axis::Line(_) => {
                        // Small steps as well as large ones.
                        let reach = REACH * 0.3f64.powi((turn % 3) as i32);
                        (here[at] + reach * normal(&mut self.generator)).clamp(0.0, 1.0)
                    }
                    Axis::Choice(count) => {
                        (below(&mut self.generator, *count) as f64 + 0.5) / *count as f64
                    }
                };
                let neighbour = self.score(acquisition, place);
                if neighbour.1.iter().zip(here).any(|(a, b)| a.to_bits() != b.to_bits()) {
                    scored.push(neighbour);
                }
            }
        }
    }

    /// Settles a place and returns it with its promise; coordinates that become active are drawn.
    fn score(&mut self, acquisition: Acquisition, mut place: Vec<f64>) -> (f64, Vec<f64>) {
        for coordinate in place.iter_mut().filter(|coordinate| coordinate.is_nan()) {
            *coordinate = unit(&mut self.generator);
        }
        self.frame.settle(&mut place);
        (acquisition.at(self.best, self.model.predict(&place)), place)
    }
}

fn sort(scored: &mut [(f64, Vec<f64>)]) {
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
}
