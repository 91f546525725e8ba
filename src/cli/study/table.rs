//! All trials of a study as comma-separated values.

use serde_json::{Map, Value};

use crate::analysis::Trial;
use crate::clock;
use crate::display::csv_line;
use crate::search::space::Space;

/// What each trial has before its objectives, and after them.
const BEFORE: [&str; 3] = ["trial", "state", "source"];
const AFTER: [&str; 4] = ["epochs", "epochs_reached", "asked_at", "ended_at"];

/// Returns a line for each trial: objectives by their names, parameters after `param/`, first those of the space, as far as a
/// trial has them; `epochs` to be reached, and those that were.
///
/// A parameter that is inactive is an empty cell; an empty text, a list and an object are written as JSON.
pub(super) fn csv(trials: &[Trial], metrics: &[&str], space: &Space) -> String {
    let mut params: Map<String, Value> =
        space.params().iter().map(|param| (param.name.clone(), Value::Null)).collect();
    for name in trials.iter().flat_map(|trial| trial.params.keys()) {
        params.entry(name.as_str()).or_insert(Value::Null);
    }
    let is_taken = |metric: &str| BEFORE.contains(&metric) || AFTER.contains(&metric);
    let metric_title = |metric: &&str| match is_taken(metric) {
        true => format!("value/{metric}"),
        false => (*metric).to_owned(),
    };
    let mut header: Vec<String> = BEFORE.map(str::to_owned).to_vec();
    header.extend(metrics.iter().map(metric_title));
    header.extend(AFTER.map(str::to_owned));
    header.extend(params.keys().map(|name| format!("param/{name}")));
    let mut text = csv_line(header.iter().map(String::as_str));
    for trial in trials {
        let mut row = vec![
            trial.number.to_string(),
            trial.word.clone(),
            if trial.asked { "asked" } else { "added" }.to_owned(),
        ];
        let values = trial.standing().or(trial.values_known.as_deref()).unwrap_or_default();
        let value =
            |at: usize| values.get(at).map_or_else(String::new, |value| format!("{value:?}"));
        row.extend((0..metrics.len()).map(value));
        let has_epochs = trial.epochs.is_some() || !trial.curve.is_empty();
        row.push(trial.epochs.map_or_else(String::new, |epochs| epochs.to_string()));
        row.push(if has_epochs { trial.curve.len().to_string() } else { String::new() });
        row.push(clock::iso(trial.asked_at_ms));
        row.push(trial.ended_at_ms.map_or_else(String::new, clock::iso));
        row.extend(params.keys().map(|name| trial.params.get(name).map_or_else(String::new, cell)));
        text += &csv_line(row.iter().map(String::as_str));
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn odd_names_and_choices_have_cells_of_their_own() {
        let choices = json!({"m": [{"a": 1}, [1, 2], null, ""], "m.a": [5, 6], "a,\"b": [1]});
        let space = Space::parse(&choices).unwrap();
        assert_eq!(
            csv(&[], &["state", "loss"], &space),
            "trial,state,source,value/state,loss,epochs,epochs_reached,asked_at,ended_at,param/m,param/m.a,\"param/a,\"\"b\"\r\n"
        );
        for (value, text) in [
            (json!({"a": 1}), r#"{"a":1}"#),
            (json!([1, 2]), "[1,2]"),
            (json!(null), "null"),
            (json!(""), "\"\""),
            (json!("x y"), "x y"),
            (json!(0.5), "0.5"),
            (json!(true), "true"),
        ] {
            assert_eq!(cell(&value), text);
        }
    }
}
