//! Data for two plots of a search: a parameter against an objective, and all of them side by side.

use serde_json::{Value, json};

use super::Trial;
use crate::display::json_number;
use crate::protocol::Goal;
use crate::search::space::Space;

/// Returns for each searched parameter the trials that have a value, ordered by the parameter's: the trial's number, the
/// parameter's value, its place in [0, 1] by the prior, and the objective.
pub fn slice(space: &Space, trials: &[&Trial], at: usize) -> Value {
    let params = space.searched().enumerate().map(|(axis, param)| {
        let mut points: Vec<(f64, Value)> = trials
            .iter()
            .filter_map(|trial| {
                let value = trial.params.get(&param.name)?;
                let objective = trial.values()?.get(at).filter(|value| !value.is_nan())?;
                let place = space.encode(&trial.params)[axis];
                let row = json!({
                    "number": trial.number, "x": value, "unit": place, "value": json_number(*objective),
                });
                Some((place.unwrap_or(f64::INFINITY), row))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let points: Vec<Value> = points.into_iter().map(|(_, row)| row).collect();
        json!({"name": param.name, "kind": param.domain.kind(), "points": points})
    });
    Value::Array(params.collect())
}

/// Returns the axes of a plot in parallel coordinates, and a line for each trial that has a value: a place in [0, 1] on
/// each parameter's axis (null where it is inactive), and its objectives.
pub fn parallel(space: &Space, trials: &[&Trial], goals: &[(String, Goal)]) -> Value {
    let axes: Vec<Value> = space
        .searched()
        .map(|param| {
            let mut axis = param.to_json();
            axis["name"] = param.name.as_str().into();
            axis
        })
        .collect();
    let lines: Vec<Value> = trials
        .iter()
        .filter_map(|trial| {
            let values: Vec<Value> =
                trial.values()?.iter().map(|value| json_number(*value)).collect();
            let units = space.encode(&trial.params);
            Some(json!({"number": trial.number, "units": units, "params": trial.params, "values": values}))
        })
        .collect();
    let objectives: Vec<Value> = goals
        .iter()
        .map(|(metric, goal)| json!({"metric": metric, "goal": goal.as_str()}))
        .collect();
    json!({"axes": axes, "objectives": objectives, "lines": lines})
}
