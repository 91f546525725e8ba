//! The search space of a spec, checked and brought to one form.
//!
//! What comes out is an object `{name: {type, …}}` in the order of the document, with every default spelt out, so that
//! whoever builds a space from it meets no short forms. What a sampler does with a parameter is not decided here.

use super::block::{Block, check_name, place, suggest, whole, wrong};
use super::document::describe;
use crate::error::{Error, Result};
use crate::search::write::digits;
use serde_json::{Map, Value};

const TYPES: [&str; 6] = ["real", "integer", "categorical", "ordinal", "boolean", "fixed"];
const PRIORS: [&str; 4] = ["uniform", "log", "normal", "lognormal"];
/// The largest number of bins or choices of one parameter.
const CHOICES_MAX: usize = 1_000_000;
/// Beyond this a double has no place for every whole number.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Checks a space written in our language and returns its full form.
///
/// A list stands for a categorical parameter, a single value for a fixed one.
///
/// # Errors
///
/// `Invalid` naming file and key path.
pub fn normalise(origin: &str, path: &str, value: &Value) -> Result<Map<String, Value>> {
    let block = Block::new(origin, path, value)?;
    if block.map().is_empty() {
        return Err(block.error("", "the search space is empty").with_hint("name a parameter"));
    }
    let mut space = Map::new();
    for (name, value) in block.map() {
        check_parameter_name(name).map_err(|why| block.error(name, why))?;
        space.insert(name.clone(), parameter(origin, &block.path(name), value)?);
    }
    check_paths(&block, &space)?;
    check_conditions(&block, &space)?;
    Ok(space)
}

/// Says why a text cannot name a parameter; a slash leads into a section of the config.
pub fn check_parameter_name(name: &str) -> Result<(), String> {
    check_name(name)?;
    if name.split('/').any(|step| step.trim().is_empty()) {
        return Err("a part of the name between slashes is empty".into());
    }
    Ok(())
}

fn parameter(origin: &str, path: &str, value: &Value) -> Result<Value> {
    match value {
        Value::Array(choices) => {
            check_choices(origin, path, choices, 1)?;
            Ok(pairs([("type", "categorical".into()), ("choices", value.clone())]))
        }
        Value::Object(_) => described(&Block::new(origin, path, value)?),
        Value::Null => Err(Error::invalid(place(origin, path), "the parameter has no description")
            .with_hint("give a list of choices, a value, or `{type: real, low: 0, high: 1}`")),
        value => Ok(pairs([("type", "fixed".into()), ("value", value.clone())])),
    }
}

fn described(block: &Block) -> Result<Value> {
    let Some(kind) = block.text("type")? else {
        let error = block.error("", "the key `type` is missing");
        return Err(error.with_hint(format!("types: {}", TYPES.join(", "))));
    };
    let keys: &[&str] = match kind {
        "real" | "integer" => {
            &["type", "low", "high", "prior", "mean", "std", "step", "bins", "when"]
        }
        "categorical" | "ordinal" => &["type", "choices", "when"],
        "boolean" => &["type", "choices", "when"],
        "fixed" => &["type", "value", "when"],
        other => return Err(block.unknown_value("type", "type", other, &TYPES)),
    };
    block.only(keys)?;
    let mut out = match kind {
        "real" | "integer" => numeric(block, kind)?,
        "boolean" => boolean(block)?,
        "fixed" => {
            let value = block.map().get("value");
            let value = value.ok_or_else(|| block.error("", "the key `value` is missing"))?;
            pairs([("type", kind.into()), ("value", value.clone())])
        }
        _ => {
            let choices = match block.need("choices")? {
                Value::Array(choices) => choices,
                other => {
                    return Err(wrong(block.origin(), &block.path("choices"), "a list", other));
                }
            };
            let least = if kind == "ordinal" { 2 } else { 1 };
            check_choices(block.origin(), &block.path("choices"), choices, least)?;
            pairs([("type", kind.into()), ("choices", Value::Array(choices.clone()))])
        }
    };
    if let Some(when) = block.get("when") {
        out["when"] = when.clone();
    }
    Ok(out)
}

fn boolean(block: &Block) -> Result<Value> {
    let mut out = pairs([("type", "boolean".into())]);
    if let Some(choices) = block.get("choices") {
        let path = block.path("choices");
        let Value::Array(list) = choices else {
            return Err(wrong(block.origin(), &path, "a list", choices));
        };
        check_choices(block.origin(), &path, list, 1)?;
        if let Some(other) = list.iter().find(|choice| !choice.is_boolean()) {
            let why = format!("{} is neither true nor false", describe(other));
            return Err(block.error("choices", why));
        }
        out["choices"] = choices.clone();
    }
    Ok(out)
}

fn numeric(block: &Block, kind: &str) -> Result<Value> {
    let integer = kind == "integer";
    let prior = block.text("prior")?.unwrap_or("uniform");
    if !PRIORS.contains(&prior) {
        return Err(block.unknown_value("prior", "prior", prior, &PRIORS));
    }
    let bell = prior.ends_with("normal");
    let mut out = pairs([("type", kind.into())]);
    // Only a bell curve of real numbers may go on for ever.
    let open = bell && !integer && block.get("step").is_none() && block.get("bins").is_none();
    for key in ["low", "high"] {
        if !open || block.get(key).is_some() {
            out[key] = bound(block, key, integer)?;
        }
    }
    let [low_x, high_x] = ["low", "high"].map(|key| out.get(key).and_then(Value::as_f64));
    if let (Some(low), Some(high)) = (low_x, high_x) {
        check_bounds(block, low, high, integer)?;
    }
    if let Some(low) = low_x.filter(|low| prior.starts_with("log") && *low <= 0.0) {
        let why = format!("must be above 0 for the prior `{prior}`, not {}", digits(low));
        return Err(block.error("low", why));
    }
    out["prior"] = prior.into();
    for key in ["mean", "std"].into_iter().filter(|key| block.get(key).is_some()) {
        if !bell {
            return Err(block.error(key, "only goes with the priors `normal` and `lognormal`"));
        }
        out[key] = bound(block, key, false)?;
    }
    let both = |a: &str, b: &str| out.get(a).is_some() && out.get(b).is_some();
    if bell && !both("low", "high") && !both("mean", "std") {
        let why = format!("the prior `{prior}` needs both bounds, or `mean` and `std`");
        return Err(block.error("", why));
    }
    if let Some(std) = out.get("std").and_then(Value::as_f64).filter(|std| *std <= 0.0) {
        return Err(block.error("std", format!("must be above 0, not {std}")));
    }
    let width = high_x.unwrap_or(f64::INFINITY) - low_x.unwrap_or(f64::NEG_INFINITY);
    if block.get("step").is_some() {
        let step = bound(block, "step", integer)?;
        let step_x = step.as_f64().unwrap_or(f64::NAN);
        if !(step_x > 0.0 && step_x <= width) {
            let why = format!("must be above 0 and at most high - low, not {step}");
            return Err(block.error("step", why));
        }
        if block.get("bins").is_some() {
            return Err(block.error("", "`step` and `bins` exclude each other"));
        }
        out["step"] = step;
    }
    if let Some(bins) = block.integer("bins", 1, CHOICES_MAX as i64)? {
        out["bins"] = bins.into();
    }
    Ok(out)
}

fn check_bounds(block: &Block, low: f64, high: f64, integer: bool) -> Result<()> {
    if low >= high {
        return Err(block
            .error(
                "",
                format!("low must be less than high, not {} and {}", digits(low), digits(high)),
            )
            .with_hint("for a single value write the value itself"));
    }
    if !(high - low).is_finite() {
        return Err(block.error("", format!("the range from {low:e} to {high:e} is too wide")));
    }
    if integer && (low <= -INTEGER_MAX || high >= INTEGER_MAX) {
        return Err(block.error("", "whole numbers are exact only below 2^53"));
    }
    Ok(())
}

/// Returns a finite number, kept as it was written; a whole one for integers.
fn bound(block: &Block, key: &str, integer: bool) -> Result<Value> {
    let value = block.need(key)?;
    let path = block.path(key);
    let number = match value {
        Value::Number(number) => number,
        Value::String(text) if [".nan", ".inf", "-.inf"].contains(&text.as_str()) => {
            return Err(block.error(key, format!("must be a finite number, not {text}")));
        }
        Value::String(text) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
            let error = wrong(block.origin(), &path, "a number", value);
            return Err(error.with_hint("remove the quotes"));
        }
        other => return Err(wrong(block.origin(), &path, "a number", other)),
    };
    if !integer {
        return Ok(Value::Number(number.clone()));
    }
    let whole = whole(value);
    Ok(whole.ok_or_else(|| wrong(block.origin(), &path, "a whole number", value))?.into())
}

fn check_choices(origin: &str, path: &str, choices: &[Value], least: usize) -> Result<()> {
    let error = |why: String| Error::invalid(place(origin, path), why);
    match choices.len() {
        0 => return Err(error("the list of choices is empty".into())),
        n if n < least => {
            return Err(error(format!("must have at least {least} choices, not {n}")));
        }
        n if n > CHOICES_MAX => return Err(error(format!("{n} choices are too many"))),
        _ => {}
    }
    let mut seen = std::collections::HashSet::new();
    match choices.iter().find(|choice| !seen.insert(same_number(choice))) {
        Some(twice) => Err(error(format!("the choice {} is given twice", describe(twice)))),
        None => Ok(()),
    }
}

/// Returns a text equal for equal values: 1 and 1.0 are one choice.
pub fn same_number(value: &Value) -> String {
    whole(value).map_or_else(|| value.to_string(), |number| number.to_string())
}

/// No parameter may lie inside another: `opt` and `opt/lr` cannot both be set.
fn check_paths(block: &Block, space: &Map<String, Value>) -> Result<()> {
    for name in space.keys() {
        let above = name.match_indices('/').map(|(at, _)| &name[..at]);
        if let Some(outer) = above.into_iter().find(|outer| space.contains_key(*outer)) {
            return Err(block.error(name, format!("lies inside the parameter `{outer}`")));
        }
    }
    Ok(())
}

/// `when` maps parameters of this space to the value or list of values for which this one exists.
fn check_conditions(block: &Block, space: &Map<String, Value>) -> Result<()> {
    for (name, parameter) in space {
        let Some(when) = parameter.get("when") else { continue };
        let path = block.path(&format!("{name}.when"));
        let when = Block::new(block.origin(), path, when)?;
        if when.map().is_empty() {
            return Err(when.error("", "the condition is empty"));
        }
        for (parent, values) in when.map() {
            let Some(description) = space.get(parent) else {
                let known: Vec<&str> =
                    space.keys().map(String::as_str).filter(|known| *known != name).collect();
                let error = when.error("", format!("unknown parameter `{parent}`"));
                return Err(error.with_hint(suggest(parent, &known)));
            };
            let values = match values {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            if values.is_empty() {
                return Err(when.error(parent, "the list of values is empty"));
            }
            if let Some(never) = values.iter().find(|value| !can_be(description, value)) {
                let why = format!("the parameter `{parent}` is never {}", describe(never));
                return Err(when.error(parent, why));
            }
        }
    }
    check_cycles(block, space)
}

fn can_be(parameter: &Value, value: &Value) -> bool {
    let within = |x: f64| {
        let end = |key: &str, open: f64| parameter[key].as_f64().unwrap_or(open);
        (end("low", f64::NEG_INFINITY)..=end("high", f64::INFINITY)).contains(&x)
    };
    match parameter["type"].as_str().unwrap_or_default() {
        "boolean" => match parameter["choices"].as_array() {
            Some(choices) => choices.contains(value),
            None => value.is_boolean(),
        },
        "fixed" => same_number(&parameter["value"]) == same_number(value),
        "real" => value.as_f64().is_some_and(within),
        "integer" => whole(value).is_some_and(|x| within(x as f64)),
        _ => parameter["choices"]
            .as_array()
            .is_some_and(|all| all.iter().any(|choice| same_number(choice) == same_number(value))),
    }
}

/// Takes away parameters whose parents are all gone until nothing changes; what stays waits for itself.
fn check_cycles(block: &Block, space: &Map<String, Value>) -> Result<()> {
    let mut left: Vec<&String> = space.keys().collect();
    loop {
        let parents = |name: &str| space[name].get("when").and_then(Value::as_object);
        let waits = |name: &str| {
            parents(name).is_some_and(|when| when.keys().any(|parent| left.contains(&parent)))
        };
        let still: Vec<&String> = left.iter().copied().filter(|name| waits(name)).collect();
        match still.first() {
            None => return Ok(()),
            Some(name) if still.len() == left.len() => {
                return Err(block.error(&format!("{name}.when"), "the conditions run in a circle"));
            }
            Some(_) => left = still,
        }
    }
}

/// Returns an object of these pairs.
pub fn pairs<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
