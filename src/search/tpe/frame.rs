//! A space seen as coordinates: which of them count at a place, and where the values lie.
//!
//! Places are rows of numbers in [0, 1], NaN where a parameter is inactive. Everything here is done on numbers alone, so
//! that hundreds of candidates cost no more than a few points of JSON.

use crate::search::domain::{Domain, ListKind};
use crate::search::space::Space;

/// Domains with more values than this are taken as continuous.
const CELLS_MAX: u64 = 1024;

/// One coordinate.
#[derive(Clone, Debug)]
pub(crate) enum Axis {
    /// A line of places.
    Line(Cells),
    /// So many choices without order.
    Choice(u64),
}

/// The values of a line, where they can be listed: each owns a piece of [0, 1].
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    /// Where the pieces end, rising; empty for a continuous line.
    ends: Vec<f64>,
    centres: Vec<f64>,
}

/// What makes a coordinate count: its parent, a coordinate, lies in a cell that is marked.
#[derive(Clone, Debug)]
struct Condition {
    parent: usize,
    /// For each value of the parent, by index.
    allowed: Vec<bool>,
}

/// A space seen as coordinates.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    axes: Vec<Axis>,
    /// For each coordinate its conditions; `None` where a fixed parent rules it out.
    conditions: Vec<Option<Vec<Condition>>>,
    /// Coordinates with conditions, parents before children.
    dependent: Vec<usize>,
}

impl Cells {
    fn new(domain: &Domain) -> Cells {
        let Some(count) = domain.count().filter(|count| *count <= CELLS_MAX) else {
            return Cells::default();
        };
        let centre = |index| domain.unit_of(&domain.value_at(index)).unwrap_or(0.5);
        let centres: Vec<f64> = (0..count).map(centre).collect();
        let mut start = 0.0;
        let end = |centre: &f64| {
            // The centre is the middle of the piece.
            start = (2.0 * centre - start).clamp(*centre, 1.0);
            start
        };
        Cells { ends: centres.iter().map(end).collect(), centres }
    }

    fn index(&self, place: f64) -> usize {
        self.ends.partition_point(|end| *end <= place).min(self.ends.len().saturating_sub(1))
    }

    /// Returns half the width of the piece around a place; 0 on a continuous line.
    pub(crate) fn half_width(&self, place: f64) -> f64 {
        match self.ends.is_empty() {
            true => 0.0,
            false => {
                let index = self.index(place);
                self.ends[index] - self.centres[index]
            }
        }
    }
}

impl Axis {
    fn new(domain: &Domain) -> Axis {
        match domain {
            Domain::List { kind: ListKind::Categorical | ListKind::Boolean, choices } => {
                Axis::Choice(choices.len() as u64)
            }
            _ => Axis::Line(Cells::new(domain)),
        }
    }

    /// Returns the middle of the value that a place belongs to.
    pub(crate) fn snap(&self, place: f64) -> f64 {
        match self {
            Axis::Line(cells) if cells.ends.is_empty() => place,
            Axis::Line(cells) => cells.centres[cells.index(place)],
            Axis::Choice(count) => (choice(place, *count) as f64 + 0.5) / *count as f64,
        }
    }

    fn index(&self, place: f64) -> usize {
        match self {
            Axis::Line(cells) => cells.index(place),
            Axis::Choice(count) => choice(place, *count) as usize,
        }
    }
}

/// Returns the number of the choice at a place.
pub(crate) fn choice(place: f64, count: u64) -> u64 {
    ((place * count as f64) as u64).min(count - 1)
}

impl Frame {
    pub(crate) fn new(space: &Space) -> Frame {
        let params = space.params();
        let mut coordinate = vec![None; params.len()];
        let mut axes = Vec::new();
        for (at, param) in params.iter().enumerate() {
            if !matches!(param.domain, Domain::Fixed(_)) {
                coordinate[at] = Some(axes.len());
                axes.push(Axis::new(&param.domain));
            }
        }
        let mut conditions = Vec::with_capacity(axes.len());
        let mut dependent = Vec::new();
        for at in (0..params.len()).filter(|at| coordinate[*at].is_some()) {
            conditions.push(conditions_of(space, at, &coordinate));
        }
        for at in space.order() {
            if let Some(own) = coordinate[*at]
                && conditions[own].as_ref().is_none_or(|own| !own.is_empty())
            {
                dependent.push(own);
            }
        }
        Frame { axes, conditions, dependent }
    }

    /// Returns the coordinates.
    pub(crate) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Moves a place to the middle of the point it belongs to, NaN where a parameter is inactive.
    pub(crate) fn settle(&self, place: &mut [f64]) {
        for (axis, place) in self.axes.iter().zip(place.iter_mut()) {
            *place = axis.snap(*place);
        }
        for &at in &self.dependent {
            let holds = |condition: &Condition| {
                let above = place[condition.parent];
                let index = self.axes[condition.parent].index(above);
                !above.is_nan() && condition.allowed.get(index).copied().unwrap_or(false)
            };
            if !self.conditions[at].as_ref().is_some_and(|all| all.iter().all(holds)) {
                place[at] = f64::NAN;
            }
        }
    }
}

fn conditions_of(space: &Space, at: usize, coordinate: &[Option<usize>]) -> Option<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (above, values) in space.parents(at) {
        let domain = &space.params()[*above].domain;
        match coordinate[*above] {
            Some(parent) => {
                let mut allowed = vec![false; domain.count().unwrap_or(0) as usize];
                for index in values.iter().filter_map(|value| domain.index_of(value)) {
                    allowed[index as usize] = true;
                }
                conditions.push(Condition { parent, allowed });
            }
            // A fixed parent allows always or never; its own parents decide the rest.
            None if !values.iter().any(|value| domain.contains(value)) => return None,
            None => conditions.extend(conditions_of(space, *above, coordinate)?),
        }
    }
    Some(conditions)
}
