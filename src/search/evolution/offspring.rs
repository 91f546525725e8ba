//! From places that a strategy draws to proposals: new, and within the constraints. A child may be what a parent is, also
//! where all coordinates are real: it inherits them.

use std::collections::HashMap;

use crate::Result;
use crate::search::history::{Cursor, History};
use crate::search::sampler::Sampler;
use crate::search::space::Space;
use crate::search::start::Start;
use crate::search::strategy::Proposal;
use crate::search::stream::{Purpose, below, stream, unit};

/// Draws, all of them known or forbidden, before a spread point takes their place.
const DRAWS_MAX: u64 = 200;
/// Known points that are drawn before draws step aside.
const REPEATS_MAX: u64 = 4;

/// Makes proposals for one study.
pub(crate) struct Offspring {
    space: Space,
    start: Sampler<Start>,
    seed: u64,
    known: Known,
}

impl Offspring {
    pub(crate) fn new(space: Space, seed: u64) -> Offspring {
        let start = Sampler::new(space.clone(), Start::new(space.dimensions(), seed), seed);
        Offspring { space, start, seed, known: Known::default() }
    }

    /// Proposes a point of a sequence that is spread over the whole space.
    pub(crate) fn spread(&mut self, history: &History) -> Result<Proposal> {
        Ok(self.start.propose(history, |_| None)?.into())
    }

    /// Proposes the first point that `draw` gives for attempts 0, 1, … and that is allowed and new.
    ///
    /// Where it draws known points only, coordinates are drawn anew: first one, later more.
    pub(crate) fn propose(
        &mut self,
        history: &History,
        mut draw: impl FnMut(u64) -> Vec<f64>,
    ) -> Result<Proposal> {
        self.known.follow(&self.space, history);
        let mut repeated = 0;
        for attempt in 0..DRAWS_MAX {
            let mut place = draw(attempt);
            if repeated >= REPEATS_MAX {
                self.step_aside(&mut place, history.next_number(), attempt, repeated);
            }
            let point = self.space.decode(&place);
            if !self.space.allows(&point)? {
                continue;
            }
            if !self.known.keys.contains_key(&self.space.key(&point)) {
                return Ok(Some(point).into());
            }
            repeated += 1;
        }
        self.spread(history)
    }

    fn step_aside(&self, place: &mut [f64], number: u64, attempt: u64, repeated: u64) {
        let mut generator = stream(self.seed, number, Purpose::Walk, attempt + 1);
        for _ in 0..repeated / 16 + 1 {
            let at = below(&mut generator, place.len().max(1) as u64) as usize;
            if let Some(coordinate) = place.get_mut(at) {
                *coordinate = unit(&mut generator);
            }
        }
    }
}

/// The points of a history: a cache.
#[derive(Default)]
struct Known {
    cursor: Cursor,
    /// The key of each trial, by its place.
    of: Vec<String>,
    /// How many trials have it.
    keys: HashMap<String, usize>,
}

impl Known {
    fn follow(&mut self, space: &Space, history: &History) {
        let (anew, changed) = self.cursor.follow(history);
        if anew {
            self.of.clear();
            self.keys.clear();
        }
        for &place in changed {
            let key = space.key(&history.trials()[place].params);
            match self.of.get_mut(place) {
                Some(old) if *old == key => continue,
                Some(old) => {
                    let count = self.keys.get_mut(old).map_or(0, |count| {
                        *count -= 1;
                        *count
                    });
                    if count == 0 {
                        self.keys.remove(old);
                    }
                    old.clone_from(&key);
                }
                None => {
                    self.of.resize(place, String::new());
                    self.of.push(key.clone());
                }
            }
            *self.keys.entry(key).or_insert(0) += 1;
        }
    }
}
