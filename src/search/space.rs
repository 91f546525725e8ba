//! A search space: named parameters, the conditions under which they count, and constraints between them.
//!
//! A point is a JSON object with the active parameters only, in the order of the space. Names may be paths (`opt/lr`):
//! the space and its points stay flat, and [`nest`] makes the configuration of them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::domain::{Domain, same};
use super::expression::Expression;
use super::parse;
use super::sampler::WALK_MAX;
use super::tree::{Axis, Tree};
use crate::error::did_you_mean;
use crate::{Error, Result};

/// One parameter of a space.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name, a path when it is nested.
    pub name: String,
    /// Its values.
    pub domain: Domain,
    /// It is active only if each of these parents is active and has one of the values.
    pub when: Vec<(String, Vec<Value>)>,
    /// What trials without it count as having: those from before it was there.
    pub missing: Option<Value>,
}

/// What can be proposed.
#[derive(Clone, Debug)]
pub struct Space {
    params: Vec<Param>,
    /// For each parameter its parents, by place, with the values that allow it.
    parents: Vec<Vec<(usize, Vec<Value>)>>,
    /// All places, parents before children, children close to their parents.
    order: Vec<usize>,
    constraints: Vec<(String, Expression)>,
}

/// A row of [`Space::describe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The parameter.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Its values, and when it is active.
    pub range: String,
}

impl Space {
    /// Reads a space: an object of parameters, the neutral `{"params": […], "conditions": […]}`, or mle-hyperopt's
    /// three dicts `{"real": {…}, "integer": {…}, "categorical": {…}}`.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the parameter.
    pub fn parse(value: &Value) -> Result<Space> {
        Space::new(parse::params(value)?)
    }

    /// Makes a space of parameters that are valid by themselves.
    ///
    /// # Errors
    /// [`Error::Invalid`] for names that clash and for conditions on nothing, on themselves or in a circle.
    pub fn new(params: Vec<Param>) -> Result<Space> {
        refuse_clashes(&params)?;
        let parents = params
            .iter()
            .map(|param| param.when.iter().map(|when| parent(&params, param, when)).collect())
            .collect::<Result<Vec<Vec<_>>>>()?;
        let order = sort(&params, &parents)?;
        Ok(Space { params, parents, order, constraints: Vec::new() })
    }

    /// Adds constraints: expressions over the parameters that every proposal must meet.
    ///
    /// A constraint that mentions an inactive parameter counts as met.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an expression that cannot be read or that no point can be tested with, and for a finite
    /// space no point of which meets them.
    pub fn with_constraints(mut self, constraints: Vec<String>) -> Result<Space> {
        let names: Vec<&str> = self.params.iter().map(|param| param.name.as_str()).collect();
        let parsed = constraints
            .into_iter()
            .map(|text| Expression::parse(&text, &names).map(|parsed| (text, parsed)))
            .collect::<Result<Vec<_>>>()?;
        self.constraints.extend(parsed);
        let middle = self.decode(&vec![0.5; self.dimensions()]);
        if !self.allows(&middle)? {
            self.refuse_if_empty()?;
        }
        Ok(self)
    }

    /// Refuses a finite space no point of which meets the constraints; of one too large to be walked nothing is said.
    fn refuse_if_empty(&self) -> Result<()> {
        let Some(mut tree) = self.tree() else { return Ok(()) };
        let Some(size) = tree.size().filter(|size| *size <= WALK_MAX) else { return Ok(()) };
        for index in 0..size {
            // A point that cannot be tested says why when it is proposed.
            if !matches!(self.allows(&tree.point(index, self)), Ok(false)) {
                return Ok(());
            }
        }
        Err(Error::invalid(
            "constraints",
            format!("none of the {size} points of the space meets them all"),
        )
        .with_hint("loosen the constraints or widen the space to where they hold"))
    }

    /// Returns the parameters in the order they were written.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Returns the parameter of that name.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// Returns the texts of the constraints.
    pub fn constraints(&self) -> Vec<&str> {
        self.constraints.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// Returns the space as an object of parameters, which [`Space::parse`] reads back. Constraints stand apart.
    pub fn to_json(&self) -> Value {
        let entries = self.params.iter().map(|param| (param.name.clone(), param.to_json()));
        Value::Object(entries.collect())
    }

    /// Returns a row for each parameter, for a table.
    pub fn describe(&self) -> Vec<Row> {
        let row = |param: &Param| Row {
            name: param.name.clone(),
            kind: param.domain.kind(),
            range: param.range(),
        };
        self.params.iter().map(row).collect()
    }

    /// Returns the number of parameters that are searched: all but the fixed ones.
    pub fn dimensions(&self) -> usize {
        self.searched().count()
    }

    /// Returns the searched parameters, one for each coordinate of the unit cube, in order.
    pub fn searched(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(|param| !matches!(param.domain, Domain::Fixed(_)))
    }

    /// Returns the point at `unit`, a place in the unit cube with [`Space::dimensions`] coordinates.
    pub fn decode(&self, unit: &[f64]) -> Map<String, Value> {
        let mut coordinates = unit.iter();
        let places: Vec<f64> = self
            .params
            .iter()
            .map(|param| match param.domain {
                Domain::Fixed(_) => 0.5,
                _ => coordinates.next().copied().unwrap_or(0.5),
            })
            .collect();
        let mut values: Vec<Option<Value>> = vec![None; self.params.len()];
        for &at in &self.order {
            if self.active(at, &values) {
                values[at] = Some(self.params[at].domain.at_unit(places[at]));
            }
        }
        self.assemble(values)
    }

    /// Returns the place of a point in the unit cube, `None` for what is inactive or not in the space.
    pub fn encode(&self, point: &Map<String, Value>) -> Vec<Option<f64>> {
        // Points are nearly always in the order of the space: one walk along both spares a search for each name.
        let mut entries = point.iter().peekable();
        let mut places = Vec::with_capacity(self.params.len());
        for param in &self.params {
            let next = entries.next_if(|(name, _)| **name == param.name);
            let value = next.map_or_else(|| point.get(&param.name), |(_, value)| Some(value));
            if !matches!(param.domain, Domain::Fixed(_)) {
                places.push(value.and_then(|value| param.domain.unit_of(value)));
            }
        }
        places
    }

    /// Returns the active parameters of `point`, in order, without the rest.
    pub fn only_active(&self, point: &Map<String, Value>) -> Map<String, Value> {
        let active = self.activity(point);
        let kept = self.params.iter().zip(active).filter(|(_, active)| *active);
        kept.filter_map(|(param, _)| Some((param.name.clone(), point.get(&param.name)?.clone())))
            .collect()
    }

    /// Returns `point` with the values that it counts as having where a parameter is active in it and missing; nothing where
    /// that is the point itself.
    pub fn completed(&self, point: &Map<String, Value>) -> Option<Map<String, Value>> {
        let lacks = |param: &Param| param.missing.is_some() && !point.contains_key(&param.name);
        if !self.params.iter().any(lacks) {
            return None;
        }
        let mut whole = point.clone();
        for &at in &self.order {
            let param = &self.params[at];
            let Some(value) = param.missing.as_ref().filter(|_| lacks(param)) else { continue };
            if self.activity(&whole)[at] {
                whole.insert(param.name.clone(), value.clone());
            }
        }
        // As proposals are written; what is no parameter comes last.
        let known = self.params.iter().filter_map(|param| whole.shift_remove_entry(&param.name));
        let mut point: Map<String, Value> = known.collect();
        point.extend(whole);
        Some(point)
    }

    /// Says whether [`Space::contains`] a point, completed.
    pub fn contains_completed(&self, point: &Map<String, Value>) -> bool {
        self.contains(self.completed(point).as_ref().unwrap_or(point))
    }

    /// Says for each parameter whether it is active in `point`, by its parents' values.
    pub fn activity(&self, point: &Map<String, Value>) -> Vec<bool> {
        let mut active = vec![false; self.params.len()];
        for &at in &self.order {
            active[at] = self.parents[at].iter().all(|(above, allowed)| {
                let value = point.get(&self.params[*above].name);
                active[*above]
                    && value.is_some_and(|value| allowed.iter().any(|one| same(one, value)))
            });
        }
        active
    }

    /// Says whether `point` has exactly the active parameters, each with one of its values, and meets the constraints.
    pub fn contains(&self, point: &Map<String, Value>) -> bool {
        self.check(point).is_ok()
    }

    /// Says whether each of the parameters in `point` has one of its values; others may be missing.
    pub fn holds(&self, point: &Map<String, Value>) -> bool {
        point
            .iter()
            .all(|(name, value)| self.param(name).is_some_and(|param| param.domain.contains(value)))
    }

    /// Refuses a point that [`Space::contains`] denies, and says why.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the parameter or the constraint.
    pub fn check(&self, point: &Map<String, Value>) -> Result<()> {
        for name in point.keys() {
            if self.param(name).is_none() {
                let error = Error::invalid(parse::at(name), "is not a parameter of the space");
                return Err(suggest(error, name, self.params.iter().map(|p| p.name.as_str())));
            }
        }
        for (param, active) in self.params.iter().zip(self.activity(point)) {
            let why = match (active, point.get(&param.name)) {
                (true, None) => "has no value".to_owned(),
                (false, Some(_)) => format!("is not active: it counts {}", param.condition()),
                (true, Some(value)) if !param.domain.contains(value) => {
                    let integer = matches!(&param.domain, Domain::Numeric(it) if it.integer);
                    let fraction = value.as_f64().is_some_and(|x| x.fract() != 0.0);
                    let whole = if integer && fraction { "a whole number " } else { "" };
                    format!("{value} is not {whole}in {}", param.range())
                }
                _ => continue,
            };
            return Err(Error::invalid(parse::at(&param.name), why));
        }
        match self.broken(point)? {
            Some(text) => Err(Error::invalid("constraint", format!("\"{text}\" is not met"))),
            None => Ok(()),
        }
    }

    /// Says whether a point meets all constraints.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a constraint that cannot be evaluated, such as one that adds a text to a number.
    pub fn allows(&self, point: &Map<String, Value>) -> Result<bool> {
        Ok(self.broken(point)?.is_none())
    }

    fn broken(&self, point: &Map<String, Value>) -> Result<Option<&str>> {
        Ok(self.broken_constraint(point)?.map(|(text, _)| text.as_str()))
    }

    /// Returns the first constraint that a point breaks.
    pub(crate) fn broken_constraint(
        &self,
        point: &Map<String, Value>,
    ) -> Result<Option<&(String, Expression)>> {
        for constraint in &self.constraints {
            if !constraint.1.holds(point)? {
                return Ok(Some(constraint));
            }
        }
        Ok(None)
    }

    /// Returns how many points there are without regard to constraints; `None` where reals make them countless.
    pub fn size(&self) -> Option<u128> {
        self.tree()?.size()
    }

    /// Returns the numbering of a finite space.
    pub(crate) fn tree(&self) -> Option<Tree> {
        let countable = self.params.iter().all(|param| param.domain.count().is_some());
        let axes = self.params.iter().map(|param| Axis::All(param.domain.clone())).collect();
        countable.then(|| Tree::new(self, &self.order, axes))
    }

    /// Says whether two draws may give the same point: not if a real is always drawn.
    pub(crate) fn can_repeat(&self) -> bool {
        !self.params.iter().any(|param| param.when.is_empty() && param.domain.count().is_none())
    }

    /// Returns a text that is the same for two points exactly when they are the same point.
    pub fn key(&self, point: &Map<String, Value>) -> String {
        let part = |param: &Param| match point.get(&param.name) {
            None => String::new(),
            Some(value) => match (param.domain.index_of(value), value.as_f64()) {
                (Some(index), _) => format!("{index}"),
                (None, Some(x)) => format!("{:x}", (x + 0.0).to_bits()),
                (None, None) => value.to_string(),
            },
        };
        self.params.iter().map(part).collect::<Vec<_>>().join(",")
    }

    /// Returns the smallest space of this kind around `points`: new bounds for numbers, fewer choices for lists.
    ///
    /// A parameter that is inactive in all of them stays as it is.
    pub fn narrowed(&self, points: &[&Map<String, Value>]) -> Space {
        let mut narrow = self.clone();
        for param in &mut narrow.params {
            let values: Vec<&Value> =
                points.iter().filter_map(|point| point.get(&param.name)).collect();
            if !values.is_empty() {
                param.domain.narrow(&values);
            }
            param.missing.take_if(|value| !param.domain.contains(value));
        }
        narrow
    }

    /// Returns the space without parameters that no value of their parents brings up any more, after it was narrowed, and
    /// without constraints that mention one: those count as met.
    ///
    /// # Errors
    /// [`Error::Invalid`] as of [`Space::new`].
    pub fn without_unreachable(mut self) -> Result<Space> {
        for at in self.order.clone() {
            for condition in 0..self.params[at].when.len() {
                let (parent, _) = self.parents[at][condition];
                let above = self.params[parent].clone();
                // A parent that went itself brings nothing up.
                let is_there = above.when.iter().all(|(_, values)| !values.is_empty());
                let values = &mut self.params[at].when[condition].1;
                values.retain(|value| is_there && above.domain.contains(value));
            }
        }
        self.params.retain(|param| param.when.iter().all(|(_, values)| !values.is_empty()));
        let names: Vec<&str> = self.params.iter().map(|param| param.name.as_str()).collect();
        let texts: Vec<String> = self
            .constraints
            .iter()
            .filter(|(text, _)| Expression::parse(text, &names).is_ok())
            .map(|(text, _)| text.clone())
            .collect();
        Space::new(self.params)?.with_constraints(texts)
    }

    /// Returns the parents of the parameter at a place, with the values that allow it.
    pub(crate) fn parents(&self, at: usize) -> &[(usize, Vec<Value>)] {
        &self.parents[at]
    }

    /// Returns all places, parents before children.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Returns the values of the parameter at a place that conditions name.
    pub(crate) fn named_values(&self, at: usize) -> Vec<&Value> {
        let all = self.parents.iter().flatten().filter(|(parent, _)| *parent == at);
        all.flat_map(|(_, values)| values).collect()
    }

    /// Returns all places by name, but children after their parents.
    pub(crate) fn order_by_name(&self) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.params.len()).collect();
        left.sort_by(|a, b| self.params[*a].name.cmp(&self.params[*b].name));
        let mut order: Vec<usize> = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let free =
                |at: &usize| self.parents[*at].iter().all(|(above, _)| order.contains(above));
            let next = left.iter().position(free).unwrap_or(0);
            order.push(left.remove(next));
        }
        order
    }

    /// Makes a point of values by place.
    pub(crate) fn assemble(&self, values: Vec<Option<Value>>) -> Map<String, Value> {
        let named = self.params.iter().zip(values);
        named.filter_map(|(param, value)| value.map(|value| (param.name.clone(), value))).collect()
    }

    fn active(&self, at: usize, values: &[Option<Value>]) -> bool {
        self.parents[at].iter().all(|(above, allowed)| {
            values[*above].as_ref().is_some_and(|value| allowed.iter().any(|one| same(one, value)))
        })
    }
}

/// Turns path names into nested objects: `{"opt/lr": 1}` into `{"opt": {"lr": 1}}`.
pub fn nest(point: &Map<String, Value>) -> Map<String, Value> {
    let mut root = Map::new();
    for (name, value) in point {
        let mut level = &mut root;
        let mut path = name.split('/').peekable();
        while let Some(part) = path.next() {
            if path.peek().is_none() {
                level.insert(part.to_owned(), value.clone());
                break;
            }
            let below = level.entry(part).or_insert_with(|| Value::Object(Map::new()));
            if !below.is_object() {
                *below = Value::Object(Map::new());
            }
            match below {
                Value::Object(map) => level = map,
                _ => break,
            }
        }
    }
    root
}

pub(crate) fn suggest<'a>(
    error: Error,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    match did_you_mean(word, known) {
        Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
        None => error,
    }
}

fn refuse_clashes(params: &[Param]) -> Result<()> {
    let mut names: HashSet<&str> = HashSet::new();
    for param in params {
        let path_is_whole = param.name.split('/').all(|part| !part.is_empty());
        if !path_is_whole {
            return Err(Error::invalid(parse::at(&param.name), "has an empty name"));
        }
        if !names.insert(&param.name) {
            return Err(Error::invalid(parse::at(&param.name), "is there twice"));
        }
    }
    for param in params {
        for (slash, _) in param.name.match_indices('/') {
            if names.contains(&param.name[..slash]) {
                let why = format!("lies inside \"{}\", which is a value", &param.name[..slash]);
                return Err(Error::invalid(parse::at(&param.name), why));
            }
        }
    }
    Ok(())
}

fn parent(
    params: &[Param],
    child: &Param,
    (name, values): &(String, Vec<Value>),
) -> Result<(usize, Vec<Value>)> {
    let Some(at) = params.iter().position(|param| param.name == *name) else {
        let error = Error::invalid(
            parse::at(&child.name),
            format!("depends on \"{name}\", which is not there"),
        );
        return Err(suggest(error, name, params.iter().map(|param| param.name.as_str())));
    };
    let above = &params[at].domain;
    if above.count().is_none() {
        let why =
            format!("depends on \"{name}\", a real: only values one can list make a condition");
        return Err(Error::invalid(parse::at(&child.name), why));
    }
    if values.is_empty() {
        return Err(Error::invalid(
            parse::at(&child.name),
            format!("names no value of \"{name}\""),
        ));
    }
    if let Some(stranger) = values.iter().find(|value| !above.contains(value)) {
        let why = format!("depends on {name} = {stranger}, which is not in {}", params[at].range());
        return Err(Error::invalid(parse::at(&child.name), why));
    }
    Ok((at, values.clone()))
}

/// Orders parents before children, each child as soon as its last parent is there.
fn sort(params: &[Param], parents: &[Vec<(usize, Vec<Value>)>]) -> Result<Vec<usize>> {
    let mut order: Vec<usize> = Vec::with_capacity(params.len());
    let mut placed = vec![false; params.len()];
    while order.len() < params.len() {
        let free =
            |at: &usize| !placed[*at] && parents[*at].iter().all(|(above, _)| placed[*above]);
        // The one whose parents came last keeps families together; roots wait.
        let recency = |at: &usize| {
            let places =
                parents[*at].iter().map(|(above, _)| order.iter().position(|o| o == above));
            (places.max().flatten().map_or(0, |place| place + 1), std::cmp::Reverse(*at))
        };
        let Some(next) = (0..params.len()).filter(free).max_by_key(recency) else {
            let stuck = (0..params.len()).find(|at| !placed[*at]).unwrap_or(0);
            return Err(Error::invalid(
                &params[stuck].name,
                "depends on itself, directly or in a circle",
            ));
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}
