//! Grid search: every combination of listed values, once.
//!
//! Numbers with `bins` take that many values, spread by their prior with both ends included; whole numbers, steps and
//! lists without `bins` take all their values; reals need `bins`, their own or the setting `bins` for all. In the
//! default order, names are sorted, children after their parents, and the last name runs fastest. With `order: coarse`
//! every prefix is spread over the whole grid, so that a search may be stopped at any time. Inactive parameters are left
//! out and their combinations counted once; points that break the constraints are passed over.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::domain::Domain;
use super::history::History;
use super::space::{Param, Space};
use super::strategy::{Proposal, Strategy, all_broken, allow_settings, whole_setting};
use super::tree::{Axis, Tree};
use crate::{Error, Result};

/// Points in a row that may break the constraints before we give up.
const BROKEN_MAX: u32 = 10_000_000;

/// Grid search.
pub struct Grid {
    space: Space,
    tree: Tree,
    size: u128,
    /// Distance between neighbours in time, on the circle of all points: 1 for the plain order.
    stride: u128,
    seen: Seen,
}

/// What is known of the numbers below `next`: a cache, which the history gives again.
struct Seen {
    /// The history it is about.
    of: u64,
    next: u64,
    /// The place in the order up to which points were proposed.
    place: u128,
    /// Points of the history that the grid did not propose.
    foreign: HashSet<String>,
}

impl Space {
    /// Returns how many points a grid has without regard to constraints.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a real without bins, or a grid beyond all counting.
    pub fn grid_size(&self) -> Result<u128> {
        grid_tree(self, None).map(|(_, size)| size)
    }
}

impl Grid {
    /// Returns a grid search.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a real without bins and for settings it does not have.
    pub fn new(space: Space, settings: &Map<String, Value>) -> Result<Grid> {
        allow_settings("grid", settings, &["order", "bins"])?;
        let bins = whole_setting("grid", settings, "bins", 1)?;
        let (mut tree, size) = grid_tree(&space, bins)?;
        let stride = match settings.get("order").map(|order| order.as_str().unwrap_or_default()) {
            None | Some("plain") => 1,
            Some("coarse") => stride(&space, &mut tree, size)?,
            Some(_) => {
                let why = format!("order {} is neither plain nor coarse", settings["order"]);
                return Err(Error::invalid("strategy grid", why));
            }
        };
        Ok(Grid { space, tree, size, stride, seen: Seen::start() })
    }

    /// Returns the next point at or after a place in the order, with the place after it.
    fn next_point(&mut self, from: u128) -> Result<Option<(Map<String, Value>, u128)>> {
        let (mut place, mut broken) = (from, 0);
        while place < self.size {
            let point = self.tree.point(place * self.stride % self.size, &self.space);
            let Some((_, expression)) = self.space.broken_constraint(&point)? else {
                place += 1;
                if self.seen.foreign.is_empty()
                    || !self.seen.foreign.contains(&self.space.key(&point))
                {
                    return Ok(Some((point, place)));
                }
                continue;
            };
            broken += 1;
            if broken == BROKEN_MAX {
                return Err(all_broken(&format!("{BROKEN_MAX} points of the grid in a row")));
            }
            place += if self.stride == 1 {
                // Those that differ only in parameters the constraint does not speak of break it too.
                let names = expression.names();
                let params = self.space.params();
                let speaks_of = |param: usize| names.contains(&params[param].name);
                let places = self.tree.places_to(speaks_of);
                self.tree.alike(place, places)
            } else {
                1
            };
        }
        Ok(None)
    }

    /// Says whether the constraints leave no point at all, known ones of other origin counted.
    fn is_empty(&mut self) -> Result<bool> {
        if self.seen.place > 0 || self.space.constraints().is_empty() {
            return Ok(false);
        }
        let foreign = std::mem::take(&mut self.seen.foreign);
        let any = self.next_point(0);
        self.seen.foreign = foreign;
        Ok(any?.is_none())
    }

    fn catch_up(&mut self, history: &History) -> Result<()> {
        let number = history.next_number();
        if number < self.seen.next || self.seen.of != history.id() {
            self.seen = Seen { of: history.id(), ..Seen::start() };
        }
        while self.seen.next < number {
            let next = self.seen.next;
            let had = history.get(next);
            let had = had.map(|past| self.space.key(&past.params));
            let own = self.next_point(self.seen.place)?;
            match (own, had) {
                (Some((point, after)), had) => {
                    if had.as_ref().is_none_or(|had| *had == self.space.key(&point)) {
                        self.seen.place = after;
                    } else {
                        self.seen.foreign.extend(had);
                    }
                }
                (None, _) => {
                    self.seen.next = number;
                    break;
                }
            }
            self.seen.next += 1;
        }
        Ok(())
    }
}

impl Strategy for Grid {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        self.catch_up(history)?;
        let point = self.next_point(self.seen.place)?.map(|(point, _)| point);
        if point.is_none() && self.is_empty()? {
            return Err(all_broken(&format!("the {} points of the grid", self.size)));
        }
        Ok(point.into())
    }
}

impl Seen {
    fn start() -> Seen {
        Seen { of: 0, next: 0, place: 0, foreign: HashSet::new() }
    }
}

fn grid_tree(space: &Space, bins: Option<u64>) -> Result<(Tree, u128)> {
    let axes = space.params().iter().map(|param| axis(param, bins)).collect::<Result<Vec<_>>>()?;
    let mut tree = Tree::new(space, &space.order_by_name(), axes);
    let size = tree
        .size()
        .ok_or_else(|| Error::invalid("strategy grid", "the grid has too many points"))?;
    Ok((tree, size))
}

/// Returns the values that a parameter takes on a grid, `bins` of them where a real has no number of its own.
///
/// # Errors
/// [`Error::Invalid`] for a real without bins, or more than a million of them.
pub(crate) fn axis(param: &Param, bins: Option<u64>) -> Result<Axis> {
    let Domain::Numeric(numeric) = &param.domain else {
        return Ok(Axis::All(param.domain.clone()));
    };
    let wanted = numeric.bins.or(bins.filter(|_| numeric.count().is_none()));
    match wanted {
        Some(wanted) if wanted > 1_000_000 => Err(Error::invalid(
            format!("parameter {}", param.name),
            format!("{wanted} bins are too many"),
        )),
        Some(wanted) => Ok(Axis::Listed(numeric.bin_values(wanted))),
        None if numeric.count().is_some() => Ok(Axis::All(param.domain.clone())),
        None => {
            let why = "is a real without bins, which a grid cannot list";
            Err(Error::invalid(format!("parameter {}", param.name), why)
                .with_hint("give it bins or a step, or set bins for the whole grid"))
        }
    }
}

/// Returns the stride of the coarse order: number `n` is the point `n·stride mod size`.
///
/// A stride without a common factor with the size meets every point once. In each parameter the points then run like a
/// rank-1 lattice; of strides near the size times irrational numbers the one is taken whose first 4, 8, … 64 points keep
/// the largest distance from each other.
fn stride(space: &Space, tree: &mut Tree, size: u128) -> Result<u128> {
    if size > u128::from(u64::MAX) {
        return Err(Error::invalid(
            "strategy grid",
            "the grid has too many points for the coarse order",
        ));
    }
    let golden = 0.618_033_988_749_894_9;
    let mut best = (f64::NEG_INFINITY, 1);
    for candidate in 0..32 {
        let fraction = (golden * f64::from(candidate + 1)).fract();
        let mut stride = ((size as f64 * fraction) as u128).clamp(1, size.max(2) - 1);
        while common_factor(stride, size) > 1 {
            stride += 1;
        }
        let score = spread(space, tree, size, stride % size.max(2));
        if score > best.0 + 1e-9 {
            best = (score, stride % size.max(2));
        }
    }
    Ok(best.1.max(1))
}

fn spread(space: &Space, tree: &mut Tree, size: u128, stride: u128) -> f64 {
    let count = size.min(64);
    let point = |n| space.encode(&tree.point(n * stride % size, space));
    let points: Vec<Vec<Option<f64>>> = (0..count).map(point).collect();
    let dimensions = space.dimensions().max(1) as f64;
    let (mut nearest, mut total) = (f64::INFINITY, 0.0);
    for (n, point) in points.iter().enumerate() {
        for earlier in &points[..n] {
            nearest = nearest.min(distance(point, earlier));
        }
        if n > 2 && (n + 1).is_power_of_two() {
            total += nearest * ((n + 1) as f64).powf(1.0 / dimensions);
        }
    }
    total
}

fn distance(a: &[Option<f64>], b: &[Option<f64>]) -> f64 {
    let part = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
        (Some(a), Some(b)) => (a - b).powi(2),
        (None, None) => 0.0,
        _ => 1.0,
    };
    a.iter().zip(b).map(part).sum::<f64>().sqrt()
}

fn common_factor(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}
