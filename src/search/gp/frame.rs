//! Points as rows of numbers: what the kernel measures and the search of the acquisition moves in.
//!
//! A row has a coordinate for each searched parameter: its place in [0, 1], NaN where it is inactive. Countable values
//! sit at the centres of their cells, so the model never sees a difference that rounding would undo.

use rand_pcg::Pcg64;
use serde_json::{Map, Value};

use crate::search::domain::{Domain, ListKind};
use crate::search::space::Space;
use crate::search::stream::{below, normal, unit};

/// Cells beyond which a line of numbers is treated as if it had none.
const CELLS_MAX: u64 = 4096;

/// Choices up to which a list without order has a length for each of them.
const LENGTHS_MAX: usize = 8;

/// How one coordinate behaves.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Says whether its values are a list without order.
    pub choice: bool,
    /// The centres of its cells, in order; empty for a continuum.
    pub cells: Vec<f64>,
    /// It is active only where each of these axes is at one of the places.
    parents: Vec<(usize, Vec<f64>)>,
}

/// The coordinates of a space.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub axes: Vec<Axis>,
    /// Axes with parents before their children.
    order: Vec<usize>,
    /// Where the lengths of each axis begin in a row of all, and at last how many there are.
    pub lengths: Vec<usize>,
    /// Says whether any axis can be inactive.
    pub conditional: bool,
}

impl Frame {
    pub(crate) fn new(space: &Space) -> Frame {
        let searched: Vec<usize> = (0..space.params().len())
            .filter(|at| !matches!(space.params()[*at].domain, Domain::Fixed(_)))
            .collect();
        let axis_of = |param: usize| searched.iter().position(|at| *at == param);
        let axis = |param: &usize| {
            let domain = &space.params()[*param].domain;
            let place = |value: &Value| domain.unit_of(value);
            let cells = match domain.count() {
                Some(count) if count <= CELLS_MAX || matches!(domain, Domain::List { .. }) => {
                    (0..count).filter_map(|index| place(&domain.value_at(index))).collect()
                }
                _ => Vec::new(),
            };
            let mut parents = Vec::new();
            conditions(space, *param, &axis_of, &mut parents);
            let choice = matches!(domain, Domain::List { kind, .. } if *kind != ListKind::Ordinal);
            Axis { choice, cells, parents }
        };
        let axes: Vec<Axis> = searched.iter().map(axis).collect();
        let order = space.order_by_name().into_iter().filter_map(axis_of).collect();
        let conditional = axes.iter().any(|axis| !axis.parents.is_empty());
        let mut lengths = vec![0];
        axes.iter().for_each(|axis| lengths.push(lengths[lengths.len() - 1] + axis.lengths()));
        Frame { axes, order, lengths, conditional }
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.axes.len()
    }

    /// Says whether the coordinate moves along a continuum.
    pub(crate) fn smooth(&self, at: usize) -> bool {
        self.axes[at].cells.is_empty()
    }

    /// Says whether all coordinates are lines: none is a list without order.
    pub(crate) fn lines(&self) -> bool {
        self.axes.iter().all(|axis| !axis.choice)
    }

    /// Returns the row of a point.
    pub(crate) fn row(&self, space: &Space, point: &Map<String, Value>) -> Vec<f64> {
        space.encode(point).into_iter().map(|place| place.unwrap_or(f64::NAN)).collect()
    }

    /// Returns the point of a row.
    pub(crate) fn point(&self, space: &Space, row: &[f64]) -> Map<String, Value> {
        let unit: Vec<f64> = row.iter().map(|x| if x.is_nan() { 0.5 } else { *x }).collect();
        space.decode(&unit)
    }

    /// Moves a row to what a point of it would give: cells to their centres, inactive coordinates to NaN.
    ///
    /// Coordinates that become active without a place are drawn.
    pub(crate) fn settle(&self, row: &mut [f64], generator: &mut Pcg64) {
        for &at in &self.order {
            let axis = &self.axes[at];
            let active = axis.parents.iter().all(|(above, places)| places.contains(&row[*above]));
            if !active {
                row[at] = f64::NAN;
                continue;
            }
            if row[at].is_nan() {
                row[at] = unit(generator);
            }
            row[at] = axis.nearest(row[at].clamp(0.0, 1.0));
        }
    }

    /// Moves the coordinate to a neighbour at a distance of about `scale`.
    pub(crate) fn nudge(&self, row: &mut [f64], at: usize, scale: f64, generator: &mut Pcg64) {
        let axis = &self.axes[at];
        let count = axis.cells.len() as u64;
        if axis.choice {
            row[at] = axis.cells[below(generator, count) as usize];
            return;
        }
        let mut step = scale * normal(generator);
        if count > 1 && step.abs() < 1.0 / count as f64 {
            step = (1.0 / count as f64).copysign(step);
        }
        // What would leave the line is mirrored back.
        let next = row[at] + step;
        let next = if next < 0.0 {
            -next
        } else if next > 1.0 {
            2.0 - next
        } else {
            next
        };
        row[at] = next.clamp(0.0, 1.0);
    }
}

impl Axis {
    /// Returns how many lengths say how alike places on it are: one, but for lists without order one for each choice,
    /// since some differ more from the rest than others do. Of two choices one length says all.
    pub(crate) fn lengths(&self) -> usize {
        match self.cells.len() {
            count @ 3..=LENGTHS_MAX if self.choice => count,
            _ => 1,
        }
    }

    /// Returns which of the lengths is that of a place.
    pub(crate) fn length_of(&self, place: f64) -> usize {
        (place * self.lengths() as f64) as usize
    }

    /// Returns the centre of the nearest cell, or the place itself on a continuum.
    pub(crate) fn nearest(&self, place: f64) -> f64 {
        if self.cells.is_empty() {
            return place;
        }
        let right = self.cells.partition_point(|cell| *cell < place);
        let left = right.saturating_sub(1);
        let right = right.min(self.cells.len() - 1);
        let nearer_left = place - self.cells[left] <= self.cells[right] - place;
        self.cells[if nearer_left { left } else { right }]
    }
}

/// Collects what must hold for the parameter at `param` to be active; fixed parents hand on what holds for them.
fn conditions(
    space: &Space,
    param: usize,
    axis_of: &impl Fn(usize) -> Option<usize>,
    found: &mut Vec<(usize, Vec<f64>)>,
) {
    for (above, values) in space.parents(param) {
        let domain = &space.params()[*above].domain;
        match axis_of(*above) {
            Some(axis) => {
                found.push((axis, values.iter().filter_map(|v| domain.unit_of(v)).collect()));
            }
            None => conditions(space, *above, axis_of, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::search::stream::{Purpose, stream};

    #[test]
    fn long_lists_are_lists() {
        let words: Vec<String> = (0..=CELLS_MAX).map(|i| format!("w{i}")).collect();
        let space = Space::parse(&json!({
            "word": words,
            "x": {"type": "real", "low": 0, "high": 1, "when": {"word": "w7"}},
        }))
        .unwrap();
        let frame = Frame::new(&space);
        assert!(!frame.smooth(0) && frame.smooth(1));
        let mut generator = stream(1, 0, Purpose::Model, 0);
        let mut row = frame.row(&space, json!({"word": "w7", "x": 0.5}).as_object().unwrap());
        frame.settle(&mut row, &mut generator);
        assert_eq!(row[1], 0.5);
        frame.nudge(&mut row, 0, 0.1, &mut generator);
        frame.settle(&mut row, &mut generator);
        assert!(space.contains(&frame.point(&space, &row)) && row[1].is_nan());
    }
}
