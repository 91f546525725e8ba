//! Turning rows of points into proposals: no duplicates where points can repeat, constraints by rejection.
//!
//! The proposal for a number depends on the proposals for the numbers before it and never on how those trials ended or
//! when. Where the history has a trial of an earlier number, its parameters count (a person may have put in a trial of
//! their own); otherwise the proposal is computed again.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::history::History;
use super::space::Space;
use super::strategy::all_broken;
use super::stream::{Purpose, below, stream, unit};
use super::tree::Tree;
use crate::{Error, Result};

/// Draws that may break the constraints before we give up or walk.
const BROKEN_MAX: u64 = 10_000;
/// Draws that may repeat earlier points before we walk over what is left.
const REPEATS_MAX: u64 = 64;
/// Points a walk may look at.
pub(crate) const WALK_MAX: u128 = 1_000_000;

/// A source of points in the unit cube.
pub(crate) trait Points {
    /// Says whether points come in a row, so that one left out moves all that follow.
    const IN_A_ROW: bool;

    /// Returns a point: that of the place in the row, or that of a trial number and attempt.
    fn point(&self, number: u64, attempt: u64, place: u64) -> Result<Vec<f64>>;
}

/// What a strategy remembers of the numbers below `next`: a cache, which history and seed give again.
struct Seen {
    /// The history it is about.
    of: u64,
    next: u64,
    place: u64,
    keys: HashSet<String>,
}

pub(crate) struct Sampler<P> {
    space: Arc<Space>,
    points: P,
    seed: u64,
    /// Proposals depend on those before them.
    chained: bool,
    seen: Seen,
    tree: Option<Tree>,
}

struct Draw {
    point: Map<String, Value>,
    /// The place in the row after this draw.
    place: u64,
}

impl<P: Points> Sampler<P> {
    pub(crate) fn new(space: Space, points: P, seed: u64) -> Self {
        let picky = P::IN_A_ROW && !space.constraints().is_empty();
        let chained = space.can_repeat() || picky;
        let tree = space.tree();
        Sampler { space: Arc::new(space), points, seed, chained, seen: Seen::start(), tree }
    }

    pub(crate) fn space(&self) -> Arc<Space> {
        Arc::clone(&self.space)
    }

    /// Returns the proposal for `number`; drawn from `narrow`, a part of the space, while that has points left.
    pub(crate) fn propose(
        &mut self,
        history: &History,
        narrow: impl Fn(u64) -> Option<Space>,
    ) -> Result<Option<Map<String, Value>>> {
        let number = history.next_number();
        if !self.chained {
            self.seen.place = number;
        } else {
            self.catch_up(history, &narrow)?;
        }
        match self.draw(number, narrow(number)) {
            Ok(draw) => Ok(draw.map(|draw| draw.point)),
            Err(error) => self.beside(history)?.map(Some).ok_or(error),
        }
    }

    /// Returns a new point that meets the constraints beside one of the history that does, for where hardly any does.
    fn beside(&self, history: &History) -> Result<Option<Map<String, Value>>> {
        let mut met = Vec::new();
        for past in history.iter() {
            if self.space.allows(&past.params)? {
                met.push(self.space.encode(&past.params));
            }
        }
        let mut generator = stream(self.seed, history.next_number(), Purpose::Walk, 1);
        for turn in 0..BROKEN_MAX {
            if met.is_empty() {
                break;
            }
            let from = &met[below(&mut generator, met.len() as u64) as usize];
            let reach = 0.5f64.powf(20.0 * turn as f64 / BROKEN_MAX as f64);
            let step = |place: &Option<f64>, draw: f64| match place {
                // Thrown back at the ends.
                Some(place) => {
                    let at = (place + reach * (draw - 0.5)).abs();
                    if at > 1.0 { 2.0 - at } else { at }
                }
                None => draw,
            };
            let row: Vec<f64> =
                from.iter().map(|place| step(place, unit(&mut generator))).collect();
            let point = self.space.decode(&row);
            if self.space.allows(&point)? && !self.seen.keys.contains(&self.space.key(&point)) {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }

    fn catch_up(
        &mut self,
        history: &History,
        narrow: &impl Fn(u64) -> Option<Space>,
    ) -> Result<()> {
        let number = history.next_number();
        if number < self.seen.next || self.seen.of != history.id() {
            self.seen = Seen { of: history.id(), ..Seen::start() };
        }
        while self.seen.next < number {
            let next = self.seen.next;
            let had = history.get(next);
            let mut key = had.map(|past| self.space.key(&past.params));
            let needed = key.is_none() || P::IN_A_ROW;
            // Where no draw met the constraints, none of the row was used.
            if needed && let Ok(Some(draw)) = self.draw(next, narrow(next)) {
                self.seen.place = draw.place;
                key = key.or_else(|| Some(self.space.key(&draw.point)));
            }
            self.seen.keys.extend(key);
            self.seen.next += 1;
        }
        Ok(())
    }

    fn draw(&mut self, number: u64, narrow: Option<Space>) -> Result<Option<Draw>> {
        if let Some(narrow) = narrow
            && let Ok(draw) = self.try_points(&narrow, number)?
        {
            return Ok(Some(draw));
        }
        let repeated = match self.try_points(&self.space, number)? {
            Ok(draw) => return Ok(Some(draw)),
            Err(repeated) => repeated,
        };
        match repeated {
            _ if self.tree.is_some() => self.walk(number),
            Some(draw) => Ok(Some(draw)),
            None => Err(all_broken(&format!("{BROKEN_MAX} draws from the space"))),
        }
    }

    /// Returns the first new point that meets the constraints, or else the last one that met them but was not new.
    fn try_points(
        &self,
        space: &Space,
        number: u64,
    ) -> Result<std::result::Result<Draw, Option<Draw>>> {
        let (mut place, mut broken, mut repeats, mut repeated) = (self.seen.place, 0, 0, None);
        while broken < BROKEN_MAX && repeats < REPEATS_MAX {
            let point = space.decode(&self.points.point(number, broken + repeats, place)?);
            place += 1;
            if !self.space.allows(&point)? {
                broken += 1;
            } else if self.chained && self.seen.keys.contains(&self.space.key(&point)) {
                repeats += 1;
                repeated = Some(Draw { point, place });
            } else {
                return Ok(Ok(Draw { point, place }));
            }
        }
        Ok(Err(repeated))
    }

    /// Walks over all points of a finite space from a random one on, and returns the first new one.
    fn walk(&mut self, number: u64) -> Result<Option<Draw>> {
        let Some(tree) = &mut self.tree else { return Ok(None) };
        let size = tree.size().unwrap_or(u128::MAX);
        let mut generator = stream(self.seed, number, Purpose::Walk, 0);
        let start = u128::from(below(&mut generator, u64::try_from(size).unwrap_or(u64::MAX)));
        for step in 0..size.min(WALK_MAX) {
            let point = tree.point((start + step) % size, &self.space);
            if self.space.allows(&point)? && !self.seen.keys.contains(&self.space.key(&point)) {
                return Ok(Some(Draw { point, place: self.seen.place }));
            }
        }
        if size <= WALK_MAX {
            return Ok(None);
        }
        let why = format!("no new point among {WALK_MAX} of {size}");
        Err(Error::invalid("search", why).with_hint("loosen the constraints, or stop here"))
    }
}

impl Seen {
    fn start() -> Seen {
        Seen { of: 0, next: 0, place: 0, keys: HashSet::new() }
    }
}
