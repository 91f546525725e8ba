//! What evolutionary strategies know of one coordinate of the unit cube.

use crate::search::domain::{Domain, ListKind};
use crate::search::space::Space;

/// Values of a lattice that are told apart; with more of them it is taken for real.
const CELLS_MAX: u64 = 1024;

/// One coordinate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Axis {
    /// Any place is a value of its own, or nearly.
    Real,
    /// Values in order own a cell each.
    Lattice {
        /// The ends of the cells, from 0 to 1.
        edges: Vec<f64>,
    },
    /// Values without order own a cell each, all as wide.
    Choice {
        /// How many.
        count: usize,
    },
}

impl Axis {
    /// Returns the axes of a space, one for each of its dimensions.
    pub(crate) fn all(space: &Space) -> Vec<Axis> {
        space.searched().map(|param| Axis::of(&param.domain)).collect()
    }

    fn of(domain: &Domain) -> Axis {
        let unordered =
            matches!(domain, Domain::List { kind: ListKind::Categorical | ListKind::Boolean, .. });
        match domain.count() {
            Some(count) if unordered => Axis::Choice { count: count as usize },
            Some(count) if count <= CELLS_MAX => {
                edges(domain, count).map_or(Axis::Real, |edges| Axis::Lattice { edges })
            }
            _ => Axis::Real,
        }
    }

    /// Returns how many values there are; `None` for reals.
    pub(crate) fn count(&self) -> Option<usize> {
        match self {
            Axis::Real => None,
            Axis::Lattice { edges } => Some(edges.len() - 1),
            Axis::Choice { count } => Some(*count),
        }
    }

    /// Returns the number of the cell that holds a place; 0 for reals.
    pub(crate) fn cell(&self, place: f64) -> usize {
        match self {
            Axis::Real => 0,
            Axis::Lattice { edges } => {
                edges[1..edges.len() - 1].partition_point(|edge| *edge <= place)
            }
            Axis::Choice { count } => ((place * *count as f64) as usize).min(count - 1),
        }
    }

    /// Returns the middle of a cell.
    pub(crate) fn centre(&self, cell: usize) -> f64 {
        match self {
            Axis::Real => 0.5,
            Axis::Lattice { edges } => (edges[cell] + edges[cell + 1]) / 2.0,
            Axis::Choice { count } => (cell as f64 + 0.5) / *count as f64,
        }
    }
}

/// Returns the ends of the cells of a lattice; `None` where the prior leaves some no width.
fn edges(domain: &Domain, count: u64) -> Option<Vec<f64>> {
    let mut edges = vec![0.0];
    for index in 0..count {
        let centre = domain.unit_of(&domain.value_at(index))?;
        let edge = edges[edges.len() - 1];
        edges.push(2.0 * centre - edge);
    }
    let rise = edges.windows(2).all(|pair| pair[1] - pair[0] > 1e-12);
    (rise && (edges[edges.len() - 1] - 1.0).abs() < 1e-6).then_some(edges)
}

/// Mirrors a place at the ends of [0, 1] until it lies between them.
pub(crate) fn reflect(place: f64) -> f64 {
    let place = place.rem_euclid(2.0);
    if place.is_nan() {
        0.5
    } else if place > 1.0 {
        2.0 - place
    } else {
        place
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn cells_are_those_of_the_values() {
        let space = Space::parse(&json!({
            "even": {"type": "integer", "low": 1, "high": 7},
            "log": {"type": "integer", "low": 1, "high": 300, "prior": "log"},
            "bell": {"type": "integer", "low": -5, "high": 5, "prior": "normal", "mean": 0, "std": 2},
            "steps": {"type": "real", "low": 0, "high": 1, "step": 0.25},
            "sizes": {"type": "ordinal", "choices": [16, 32, 64]},
            "kind": ["a", "b", "c"],
            "wide": {"type": "integer", "low": 0, "high": 1_000_000},
        }))
        .unwrap();
        let axes = Axis::all(&space);
        assert_eq!((axes[5].count(), axes[6].count()), (Some(3), None));
        for (axis, param) in axes.iter().zip(space.searched()).take(6) {
            for step in 0..=1000 {
                let value: Value = param.domain.at_unit((step as f64 + 0.37) / 1001.0);
                let index = param.domain.index_of(&value).unwrap() as usize;
                assert_eq!(
                    axis.cell((step as f64 + 0.37) / 1001.0),
                    index,
                    "{} {step}",
                    param.name
                );
                let centre = param.domain.unit_of(&value).unwrap();
                assert!((axis.centre(index) - centre).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn reflection_ends_inside() {
        for (place, inside) in [(0.3, 0.3), (-0.2, 0.2), (1.3, 0.7), (2.1, 0.1), (-1.4, 0.6)] {
            assert!((reflect(place) - inside).abs() < 1e-12, "{place}");
        }
        assert_eq!((reflect(f64::NAN), reflect(1.0), reflect(0.0)), (0.5, 1.0, 0.0));
    }
}
