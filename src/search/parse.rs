//! Reading spaces: our own language, the neutral one of benchmarks, and mle-hyperopt's three dicts.

use serde_json::{Map, Value};

use super::domain::{Domain, ListKind, Numeric, Prior, same};
use super::space::{Param, suggest};
use super::write::digits;
use crate::{Error, Result};

const TYPES: &[&str] = &["real", "integer", "categorical", "ordinal", "boolean", "fixed"];
const PEER_KINDS: &[&str] = &["categorical", "real", "integer"];
/// What a parameter of any type may have.
const EVERYWHERE: [&str; 4] = ["type", "when", "name", "missing"];
/// From here on, whole numbers have no exact place on the number line of a double.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads the parameters of a space in any of the three languages.
pub(crate) fn params(value: &Value) -> Result<Vec<Param>> {
    let Some(object) = value.as_object() else {
        return Err(Error::invalid("space", "is not a mapping of parameters"));
    };
    if object.is_empty() {
        // Of a study whose parameters another program will name; strategies of ours refuse it.
        return Ok(Vec::new());
    }
    let params = if object.get("params").is_some_and(Value::is_array) {
        neutral(object)?
    } else if is_peer(object) {
        peer(object)?
    } else {
        object.iter().map(|(name, entry)| own(name, entry)).collect::<Result<Vec<_>>>()?
    };
    if params.is_empty() {
        return Err(Error::invalid("space", "has no parameters"));
    }
    Ok(params)
}

/// Reads one parameter of our own language.
fn own(name: &str, entry: &Value) -> Result<Param> {
    let domain = match entry {
        Value::Array(choices) => list(name, ListKind::Categorical, choices)?,
        Value::Object(fields) => return described(name, fields),
        scalar => Domain::Fixed(scalar.clone()),
    };
    Ok(Param { name: name.to_owned(), domain, when: Vec::new(), missing: None })
}

fn described(name: &str, fields: &Map<String, Value>) -> Result<Param> {
    let Some(kind) = fields.get("type").and_then(Value::as_str) else {
        let error = Error::invalid(at(name), format!("has no type: one of {}", TYPES.join(", ")));
        let inside = fields.iter().find(|(_, value)| value.is_object() || value.is_array());
        return Err(match inside {
            Some((inner, _)) => {
                error.with_hint(format!("a nested name is written \"{name}/{inner}\""))
            }
            None => error,
        });
    };
    let allowed: &[&str] = match kind {
        "real" | "integer" => &["low", "high", "prior", "mean", "std", "step", "bins"],
        "categorical" | "ordinal" | "boolean" => &["choices"],
        "fixed" => &["value"],
        _ => {
            let error = Error::invalid(at(name), format!("type \"{kind}\" is not known"))
                .with_hint(format!("types are {}", TYPES.join(", ")));
            return Err(suggest(error, kind, TYPES.iter().copied()));
        }
    };
    for key in fields.keys() {
        if !allowed.contains(&key.as_str()) && !EVERYWHERE.contains(&key.as_str()) {
            let error = Error::invalid(at(name), format!("\"{key}\" means nothing for a {kind}"))
                .with_hint(format!("a {kind} has {}", allowed.join(", ")));
            return Err(suggest(error, key, allowed.iter().copied()));
        }
    }
    let domain = match kind {
        "real" | "integer" => Domain::Numeric(numeric(name, kind == "integer", fields)?),
        "fixed" => {
            Domain::Fixed(fields.get("value").cloned().ok_or_else(|| missing(name, "value"))?)
        }
        "boolean" => boolean(name, fields.get("choices"))?,
        _ => {
            let choices = fields.get("choices").and_then(Value::as_array);
            let choices = choices.ok_or_else(|| missing(name, "choices, a list"))?;
            let ordered = kind == "ordinal";
            list(name, if ordered { ListKind::Ordinal } else { ListKind::Categorical }, choices)?
        }
    };
    let when = fields.get("when").map_or(Ok(Vec::new()), |when| conditions(name, when))?;
    let missing = fields.get("missing").map(|value| domain.canonical(value));
    let param = Param { name: name.to_owned(), domain, when, missing };
    match &param.missing {
        Some(value) if !param.domain.contains(value) => {
            let why =
                format!("its value where it is missing, {value}, is not in {}", param.range());
            Err(Error::invalid(at(name), why))
        }
        _ => Ok(param),
    }
}

fn conditions(name: &str, when: &Value) -> Result<Vec<(String, Vec<Value>)>> {
    let Some(parents) = when.as_object() else {
        return Err(Error::invalid(
            at(name),
            "\"when\" is not a mapping of a parent to its values",
        ));
    };
    let one = |(parent, values): (&String, &Value)| {
        let values = values.as_array().cloned().unwrap_or_else(|| vec![values.clone()]);
        (parent.clone(), values)
    };
    Ok(parents.iter().map(one).collect())
}

fn list(name: &str, kind: ListKind, choices: &[Value]) -> Result<Domain> {
    if choices.is_empty() {
        return Err(Error::invalid(at(name), "has no choices"));
    }
    for (index, choice) in choices.iter().enumerate() {
        if choices[..index].iter().any(|earlier| same(earlier, choice)) {
            return Err(Error::invalid(at(name), format!("has the choice {choice} twice")));
        }
    }
    Ok(Domain::List { kind, choices: choices.to_vec() })
}

fn boolean(name: &str, choices: Option<&Value>) -> Result<Domain> {
    let both = [Value::Bool(false), Value::Bool(true)];
    let choices = choices.and_then(Value::as_array).map_or(&both[..], Vec::as_slice);
    if let Some(stranger) = choices.iter().find(|choice| !choice.is_boolean()) {
        return Err(Error::invalid(at(name), format!("{stranger} is neither true nor false")));
    }
    list(name, ListKind::Boolean, choices)
}

fn numeric(name: &str, integer: bool, fields: &Map<String, Value>) -> Result<Numeric> {
    let (low, high) = (number(name, fields, "low")?, number(name, fields, "high")?);
    let (mean, std) = (number(name, fields, "mean")?, number(name, fields, "std")?);
    let step = number(name, fields, "step")?;
    let bins = match fields.get("bins") {
        None | Some(Value::Null) => None,
        Some(bins) => Some(bins.as_u64().filter(|bins| *bins > 0).ok_or_else(|| {
            Error::invalid(at(name), format!("bins {bins} is not a whole number above 0"))
        })?),
    };
    let word = match fields.get("prior") {
        None | Some(Value::Null) => "uniform",
        Some(prior) => prior.as_str().unwrap_or_default(),
    };
    let prior = match word {
        "uniform" => Prior::Uniform,
        "log" | "log-uniform" | "loguniform" | "log_uniform" => Prior::Log,
        "normal" => bell(name, low, high, mean, std, false)?,
        "lognormal" | "log-normal" => bell(name, low, high, mean, std, true)?,
        _ => {
            let known = ["uniform", "log", "normal", "lognormal"];
            let given = fields.get("prior").unwrap_or(&Value::Null);
            let error = Error::invalid(at(name), format!("prior {given} is not known"))
                .with_hint(format!("priors are {}", known.join(", ")));
            return Err(suggest(error, word, known));
        }
    };
    let bell = matches!(prior, Prior::Normal { .. } | Prior::Lognormal { .. });
    if !bell && (mean.is_some() || std.is_some()) {
        return Err(Error::invalid(
            at(name),
            format!("mean and std mean nothing for the prior {word}"),
        ));
    }
    let needs_bounds = !bell || integer || step.is_some();
    if needs_bounds {
        low.ok_or_else(|| missing(name, "low"))?;
        high.ok_or_else(|| missing(name, "high"))?;
    }
    let open_low = if prior.is_log() { 0.0 } else { f64::NEG_INFINITY };
    let found = Numeric {
        integer,
        low: low.unwrap_or(open_low),
        high: high.unwrap_or(f64::INFINITY),
        prior,
        step,
        bins,
    };
    check_bounds(name, &found, low)?;
    Ok(found)
}

fn check_bounds(name: &str, found: &Numeric, low_given: Option<f64>) -> Result<()> {
    let Numeric { integer, low, high, prior, step, .. } = *found;
    let fail = |why: String| Err(Error::invalid(at(name), why));
    if low > high {
        return fail(format!("low {} is above high {}", digits(low), digits(high)));
    }
    if prior.is_log() && low_given.is_some_and(|low| low <= 0.0) {
        return fail(format!(
            "low {} has no logarithm: a {} prior needs low above 0",
            digits(low),
            prior.name()
        ));
    }
    if integer {
        let parts = [Some(low), Some(high), step];
        if let Some(part) = parts.into_iter().flatten().find(|x| x.fract() != 0.0) {
            return fail(format!("{part} is not a whole number"));
        }
        // From there on a number that was written may have been another one.
        if low <= -INTEGER_MAX || high >= INTEGER_MAX {
            return fail("whole numbers are exact only below 2^53".into());
        }
    }
    if let Some(step) = step {
        let count = (high - low) / step;
        if step <= 0.0 || !count.is_finite() || count > INTEGER_MAX {
            let [step, low, high] = [step, low, high].map(digits);
            return fail(format!("step {step} does not lead from {low} to {high}"));
        }
        if integer && high - low >= INTEGER_MAX {
            return fail(format!(
                "steps are exact only over less than 2^53, not from {low} to {high}"
            ));
        }
    }
    if let Prior::Normal { mean, std } | Prior::Lognormal { mean, std } = prior {
        let place = |x: f64| if prior.is_log() { (x.ln() - mean) / std } else { (x - mean) / std };
        if place(low) > 8.0 || place(high) < -8.0 {
            return fail("the bounds lie more than 8 deviations from the mean".into());
        }
    }
    Ok(())
}

/// Returns a normal prior. Without mean and std the bounds are taken as two deviations to either side.
fn bell(
    name: &str,
    low: Option<f64>,
    high: Option<f64>,
    mean: Option<f64>,
    std: Option<f64>,
    log: bool,
) -> Result<Prior> {
    let scale = |x: f64| if log { x.ln() } else { x };
    let between = low.zip(high).map(|(low, high)| (scale(low), scale(high)));
    let word = if log { "lognormal" } else { "normal" };
    let ask = |what: &str| {
        let why = format!("a {word} prior without both bounds needs {what}");
        Error::invalid(at(name), why)
    };
    let mean =
        mean.or(between.map(|(low, high)| low / 2.0 + high / 2.0)).ok_or_else(|| ask("mean"))?;
    let std = std.or(between.map(|(low, high)| (high - low) / 4.0)).ok_or_else(|| ask("std"))?;
    let largest = if log { 700.0 } else { 1e300 };
    if std.is_nan() || mean.is_nan() || std <= 0.0 || mean.abs() + 9.0 * std > largest {
        let why = format!("mean {mean} and std {std} do not make a {word} prior");
        return Err(Error::invalid(at(name), why));
    }
    Ok(if log { Prior::Lognormal { mean, std } } else { Prior::Normal { mean, std } })
}

/// Returns a finite number, also one that YAML took for a text, such as 1e-4.
fn number(name: &str, fields: &Map<String, Value>, key: &str) -> Result<Option<f64>> {
    let Some(value) = fields.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let parsed = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let is_infinite = |text: &str| text.trim().trim_start_matches(['-', '+']) == ".inf";
    match parsed {
        Some(x) if x.is_finite() => Ok(Some(x)),
        Some(x) if x.is_infinite() => Err(endless(name, key)),
        // Readers of documents write so what is beyond all numbers.
        None if value.as_str().is_some_and(is_infinite) => Err(endless(name, key)),
        _ => Err(Error::invalid(at(name), format!("{key} {value} is not a number"))),
    }
}

fn endless(name: &str, key: &str) -> Error {
    Error::invalid(at(name), format!("{key} is infinite, or beyond the largest number 1.8e308"))
        .with_hint("a range ends at numbers; a normal prior without bounds has none")
}

fn neutral(object: &Map<String, Value>) -> Result<Vec<Param>> {
    for key in object.keys() {
        if key != "params" && key != "conditions" {
            return Err(Error::invalid(
                "space",
                format!("\"{key}\" stands beside params and conditions"),
            ));
        }
    }
    let entries = object.get("params").and_then(Value::as_array).into_iter().flatten();
    let mut params = entries
        .map(|entry| {
            let name = entry.get("name").and_then(Value::as_str);
            match (name, entry.as_object()) {
                (Some(name), Some(fields)) => described(name, fields),
                _ => Err(Error::invalid("space", format!("{entry} has no name"))),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let rows = object.get("conditions").and_then(Value::as_array).into_iter().flatten();
    for row in rows {
        let name = row.get("param").and_then(Value::as_str).unwrap_or_default();
        let when = row.get("when").ok_or_else(|| missing(name, "when"))?;
        let Some(param) = params.iter_mut().find(|param| param.name == name) else {
            return Err(Error::invalid(
                "space",
                format!("a condition is on \"{name}\", which is not there"),
            ));
        };
        param.when.extend(conditions(name, when)?);
    }
    Ok(params)
}

/// Says whether these are mle-hyperopt's dicts: only its three keys, and no parameter that merely has such a name.
fn is_peer(object: &Map<String, Value>) -> bool {
    let fits = |(kind, entry): (&String, &Value)| {
        let inside = entry.as_object();
        let of_kind = |value: &Value| match kind.as_str() {
            "categorical" => value.is_array() || !value.is_object(),
            _ => value.get("begin").is_some(),
        };
        PEER_KINDS.contains(&kind.as_str())
            && (entry.is_null()
                || inside.is_some_and(|map| !map.contains_key("type") && map.values().all(of_kind)))
    };
    !object.is_empty() && object.iter().all(fits)
}

/// Reads mle-hyperopt's dicts, in the order in which it draws: categorical, real, integer.
fn peer(object: &Map<String, Value>) -> Result<Vec<Param>> {
    let mut params = Vec::new();
    for kind in PEER_KINDS {
        let entries = object.get(*kind).and_then(Value::as_object).into_iter().flatten();
        for (name, entry) in entries {
            params.push(match *kind {
                "categorical" => {
                    let wrapped = vec![entry.clone()];
                    let choices = entry.as_array().unwrap_or(&wrapped);
                    let domain = list(name, ListKind::Categorical, choices)?;
                    Param { name: name.clone(), domain, when: Vec::new(), missing: None }
                }
                _ => peer_number(name, kind, entry)?,
            });
        }
    }
    Ok(params)
}

fn peer_number(name: &str, kind: &str, entry: &Value) -> Result<Param> {
    let mut fields = Map::new();
    fields.insert("type".into(), kind.into());
    for (key, value) in entry.as_object().into_iter().flatten() {
        let key = match key.as_str() {
            "begin" => "low",
            "end" => "high",
            same => same,
        };
        fields.insert(key.to_owned(), value.clone());
    }
    described(name, &fields)
}

fn missing(name: &str, what: &str) -> Error {
    Error::invalid(at(name), format!("has no {what}"))
}

/// Says where an error is.
pub(super) fn at(name: &str) -> String {
    format!("parameter {name}")
}
