//! Search logs of mle-hyperopt.
//!
//! As YAML a mapping of texts "0", "1", … to records, keys sorted; as JSON a list of records. A record has `eval_id`,
//! `params` with nested names joined by `/`, `objective` (a number, or a list of them), and maybe `extra` and `ckpt`.
//! The peer knows neither failed nor pending trials: they are left out, and so are values that are NaN, which it would
//! take for the best. Booleans stay what they are, where the peer itself writes 1 and 0.

use serde_json::{Map, Value, json};

use crate::analysis::Trial;
use crate::error::{Error, Result};
use crate::study::ask::Told;
use crate::study::edit::Point;
use crate::study::log::number;

/// Returns the records of trials, and how many trials were left out.
pub fn records(trials: &[Trial]) -> (Vec<Value>, usize) {
    let records: Vec<Value> = trials
        .iter()
        .filter_map(|trial| {
            let values = trial.values()?;
            let finite = !values.is_empty() && values.iter().all(|value| value.is_finite());
            finite.then_some((trial, values))
        })
        .enumerate()
        .map(|(id, (trial, values))| {
            let objective = if values.len() == 1 { json!(values[0]) } else { json!(values) };
            let mut record =
                json!({"eval_id": id, "objective": objective, "params": sorted(&trial.params)});
            if let Some(epochs) = trial.epochs {
                record["extra"] = json!({ "epochs": epochs });
            }
            record
        })
        .collect();
    let left_out = trials.len() - records.len();
    (records, left_out)
}

/// Writes records as YAML, the way the peer saves them.
///
/// # Errors
/// [`Error::Invalid`] for what YAML cannot say.
pub fn yaml(records: &[Value]) -> Result<String> {
    let keyed: Map<String, Value> =
        records.iter().enumerate().map(|(id, record)| (id.to_string(), record.clone())).collect();
    serde_saphyr::to_string(&Value::Object(sorted(&keyed)))
        .map_err(|error| Error::invalid("the log", error.to_string()))
}

/// Writes records as JSON, the way the peer saves them.
pub fn json_text(records: &[Value]) -> String {
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, format);
    serde::Serialize::serialize(records, &mut writer).expect("JSON of values can be written");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// Reads a log of either kind.
///
/// # Errors
/// [`Error::Invalid`] when it is none.
pub fn points(log: &Value, origin: &str) -> Result<Vec<Point>> {
    let bad = |at: &str, why: &str| Error::invalid(format!("{origin}: record {at}"), why);
    let records: Vec<(String, &Value)> = match log {
        Value::Array(list) => {
            list.iter().enumerate().map(|(at, it)| (at.to_string(), it)).collect()
        }
        Value::Object(map) => {
            let mut records: Vec<(String, &Value)> =
                map.iter().map(|(id, record)| (id.clone(), record)).collect();
            // Texts sort as 0, 1, 10, 2: the order in which they were told is that of the numbers.
            records.sort_by_key(|(id, _)| id.parse::<u64>().unwrap_or(u64::MAX));
            records
        }
        _ => return Err(Error::invalid(origin, "is no search log: neither a list nor a mapping")),
    };
    records
        .into_iter()
        .map(|(at, record)| {
            let params = record["params"].as_object().ok_or_else(|| bad(&at, "has no params"))?;
            let values = match &record["objective"] {
                Value::Null => Vec::new(),
                Value::Array(list) => list.iter().filter_map(number).collect(),
                value => number(value).into_iter().collect(),
            };
            let told = match values.is_empty() || values.iter().any(|value| value.is_nan()) {
                true => Told::Failed,
                false => Told::Complete(values),
            };
            let extra = json!({"source": "mle-hyperopt", "eval_id": record["eval_id"], "extra": record["extra"]});
            Ok(Point { params: flat(params), told: Some(told), curve: Vec::new(), extra, times: None })
        })
        .collect()
}

/// Joins nested names by `/`: logs made by hand may have them nested.
fn flat(params: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in params {
        match value {
            Value::Object(inner) => {
                for (below, value) in flat(inner) {
                    out.insert(format!("{name}/{below}"), value);
                }
            }
            value => {
                out.insert(name.clone(), value.clone());
            }
        }
    }
    out
}

fn sorted(map: &Map<String, Value>) -> Map<String, Value> {
    let mut entries: Vec<(String, Value)> =
        map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_comes_back_in_its_order() {
        let log: Map<String, Value> = (0..12)
            .map(|id| {
                (
                    id.to_string(),
                    json!({"eval_id": id, "objective": id, "params": {"a/b": id, "c": true}}),
                )
            })
            .collect();
        let read = points(&Value::Object(sorted(&log)), "log").unwrap();
        let order: Vec<&Value> = read.iter().map(|point| &point.params["a/b"]).collect();
        assert_eq!(order, (0..12).map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
        assert_eq!(read[3].params["c"], json!(true));
        let odd = json!([
            {"params": {"a": {"b": 1}}, "objective": [1, ".inf"]}, {"params": {}, "objective": ".nan"}, {"params": {}}
        ]);
        let read = points(&odd, "log").unwrap();
        assert_eq!(read[0].params["a/b"], json!(1));
        assert_eq!(read[0].told, Some(Told::Complete(vec![1.0, f64::INFINITY])));
        assert_eq!([&read[1].told, &read[2].told], [&Some(Told::Failed); 2]);
        assert!(
            points(&json!([{"objective": 1}]), "log").unwrap_err().to_string().contains("record 0")
        );
    }
}
