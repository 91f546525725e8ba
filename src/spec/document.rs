//! From text to one JSON value: YAML, JSON or TOML, with the traps of each taken out.
//!
//! A key given twice is refused in all three, a hostile document is stopped by budgets, and `--set` changes the value
//! before anybody looks for meaning in it. Not here: what any key means.

use crate::error::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The largest spec or config file we read.
pub const SIZE_MAX_BYTES: usize = 8 << 20;

/// How deep mappings and lists may be nested. What holds a document adds a few levels, and JSON readers stop at 128.
const DEPTH_MAX: usize = 64;

/// The key under which the TOML library hands over a date.
const TOML_DATE: &str = "$__toml_private_datetime";

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Yaml,
    Json,
    Toml,
}

impl Format {
    /// Chooses by the file name's extension; whatever we do not know is tried as YAML, of which JSON is nearly a part.
    fn of(origin: &str) -> Self {
        match origin.rsplit('.').next().map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Format::Json,
            Some("toml") => Format::Toml,
            _ => Format::Yaml,
        }
    }
}

/// Reads a document whose top level must be a mapping.
///
/// Numbers that are not finite arrive as the texts `.nan`, `.inf` and `-.inf`, as JSON has no place for them.
///
/// # Errors
///
/// `Invalid`, with line and column where the parser knows them: too large, malformed, a key twice, not a mapping.
pub fn read(text: &str, origin: &str) -> Result<Map<String, Value>> {
    match any(text, origin)? {
        Value::Object(map) if map.is_empty() => {
            Err(Error::invalid(origin, "the document has no keys"))
        }
        Value::Object(map) => {
            check_depth(&map, origin)?;
            Ok(map)
        }
        Value::Null => Err(Error::invalid(origin, "the document is empty")),
        other => {
            let why = format!("the document must be a mapping of keys, not {}", describe(&other));
            Err(Error::invalid(origin, why))
        }
    }
}

fn check_depth(document: &Map<String, Value>, origin: &str) -> Result<()> {
    let mut open: Vec<(&Value, usize)> = document.values().map(|value| (value, 2)).collect();
    while let Some((value, depth)) = open.pop() {
        let inside: Vec<&Value> = match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => continue,
        };
        if depth > DEPTH_MAX {
            let why = format!("the document is nested more than {DEPTH_MAX} levels deep");
            return Err(Error::invalid(origin, why));
        }
        open.extend(inside.into_iter().map(|value| (value, depth + 1)));
    }
    Ok(())
}

/// Reads one value as YAML: the right side of `--set key=value`.
fn read_value(text: &str, origin: &str) -> Result<Value> {
    if text.trim().is_empty() {
        return Ok(Value::String(text.into()));
    }
    // A line and a column mean nothing to whoever typed a flag.
    value(text, "", Format::Yaml).map_err(|error| match error {
        Error::Invalid { why, .. } => Error::invalid(origin, why),
        other => other,
    })
}

/// Reads a document whose top level may be anything.
pub fn any(text: &str, origin: &str) -> Result<Value> {
    if text.len() > SIZE_MAX_BYTES {
        let size = text.len();
        return Err(Error::invalid(
            origin,
            format!("the document has {size} bytes, more than the {SIZE_MAX_BYTES} we read"),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Error::invalid(origin, "the document is empty"));
    }
    value(text, origin, Format::of(origin))
}

fn value(text: &str, origin: &str, format: Format) -> Result<Value> {
    match format {
        Format::Json => {
            let mut json = serde_json::Deserializer::from_str(text);
            let value = Strict.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
            value.map_err(|error| {
                let (line, column) = (error.line() as u64, error.column() as u64);
                let message = error.to_string();
                let why = message.split(" at line ").next().unwrap_or(&message);
                at(origin, line, column, why)
            })
        }
        Format::Toml => {
            let document =
                toml::Deserializer::parse(text).and_then(|toml| Strict.deserialize(toml));
            document.map_err(|error| {
                let (line, column) = error.span().map_or((0, 0), |span| position(text, span.start));
                at(origin, line, column, error.message())
            })
        }
        Format::Yaml => {
            let options = serde_saphyr::options! {
                strict_booleans: true,
                non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
                with_snippet: false,
            };
            serde_saphyr::from_str_with_options::<Yaml>(text, options).map(|yaml| yaml.0).map_err(
                |error| {
                    let (line, column) =
                        error.location().map_or((0, 0), |place| (place.line(), place.column()));
                    at(origin, line, column, &yaml_message(error.without_snippet()))
                },
            )
        }
    }
}

/// Says what the YAML library found, in our words where its own speak of its settings.
fn yaml_message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error::{DuplicateMappingKey, MultipleDocuments};
    match error {
        DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{}` is given twice", shorten(key))
        }
        MultipleDocuments { .. } => "there is a second document".into(),
        other => {
            let message = other.to_string();
            // Inside an alias the budget's error is wrapped, and only its text tells.
            if message.contains("budget breached") || message.contains("limit exceeded") {
                return "the document has too many values, or its aliases grow too large".into();
            }
            let first = message.split(" at line ").next().unwrap_or(&message);
            first.split('\n').next().unwrap_or(first).into()
        }
    }
}

fn at(origin: &str, line: u64, column: u64, why: &str) -> Error {
    let place = if line > 0 { format!("{origin}:{line}:{column}") } else { origin.into() };
    Error::invalid(place, why.trim())
}

fn position(text: &str, offset: usize) -> (u64, u64) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line as u64, column as u64)
}

/// Changes a document by `key.path=value` texts, in their order.
///
/// A path step is a key or, in a list, an index from 0; mappings on the way are made when missing.
///
/// # Errors
///
/// `Invalid` naming the text: no `=`, an empty key, a step into something that is no mapping, a value that is no YAML.
pub fn set(document: &mut Map<String, Value>, overrides: &[String]) -> Result<()> {
    for text in overrides {
        let what = format!("--set {}", shorten(text));
        let (path, right) = text.split_once('=').ok_or_else(|| {
            Error::invalid(&what, "there is no `=`").with_hint("write --set key.path=value")
        })?;
        let steps: Vec<&str> = path.split('.').map(str::trim).collect();
        if steps.iter().any(|step| step.is_empty()) {
            return Err(Error::invalid(&what, "a key of the path is empty")
                .with_hint("write --set key.path=value"));
        }
        if steps.len() > DEPTH_MAX {
            let why = format!("the path has {} steps, more than {DEPTH_MAX}", steps.len());
            return Err(Error::invalid("--set", why));
        }
        let value = read_value(right, &what)?;
        let (first, rest) = steps.split_first().expect("split yields at least one step");
        let slot = document.entry(*first).or_insert(Value::Null);
        set_below(slot, first, rest, value).map_err(|why| Error::invalid(&what, why))?;
        check_depth(document, &what)?;
    }
    Ok(())
}

fn set_below(slot: &mut Value, above: &str, steps: &[&str], value: Value) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *slot = value;
        return Ok(());
    };
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => {
            let next = map.entry(*step).or_insert(Value::Null);
            set_below(next, step, rest, value)
        }
        Value::Array(list) => {
            let n = list.len();
            let index = step.parse::<usize>().ok().filter(|index| *index < n);
            let index = index
                .ok_or_else(|| format!("`{above}` is a list of {n}, `{step}` is not in it"))?;
            set_below(&mut list[index], step, rest, value)
        }
        other => Err(format!("`{above}` is {}, it has no key `{step}`", describe(other))),
    }
}

/// Says what kind of thing a value is, for messages.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{:?}", shorten(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

/// Cuts a text a message quotes.
pub fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        return text.into();
    }
    text.chars().take(57).chain("...".chars()).collect()
}

/// What [`Strict`] reads, in the form the YAML library asks for.
struct Yaml(Value);

impl<'de> serde::Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Strict.deserialize(deserializer).map(Yaml)
    }
}

/// Builds a JSON value from any format and refuses a key given twice.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(match value {
            _ if value.is_nan() => ".nan".into(),
            f64::INFINITY => ".inf".into(),
            f64::NEG_INFINITY => "-.inf".into(),
            _ => value.into(),
        })
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = pairs.next_key::<String>()? {
            if map.contains_key(&key) {
                let why = format!("the key `{}` is given twice", shorten(&key));
                return Err(serde::de::Error::custom(why));
            }
            let value = pairs.next_value_seed(Strict)?;
            if key == TOML_DATE {
                return Ok(value);
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
