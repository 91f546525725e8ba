//! A command without a spec: its name, and what of its words is config and what is seed.

use std::path::Path;

use serde_json::{Map, Number, Value};

use crate::protocol;

/// Programs that are given a script, or another program, to run.
const LAUNCHERS: [&str; 20] = [
    "accelerate",
    "bash",
    "bun",
    "deno",
    "env",
    "julia",
    "lua",
    "node",
    "octave",
    "perl",
    "php",
    "pypy3",
    "python",
    "Rscript",
    "ruby",
    "sh",
    "torchrun",
    "uv",
    "zsh",
    "nice",
];

/// Endings of scripts.
const SCRIPTS: [&str; 14] =
    ["R", "bash", "jl", "js", "lua", "m", "php", "pl", "py", "pyz", "rb", "sh", "ts", "zsh"];

/// What a command line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    /// The script's name, or the program's.
    pub name: String,
    /// Its options as parameters, and its other words as `args`; secrets are hidden.
    pub params: Map<String, Value>,
    /// The value of `--seed`, which is no parameter: runs that differ only in it are seeds of one config.
    pub seed: Option<i64>,
}

/// Reads a command line that starts in a folder.
///
/// `--key value`, `--key=value` and `-k value` are parameters, an option without a value is `true`, one given several
/// times a list. Whether a word after an option is its value cannot be known: it is taken for one unless it starts with a
/// dash that is no minus.
pub(super) fn read(words: &[String], folder: &Path) -> Read {
    let (script, rest) = split(words, folder);
    let stem = Path::new(script).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = stem.filter(|name| !name.is_empty()).unwrap_or_else(|| "command".into());
    let hidden = protocol::scrub(rest);
    let mut read = Read { name, params: Map::new(), seed: None };
    let mut words = hidden.iter().map(String::as_str).peekable();
    let mut plain = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            plain.extend(words.by_ref().map(value_of));
        } else if let Some((key, given)) = option(word) {
            let next = || words.next_if(|next| option(next).is_none() && *next != "--");
            let value = given.or_else(next).map_or(Value::Bool(true), value_of);
            match (key, value.as_i64()) {
                ("seed", Some(seed)) if read.seed.is_none() => read.seed = Some(seed),
                _ => add(&mut read.params, key, value),
            }
        } else {
            plain.push(value_of(word));
        }
    }
    if !plain.is_empty() {
        // An option of that name stays what it is.
        let key = if read.params.contains_key("args") { "args_" } else { "args" };
        read.params.insert(key.into(), Value::Array(plain));
    }
    read
}

/// Splits a command line into the word that names it and the words that say how it is run.
fn split<'a>(words: &'a [String], folder: &Path) -> (&'a str, &'a [String]) {
    let Some(first) = words.first() else { return ("", words) };
    let stem = Path::new(first).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let is_python = stem.starts_with("python") || stem.starts_with("pypy");
    if !is_python && !LAUNCHERS.contains(&&*stem) {
        return (first, &words[1..]);
    }
    let is_script = |word: &String| {
        let ending = Path::new(word).extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| SCRIPTS.contains(&ending))
            || Path::new(word).components().count() > 0 && folder.join(word).is_file()
    };
    for (at, word) in words.iter().enumerate().skip(1) {
        if is_python && word == "-m" && at + 1 < words.len() {
            let module = words[at + 1].rsplit('.').next().unwrap_or_default();
            return (module, &words[at + 2..]);
        }
        if !word.starts_with('-') && is_script(word) {
            return (word, &words[at + 1..]);
        }
    }
    (first, &words[1..])
}

/// Returns an option's name and the value that stands in the same word.
fn option(word: &str) -> Option<(&str, Option<&str>)> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    // A dash alone is standard input, and a number is a number.
    if name.is_empty() || word.parse::<f64>().is_ok() {
        return None;
    }
    match name.split_once('=') {
        Some(("", _)) => None,
        Some((key, value)) => Some((key, Some(value))),
        None => Some((name, None)),
    }
}

/// Reads a number or a truth value; what is written otherwise than JSON writes it stays text, as `007`.
fn value_of(word: &str) -> Value {
    match word {
        "true" | "True" => return Value::Bool(true),
        "false" | "False" => return Value::Bool(false),
        _ => {}
    }
    match serde_json::from_str::<Number>(word) {
        Ok(number) if number.as_f64().is_some_and(f64::is_finite) => Value::Number(number),
        _ => Value::String(word.to_owned()),
    }
}

fn add(params: &mut Map<String, Value>, key: &str, value: Value) {
    match params.get_mut(key) {
        None => drop(params.insert(key.to_owned(), value)),
        Some(Value::Array(list)) => list.push(value),
        Some(one) => *one = Value::Array(vec![one.take(), value]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(line: &str) -> (String, Value, Option<i64>) {
        let read = read(&shell_words::split(line).unwrap(), Path::new("/nonexistent"));
        (read.name, Value::Object(read.params), read.seed)
    }

    #[test]
    fn options_are_parameters_and_seeds_are_seeds() {
        for (line, name, params, seed) in [
            (
                "python3 train.py --lr 0.1 --act=relu --seed 7",
                "train",
                json!({"lr": 0.1, "act": "relu"}),
                Some(7),
            ),
            (
                "python3 -u pkg/train.py -v -k 3 data.csv",
                "train",
                json!({"v": true, "k": 3, "args": ["data.csv"]}),
                None,
            ),
            ("./train --lr -1e-3 --big", "train", json!({"lr": -1e-3, "big": true}), None),
            (
                "python -m pkg.train --id 007 --x 1 --x 2",
                "train",
                json!({"id": "007", "x": [1, 2]}),
                None,
            ),
            ("sh -c 'exit 3'", "sh", json!({"c": "exit 3"}), None),
            ("echo a --b -- --c", "echo", json!({"b": true, "args": ["a", "--c"]}), None),
            ("train --seed two", "train", json!({"seed": "two"}), None),
            ("true", "true", json!({}), None),
            ("train --api-key s3cret", "train", json!({"api-key": "***"}), None),
        ] {
            assert_eq!(of(line), (name.to_owned(), params, seed), "{line}");
        }
    }
}
