//! A command without a spec: its name, and what of its words is config and what is seed.

use std::ffi::OsString;
use std::path::Path;

use clap::Args as _;
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

/// Endings of specs: such a file is none of the user's scripts, whatever its mode says.
const SPECS: [&str; 4] = ["json", "toml", "yaml", "yml"];

/// Returns the command that runs a file which was given in place of a spec; `None` when it may be a spec.
pub(super) fn of_script(path: &Path) -> Option<String> {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let about = path.metadata().ok()?;
    if !about.is_file() || SPECS.contains(&ending.to_ascii_lowercase().as_str()) {
        return None;
    }
    let is_executable = about.permissions().mode() & 0o111 != 0;
    let mut start = Vec::new();
    let _ = std::fs::File::open(path).and_then(|file| file.take(200).read_to_end(&mut start));
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let shebang = first_line.strip_prefix(b"#!").and_then(|line| std::str::from_utf8(line).ok());
    let text = path.to_string_lossy();
    let file = crate::cli::quote(&text);
    let launcher = match ending {
        "R" => "Rscript",
        "bash" | "lua" | "php" | "zsh" => ending,
        "jl" => "julia",
        "js" => "node",
        "ts" => "bun",
        "m" => "octave",
        "pl" => "perl",
        "py" | "pyz" => "python3",
        "rb" => "ruby",
        "sh" => "sh",
        _ if is_executable && !text.contains('/') => return Some(format!("./{file}")),
        _ if is_executable => return Some(file),
        _ => shebang?.trim(),
    };
    Some(format!("{launcher} {file}"))
}

/// Returns the command that was meant by the words of `mle run` when it stands there without `--` before it.
pub(in crate::cli) fn meant_command(words: &[OsString]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    let verb = words.iter().position(|word| *word == "run")?;
    let words = &words[verb + 1..];
    if words.contains(&"--") {
        return None;
    }
    let known = super::RunArgs::augment_args(clap::Command::new("run"))
        .arg(clap::Arg::new("db").long("db").num_args(1));
    let takes_value = |word: &str| {
        let of = |arg: &&clap::Arg| match word.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short().is_some_and(|short| word == format!("-{short}")),
        };
        known.get_arguments().find(of).is_some_and(|arg| arg.get_action().takes_values())
    };
    let mut at = 0;
    while words.get(at)?.starts_with('-') {
        at += if takes_value(words[at]) { 2 } else { 1 };
    }
    let rest = shell_words::join(&words[at + 1..]);
    let rest = if rest.is_empty() { rest } else { format!(" {rest}") };
    let first = words[at];
    let name = Path::new(first).file_name()?.to_str()?;
    let begins = |launcher: &&str| {
        name.strip_prefix(*launcher)
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    match of_script(Path::new(first)) {
        Some(meant) => Some(format!("{meant}{rest}")),
        // `python3.12` is `python` too.
        None if LAUNCHERS.iter().any(begins) => Some(format!("{}{rest}", crate::cli::quote(first))),
        None => None,
    }
}

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
    #[test]
    fn a_command_without_its_dashes_is_understood() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let train = file("a b.py", "x = 1\n", 0o644);
        let quoted = crate::cli::quote(&train.display().to_string());
        assert_eq!(of_script(&train), Some(format!("python3 {quoted}")));
        assert_eq!(of_script(&file("s.yaml", "command: x\n", 0o755)), None);
        assert_eq!(of_script(&file("spec", "command: x\n", 0o644)), None);
        assert_eq!(of_script(folder.path()), None);
        let script = file("go", "#!/usr/bin/env python3\n", 0o644);
        let wanted = format!("/usr/bin/env python3 {}", script.display());
        assert_eq!(of_script(&script), Some(wanted));
        let program = file("train", "\u{7f}ELF", 0o755);
        assert_eq!(of_script(&program), Some(program.display().to_string()));
        let meant = |line: &str| {
            let words: Vec<OsString> =
                shell_words::split(line).unwrap().into_iter().map(OsString::from).collect();
            meant_command(&words)
        };
        assert_eq!(
            meant("mle run python3 train.py --lr 0.1").as_deref(),
            Some("python3 train.py --lr 0.1")
        );
        let line = format!("mle run --db x.db -w 2 --new python3.12 {quoted} -k");
        assert_eq!(meant(&line), Some(format!("python3.12 {quoted} -k")));
        assert_eq!(meant(&format!("mle --db run run {quoted} --lr 1")), None);
        assert_eq!(
            meant(&format!("mle run {quoted} --lr 1")),
            Some(format!("python3 {quoted} --lr 1"))
        );
        for line in [
            "mle run s.yaml --sedes 3",
            "mle run --metrik x -- python3 t.py",
            "mle run --new",
            "mle run -w",
        ] {
            assert_eq!(meant(line), None, "{line}");
        }
    }
}
