//! Coordinate search: one parameter at a time, the others where they are best so far.
//!
//! The parameters are gone through in order. Each takes all values that a [grid](super::grid) would give it, the others
//! keep their defaults; when all of these trials have ended, the best value becomes the default. Points that were tried
//! before, in an earlier stage or by hand, count and are not tried again; while a stage has trials at work only, asking
//! means waiting.
//!
//! Settings: `order`, a list of names (default: all parameters as the space lists them); `defaults`, values by name
//! (default: the middle of each range, the first choice of each list); `bins` (default 10), the values of a real, or a
//! whole number with more than a thousand values, that has no bins of its own.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::domain::{Domain, ListKind};
use super::grid;
use super::history::{History, Past};
use super::space::{Param, Space, suggest};
use super::strategy::{Proposal, Strategy, all_broken, allow_settings, whole_setting};
use crate::{Error, Result};

/// Values of a parameter that are all tried.
const LISTED_MAX: u64 = 1000;

/// Coordinate search.
pub struct Coordinate {
    space: Space,
    /// Places of parameters, with the values each takes.
    stages: Vec<(usize, Vec<Value>)>,
    /// A value for every parameter, active or not.
    defaults: Map<String, Value>,
}

impl Coordinate {
    /// Returns a coordinate search.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings it does not have and for names or values that are not in the space.
    pub fn new(space: Space, settings: &Map<String, Value>) -> Result<Coordinate> {
        allow_settings("coordinate", settings, &["order", "defaults", "bins"])?;
        let bins = whole_setting("coordinate", settings, "bins", 1)?.unwrap_or(10);
        let values = |at: usize| -> Result<(usize, Vec<Value>)> {
            let param = &space.params()[at];
            if let Domain::Numeric(numeric) = &param.domain
                && numeric.bins.is_none()
                && numeric.count().is_some_and(|count| count > LISTED_MAX)
            {
                return Ok((at, numeric.bin_values(bins)));
            }
            Ok((at, grid::axis(param, Some(bins))?.values()))
        };
        let stages = order(&space, settings)?.into_iter().map(values).collect::<Result<_>>()?;
        let defaults = defaults(&space, settings)?;
        Ok(Coordinate { space, stages, defaults })
    }
}

impl Strategy for Coordinate {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let mut tried: HashMap<String, &Past> = HashMap::with_capacity(history.len());
        for past in history.iter() {
            tried.entry(self.space.key(&past.params)).or_insert(past);
        }
        let mut base = self.defaults.clone();
        let mut met = self.space.constraints().is_empty();
        for (at, values) in &self.stages {
            let name = &self.space.params()[*at].name;
            let mut best: Option<(f64, Value)> = None;
            let mut running = false;
            // The default, on the grid or off it, is known from the stage before.
            let kept = base[name].clone();
            for value in std::iter::once(&kept).chain(values) {
                base[name] = value.clone();
                let point = self.space.only_active(&base);
                match tried.get(&self.space.key(&point)) {
                    Some(past) => {
                        met = true;
                        running |= !past.ended();
                        let better = |own: &f64| best.as_ref().is_none_or(|(top, _)| own < top);
                        if let Some(own) = past.value().filter(better) {
                            best = Some((own, value.clone()));
                        }
                    }
                    None if values.contains(value) && self.space.allows(&point)? => {
                        return Ok(Some(point).into());
                    }
                    None => {}
                }
            }
            if running {
                return Ok(Proposal::Wait);
            }
            base[name] = best.map_or(kept, |(_, value)| value);
        }
        match met {
            true => Ok(Proposal::Exhausted),
            false => Err(all_broken("the points that differ from the defaults in one parameter")
                .with_hint("loosen the constraints, or set `defaults` to a point that meets them")),
        }
    }
}

fn order(space: &Space, settings: &Map<String, Value>) -> Result<Vec<usize>> {
    let names = || space.params().iter().map(|param| param.name.as_str());
    let searched = |at: &usize| !matches!(space.params()[*at].domain, Domain::Fixed(_));
    let list = match settings.get("order") {
        None | Some(Value::Null) => {
            return Ok((0..space.params().len()).filter(searched).collect());
        }
        Some(Value::Array(list)) => list,
        Some(other) => return Err(refuse(format!("order {other} is no list of names"))),
    };
    let mut order: Vec<usize> = Vec::with_capacity(list.len());
    for name in list {
        let at = name.as_str().and_then(|name| names().position(|own| own == name));
        let Some(at) = at else {
            let error = refuse(format!("order names {name}, which is not a parameter"));
            return Err(suggest(error, name.as_str().unwrap_or_default(), names()));
        };
        if order.contains(&at) {
            return Err(refuse(format!("order names {name} twice")));
        }
        order.push(at);
    }
    order.retain(searched);
    Ok(order)
}

fn defaults(space: &Space, settings: &Map<String, Value>) -> Result<Map<String, Value>> {
    let first = |param: &Param| match &param.domain {
        Domain::List { kind: ListKind::Categorical | ListKind::Boolean, choices } => {
            choices[0].clone()
        }
        domain => domain.at_unit(0.5),
    };
    let entries = space.params().iter().map(|param| (param.name.clone(), first(param)));
    let mut defaults: Map<String, Value> = entries.collect();
    let own = match settings.get("defaults") {
        None | Some(Value::Null) => return Ok(defaults),
        Some(Value::Object(own)) => own,
        Some(other) => return Err(refuse(format!("defaults {other} is no object"))),
    };
    for (name, value) in own {
        let Some(param) = space.param(name) else {
            let error = refuse(format!("defaults name \"{name}\", which is not a parameter"));
            return Err(suggest(error, name, space.params().iter().map(|p| p.name.as_str())));
        };
        if !param.domain.contains(value) {
            return Err(refuse(format!("the default {value} of {name} is not one of its values")));
        }
        defaults.insert(name.clone(), value.clone());
    }
    Ok(defaults)
}

fn refuse(why: String) -> Error {
    Error::invalid("strategy coordinate", why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::search::history::PastState;

    fn search(settings: Value) -> Result<Coordinate> {
        let space = Space::parse(&json!({
            "lrate": {"type": "real", "low": 0.1, "high": 0.5, "bins": 5},
            "batch": {"type": "integer", "low": 1, "high": 5, "bins": 2},
            "arch": ["mlp", "cnn"]
        }))
        .unwrap();
        Coordinate::new(space, settings.as_object().unwrap())
    }

    fn loss(point: &Map<String, Value>) -> f64 {
        let number = |name: &str| point[name].as_f64().unwrap();
        (number("lrate") - 0.3).abs() + number("batch") / 10.0 + f64::from(point["arch"] == "mlp")
    }

    #[test]
    fn each_stage_starts_from_the_best_of_the_one_before() {
        let order = json!({
            "order": ["lrate", "batch", "arch"],
            "defaults": {"lrate": 0.15, "batch": 5, "arch": "mlp"}
        });
        let mut search = search(order).unwrap();
        let mut history = History::new();
        let mut asked = Vec::new();
        while let Proposal::New { params, .. } = search.ask(&history).unwrap() {
            let values = vec![loss(&params)];
            asked.push(Value::Object(params.clone()));
            let state = PastState::Complete { values };
            history.put(Past::new(history.next_number(), params, state));
        }
        let lrates: Vec<f64> =
            asked[..5].iter().map(|point| point["lrate"].as_f64().unwrap()).collect();
        assert!(lrates.iter().zip([0.1, 0.2, 0.3, 0.4, 0.5]).all(|(a, b)| (a - b).abs() < 1e-9));
        assert_eq!(asked[5], json!({"lrate": lrates[2], "batch": 1, "arch": "mlp"}));
        assert_eq!(asked[6], json!({"lrate": lrates[2], "batch": 1, "arch": "cnn"}));
        assert_eq!(asked.len(), 7);
    }

    #[test]
    fn a_stage_ends_when_its_last_trial_does() {
        let mut search = search(json!({"order": ["batch", "arch"]})).unwrap();
        let mut history = History::new();
        for number in 0..2 {
            let Proposal::New { params, .. } = search.ask(&history).unwrap() else { panic!() };
            history.put(Past::new(number, params, PastState::Pending));
        }
        assert_eq!(search.ask(&history).unwrap(), Proposal::Wait);
        history.change(0, |past| past.state = PastState::Failed);
        assert_eq!(search.ask(&history).unwrap(), Proposal::Wait);
        history.change(1, |past| past.state = PastState::Complete { values: vec![1.0] });
        let Proposal::New { params, .. } = search.ask(&history).unwrap() else { panic!() };
        assert_eq!((&params["batch"], &params["arch"]), (&json!(5), &json!("cnn")));
    }

    #[test]
    fn settings_are_checked() {
        for wrong in [
            json!({"order": ["lrat"]}),
            json!({"order": ["lrate", "lrate"]}),
            json!({"order": "lrate"}),
            json!({"defaults": {"batch": 9}}),
            json!({"defaults": {"size": 9}}),
            json!({"ordr": []}),
        ] {
            assert!(search(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
