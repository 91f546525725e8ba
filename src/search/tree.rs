//! Counting and numbering the points of a finite space with conditions.
//!
//! Parameters are taken in an order in which parents come before their children. A point is the row of its active
//! values; points are numbered with the last parameter running fastest. What follows a parent depends only on which of
//! the values named in conditions it has, so counts are kept per such class and not per value.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::domain::Domain;
use super::space::Space;

/// The values one parameter takes, in order.
#[derive(Clone, Debug)]
pub(crate) enum Axis {
    /// All of a countable domain.
    All(Domain),
    /// These.
    Listed(Vec<Value>),
}

impl Axis {
    /// Returns all values in order.
    pub(crate) fn values(&self) -> Vec<Value> {
        (0..self.len()).map(|index| self.value(index)).collect()
    }

    fn len(&self) -> u64 {
        match self {
            Axis::All(domain) => domain.count().unwrap_or(0),
            Axis::Listed(values) => values.len() as u64,
        }
    }

    fn value(&self, index: u64) -> Value {
        match self {
            Axis::All(domain) => domain.value_at(index),
            Axis::Listed(values) => values[index as usize].clone(),
        }
    }

    fn position(&self, value: &Value) -> Option<u64> {
        match self {
            Axis::All(domain) => domain.index_of(value),
            Axis::Listed(values) => {
                values.iter().position(|own| super::domain::same(own, value)).map(|at| at as u64)
            }
        }
    }
}

/// The class of a parent's value: the place of its value among those that conditions name, or one of these two.
type Class = u32;
const OTHER: Class = u32::MAX - 1;
const INACTIVE: Class = u32::MAX;

struct Node {
    param: usize,
    axis: Axis,
    /// Positions, on the axis, of the values that conditions on this parameter name; sorted.
    named: Vec<u64>,
    /// (place of the parent in the order, its classes that allow this node).
    parents: Vec<(usize, Vec<Class>)>,
    /// The last place in the order whose node has this one as a parent.
    last_child: Option<usize>,
}

/// The numbering of a finite space.
pub(crate) struct Tree {
    nodes: Vec<Node>,
    counts: HashMap<(usize, Vec<Class>), Option<u128>>,
}

impl Tree {
    /// Returns the numbering of `axes`, one for each parameter, in `order`.
    pub(crate) fn new(space: &Space, order: &[usize], axes: Vec<Axis>) -> Tree {
        let mut axes: Vec<Option<Axis>> = axes.into_iter().map(Some).collect();
        let mut nodes: Vec<Node> = Vec::with_capacity(order.len());
        for &param in order {
            let axis = axes[param].take().unwrap_or(Axis::Listed(Vec::new()));
            let mut named: Vec<u64> = space
                .named_values(param)
                .into_iter()
                .filter_map(|value| axis.position(value))
                .collect();
            named.sort_unstable();
            named.dedup();
            nodes.push(Node { param, axis, named, parents: Vec::new(), last_child: None });
        }
        for place in 0..nodes.len() {
            for (parent, values) in space.parents(nodes[place].param) {
                let Some(above) = order.iter().position(|param| param == parent) else { continue };
                let node = &nodes[above];
                let classes = values
                    .iter()
                    .filter_map(|value| node.axis.position(value))
                    .filter_map(|at| node.named.binary_search(&at).ok())
                    .map(|class| class as Class)
                    .collect();
                nodes[above].last_child = Some(place);
                nodes[place].parents.push((above, classes));
            }
        }
        Tree { nodes, counts: HashMap::new() }
    }

    /// Returns how many points there are; `None` when they do not fit 128 bits.
    pub(crate) fn size(&mut self) -> Option<u128> {
        self.count(0, &mut Vec::new())
    }

    /// Returns point number `index`, which must be below the size, its values in the order of the space.
    pub(crate) fn point(&mut self, index: u128, space: &Space) -> Map<String, Value> {
        let mut rest = index;
        let mut classes: Vec<Class> = Vec::with_capacity(self.nodes.len());
        let mut values: Vec<Option<Value>> = vec![None; self.nodes.len()];
        for place in 0..self.nodes.len() {
            let mut class = INACTIVE;
            if self.active(place, &classes) {
                let (at, chosen) = self.descend(place, &mut classes, &mut rest);
                values[self.nodes[place].param] = Some(self.nodes[place].axis.value(at));
                class = chosen;
            }
            classes.push(class);
        }
        space.assemble(values)
    }

    /// Returns how many points from number `index` on have the same values of the first `places` parameters in order, or
    /// lack the same of them.
    pub(crate) fn alike(&mut self, index: u128, places: usize) -> u128 {
        let mut rest = index;
        let mut classes: Vec<Class> = Vec::with_capacity(self.nodes.len());
        for place in 0..places {
            let class = match self.active(place, &classes) {
                true => self.descend(place, &mut classes, &mut rest).1,
                false => INACTIVE,
            };
            classes.push(class);
        }
        self.count(places, &mut classes).map_or(1, |count| count - rest)
    }

    /// Returns how many of the parameters in order come up to the last of these.
    pub(crate) fn places_to(&self, params: impl Fn(usize) -> bool) -> usize {
        self.nodes.iter().rposition(|node| params(node.param)).map_or(0, |place| place + 1)
    }

    /// Finds the value of the node at `place` that holds point `rest`, and takes off the points before it.
    fn descend(&mut self, place: usize, classes: &mut Vec<Class>, rest: &mut u128) -> (u64, Class) {
        let (length, named) = (self.nodes[place].axis.len(), self.nodes[place].named.clone());
        let mut start = 0;
        // Runs of values with the same number of points below each: every named value, and what lies between.
        for run in 0..=named.len() * 2 {
            let (end, class) = match (run % 2, named.get(run / 2)) {
                (0, Some(&at)) => (at, OTHER),
                (0, None) => (length, OTHER),
                (_, _) => (start + 1, (run / 2) as Class),
            };
            if end == start {
                continue;
            }
            let each = self.count_after(place, class, classes).unwrap_or(u128::MAX);
            let width = u128::from(end - start);
            if each > 0 && *rest / each < width {
                let at = start + (*rest / each) as u64;
                *rest %= each;
                return (at, class);
            }
            *rest -= each * width;
            start = end;
        }
        (length.saturating_sub(1), OTHER)
    }

    fn active(&self, place: usize, classes: &[Class]) -> bool {
        self.nodes[place].parents.iter().all(|(above, allowed)| allowed.contains(&classes[*above]))
    }

    /// Counts the rows of values from `place` on, given the classes before it.
    fn count(&mut self, place: usize, classes: &mut Vec<Class>) -> Option<u128> {
        if place == self.nodes.len() {
            return Some(1);
        }
        // Only parents with children still to come matter for what follows.
        let matters = |(above, class): (usize, &Class)| match self.nodes[above].last_child {
            Some(last) if last >= place => *class,
            _ => OTHER,
        };
        let key = (place, classes.iter().enumerate().map(matters).collect::<Vec<_>>());
        if let Some(known) = self.counts.get(&key) {
            return *known;
        }
        let total = self.count_node(place, classes);
        self.counts.insert(key, total);
        total
    }

    fn count_node(&mut self, place: usize, classes: &mut Vec<Class>) -> Option<u128> {
        if !self.active(place, classes) {
            return self.count_after(place, INACTIVE, classes);
        }
        let named = self.nodes[place].named.len();
        let other = u128::from(self.nodes[place].axis.len() - named as u64);
        let mut total = 0;
        if other > 0 {
            total = self.count_after(place, OTHER, classes)?.checked_mul(other)?;
        }
        for class in 0..named {
            total = total.checked_add(self.count_after(place, class as Class, classes)?)?;
        }
        Some(total)
    }

    fn count_after(
        &mut self,
        place: usize,
        class: Class,
        classes: &mut Vec<Class>,
    ) -> Option<u128> {
        classes.push(class);
        let count = self.count(place + 1, classes);
        classes.pop();
        count
    }
}
