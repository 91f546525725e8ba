//! Command lines: words with `{placeholders}`, and the flags scripts of the peer packages expect.
//!
//! Values go into words and never through a shell, so nothing in a value can split a word or start a program.

use super::block::suggest;
use super::document::shorten;
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Placeholders that are not parameters.
pub const RESERVED: [&str; 4] = ["seed", "config", "exp_dir", "resume"];

/// A stretch of a word.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Brace(char),
    Name(&'a str),
}

/// Cuts a word into text and placeholders; `{{` and `}}` are braces.
fn pieces(word: &str) -> Result<Vec<Piece<'_>>, String> {
    let hint = "write {{ and }} for braces that are meant literally";
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some(at) = rest.find(['{', '}']) {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        let brace = if rest[at..].starts_with('{') { '{' } else { '}' };
        let after = &rest[at + 1..];
        if after.starts_with(brace) {
            pieces.push(Piece::Brace(brace));
            rest = &after[1..];
            continue;
        }
        if brace == '}' {
            return Err(format!("a `}}` without `{{` in the word {:?}: {hint}", shorten(word)));
        }
        let end = after.find('}').ok_or_else(|| {
            format!("a `{{` without `}}` in the word {:?}: {hint}", shorten(word))
        })?;
        let name = after[..end].trim();
        if name.is_empty() || name.contains('{') {
            return Err(format!(
                "a placeholder without a name in the word {:?}: {hint}",
                shorten(word)
            ));
        }
        pieces.push(Piece::Name(name));
        rest = &after[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// Returns the names of all placeholders, in the order of first use.
///
/// # Errors
///
/// A sentence about a brace that has no partner.
pub fn placeholders(template: &[String]) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for word in template {
        for piece in pieces(word)? {
            if let Piece::Name(name) = piece
                && !names.iter().any(|known| known == name)
            {
                names.push(name.into());
            }
        }
    }
    Ok(names)
}

/// Returns words that [`fill`] gives back unchanged.
pub fn literal(words: &[String]) -> Vec<String> {
    words.iter().map(|word| word.replace('{', "{{").replace('}', "}}")).collect()
}

/// Fills a template for one run.
///
/// `{a/b}` is the key `b` inside `a`. Texts go in as they are, numbers so that they read back as the same number,
/// lists and mappings as JSON. A word stays one word.
///
/// # Errors
///
/// `Invalid` for a placeholder the config has no value for, `{config}` without a file, or a NUL in a value.
pub fn fill(
    template: &[String],
    config: &Map<String, Value>,
    seed: i64,
    config_path: Option<&str>,
    exp_dir: &str,
) -> Result<Vec<String>> {
    let value_of = |name: &str| -> Result<String> {
        match name {
            "seed" => Ok(seed.to_string()),
            "exp_dir" => Ok(exp_dir.into()),
            "config" => config_path
                .map(str::to_owned)
                .ok_or_else(|| Error::invalid("{config}", "this run has no config file")),
            // A config's own value of that name goes first; else the worker knows where the checkpoint is.
            "resume" if lookup(config, name).is_none() => Ok("{resume}".into()),
            name => lookup(config, name).map(to_text).ok_or_else(|| {
                let names = names(config);
                let known: Vec<&str> = names.iter().map(String::as_str).collect();
                let why = "the config of this run has no such value";
                Error::invalid(format!("{{{name}}}"), why).with_hint(suggest(name, &known))
            }),
        }
    };
    let mut words = Vec::with_capacity(template.len());
    for word in template {
        let mut filled = String::with_capacity(word.len());
        for piece in pieces(word).map_err(|why| Error::invalid("command", why))? {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Brace(brace) => filled.push(brace),
                Piece::Name(name) => filled.push_str(&value_of(name)?),
            }
        }
        if filled.contains('\0') {
            let why = format!("the word {:?} would hold a NUL character", shorten(word));
            return Err(Error::invalid("command", why));
        }
        words.push(filled);
    }
    Ok(words)
}

/// Returns the command line of a script in the form the peer packages use.
///
/// The interpreter follows the extension: `python` for `.py`, bash for `.sh`; anything else is run itself. What is
/// `None` is left out, and each further argument becomes `-key value`.
pub fn script_line(
    python: &str,
    script: &str,
    exp_dir: &str,
    config_path: Option<&str>,
    seed: Option<i64>,
    args: &[(String, String)],
) -> Vec<String> {
    let extension = script.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let mut words = match extension.as_deref() {
        Some("py") => vec![python.to_owned(), script.to_owned()],
        Some("sh") => vec!["bash".to_owned(), script.to_owned()],
        _ if script.contains('/') => vec![script.to_owned()],
        _ => vec![format!("./{script}")],
    };
    let mut flag = |name: &str, value: String| words.extend([format!("-{name}"), value]);
    flag("exp_dir", exp_dir.into());
    if let Some(path) = config_path {
        flag("config", path.into());
    }
    if let Some(seed) = seed {
        flag("seed", seed.to_string());
    }
    for (name, value) in args {
        flag(name, value.clone());
    }
    words
}

/// Returns the value at a key path; a key that holds the slash itself goes first.
pub fn lookup<'a>(config: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = config.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('/')?;
    lookup(config.get(first)?.as_object()?, rest)
}

/// Sets the value at a key path, making mappings on the way; a mapping is merged into one that is there.
pub fn assign(config: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('/').filter(|_| !config.contains_key(path)) else {
        return merge_value(config.entry(path).or_insert(Value::Null), value);
    };
    let slot = config.entry(first).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    assign(slot.as_object_mut().expect("made a mapping above"), rest, value);
}

/// Lays `over` on `base`: mappings are merged key by key, anything else is replaced.
pub fn merge(base: &Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = base.clone();
    for (key, value) in over {
        merge_value(merged.entry(key).or_insert(Value::Null), value.clone());
    }
    merged
}

fn merge_value(slot: &mut Value, value: Value) {
    match (slot, value) {
        (Value::Object(below), Value::Object(over)) => {
            for (key, value) in over {
                merge_value(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (slot, value) => *slot = value,
    }
}

/// Returns every key path of a config, mappings included.
pub fn names(config: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    let mut open: Vec<(String, &Map<String, Value>)> = vec![(String::new(), config)];
    while let Some((prefix, map)) = open.pop() {
        for (key, value) in map {
            let name = format!("{prefix}{key}");
            if let Value::Object(below) = value {
                open.push((format!("{name}/"), below));
            }
            names.push(name);
        }
    }
    names
}

/// Returns a value as the word of a command line.
pub fn to_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns a config of a search: the base with a proposal laid on it, each parameter at its key path.
pub fn place_proposal(
    base: &Map<String, Value>,
    proposal: &Map<String, Value>,
    targets: &BTreeMap<String, String>,
) -> Map<String, Value> {
    let mut config = base.clone();
    for (name, value) in proposal {
        let path = targets.get(name).map_or(name.as_str(), String::as_str);
        assign(&mut config, path, value.clone());
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(text: &[&str]) -> Vec<String> {
        text.iter().map(|word| (*word).to_owned()).collect()
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_value_stays_inside_its_word() {
        let config = map(
            json!({"lr": 1e-5, "s": "a b; rm -rf $HOME '\"", "o": {"on": true, "n": 3}, "l": [1, 2]}),
        );
        let template = words(&[
            "--lr={lr}",
            "{s}",
            "{{{o/on}}}",
            "{o/n}{seed}",
            "{l}",
            "{config}",
            "{exp_dir}/x",
        ]);
        let filled = fill(&template, &config, -4, Some("c d.json"), "/out").unwrap();
        let expected = [
            "--lr=0.00001",
            "a b; rm -rf $HOME '\"",
            "{true}",
            "3-4",
            "[1,2]",
            "c d.json",
            "/out/x",
        ];
        assert_eq!(filled, expected);
    }

    #[test]
    fn floats_read_back_as_the_same_number() {
        for x in [0.1, 1e-3, 1.0 / 3.0, 1e300, f64::MIN_POSITIVE, 5e-324, 123456789.125] {
            let filled = fill(&words(&["{x}"]), &map(json!({"x": x})), 0, None, "").unwrap();
            assert_eq!(filled[0].parse::<f64>().unwrap().to_bits(), x.to_bits());
        }
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        let config = map(json!({"lrate": 1, "nul": "a\0b"}));
        for word in ["{lrat}", "{config}", "{nul}", "{", "}", "{}", "a{b{c}"] {
            assert!(fill(&words(&[word]), &config, 0, None, "").is_err(), "{word}");
        }
    }

    #[test]
    fn literal_words_come_back() {
        let given = words(&["{\"a\": {}}", "}}{{", "plain"]);
        assert_eq!(fill(&literal(&given), &Map::new(), 0, None, "").unwrap(), given);
    }

    #[test]
    fn a_script_gets_the_flags_in_order() {
        let args = vec![("k".to_owned(), "v w".to_owned())];
        let line = script_line("python3", "t.py", "D", Some("F"), Some(3), &args);
        let expected =
            ["python3", "t.py", "-exp_dir", "D", "-config", "F", "-seed", "3", "-k", "v w"];
        assert_eq!(line, expected);
        assert_eq!(
            script_line("p", "t.sh", "D", None, None, &[]),
            ["bash", "t.sh", "-exp_dir", "D"]
        );
        assert_eq!(script_line("p", "bin", "D", None, None, &[])[0], "./bin");
        assert_eq!(script_line("p", "a/bin", "D", None, None, &[])[0], "a/bin");
    }

    #[test]
    fn a_proposal_lands_at_its_key_path() {
        let base = map(json!({"train_config": {"lr": 1, "wd": 2}, "keep": 0}));
        let targets = BTreeMap::from([("train:lr".to_owned(), "train_config/lr".to_owned())]);
        let proposal = map(json!({"train:lr": 5, "opt/beta": 0.9}));
        let config = place_proposal(&base, &proposal, &targets);
        let expected = json!({"train_config": {"lr": 5, "wd": 2}, "keep": 0, "opt": {"beta": 0.9}});
        assert_eq!(Value::Object(config), expected);
    }
}
