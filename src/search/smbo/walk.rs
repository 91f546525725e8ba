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
/// Coordinates along which a step looks: of more than these, others are drawn for each step.
const AXES_MAX: usize = 64;
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
        for at in self.looked_along(here) {
            let axis = &self.frame.axes()[at];
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

    /// Returns the coordinates along which to look from a place.
    fn looked_along(&mut self, here: &[f64]) -> Vec<usize> {
        let mut active: Vec<usize> = (0..here.len()).filter(|at| !here[*at].is_nan()).collect();
        if active.len() > AXES_MAX {
            for drawn in 0..AXES_MAX {
                let left = (active.len() - drawn) as u64;
                active.swap(drawn, drawn + below(&mut self.generator, left) as usize);
            }
            active.truncate(AXES_MAX);
        }
        active
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

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::search::forest::{Forest, Sample, Variety};
    use crate::search::space::Space;
    use crate::search::stream::{Purpose, stream};

    #[test]
    fn a_step_looks_along_all_coordinates_of_small_spaces_and_along_some_of_large_ones() {
        for (count, looked) in [(3, 3), (AXES_MAX, AXES_MAX), (1000, AXES_MAX)] {
            let axis = json!({"type": "real", "low": 0, "high": 1});
            let params: Map<String, Value> =
                (0..count).map(|at| (format!("x{at}"), axis.clone())).collect();
            let space = Space::parse(&Value::Object(params)).unwrap();
            let frame = Frame::new(&space);
            let mut generator = stream(1, 0, Purpose::Model, 0);
            let rows = vec![vec![0.2; count], vec![0.7; count]];
            let sample = Sample { rows, values: vec![0.0, 1.0], choices: vec![0; count] };
            let model = Model::Forest(Forest::grow(&sample, 2, Variety::Splits, &mut generator));
            let mut walk = Walk { frame: &frame, model: &model, best: 0.0, generator };
            let mut here = vec![0.5; count];
            let mut along = walk.looked_along(&here);
            assert!(count > AXES_MAX || along == (0..count).collect::<Vec<_>>());
            along.sort_unstable();
            along.dedup();
            assert_eq!(along.len(), looked);
            here[1] = f64::NAN;
            assert!(!walk.looked_along(&here).contains(&1));
            let mut scored = Vec::new();
            walk.neighbours(Acquisition::LogEi, &vec![0.5; count], &mut scored);
            assert_eq!(scored.len(), NEIGHBOURS * looked);
        }
    }
}
