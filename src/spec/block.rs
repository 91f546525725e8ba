//! Typed access to the keys of one mapping, with messages that name the file and the whole key path.

use super::document::{describe, shorten};
use crate::error::{Error, Result, did_you_mean};
use serde_json::{Map, Value};

/// The longest name of an experiment, parameter, metric or config, in characters.
pub const NAME_MAX_CHARS: usize = 200;

/// A mapping somewhere in a document. A key without a value (null) counts as absent.
#[derive(Clone)]
pub struct Block<'a> {
    origin: &'a str,
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Block<'a> {
    /// Returns the top level of a document.
    pub fn top(origin: &'a str, map: &'a Map<String, Value>) -> Self {
        Block { origin, path: String::new(), map }
    }

    /// Returns a mapping at `path`, or says that the value is none.
    pub fn new(origin: &'a str, path: impl Into<String>, value: &'a Value) -> Result<Self> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Block { origin, path, map }),
            other => Err(wrong(origin, &path, "a mapping", other)),
        }
    }

    /// Returns the name of the document.
    pub fn origin(&self) -> &'a str {
        self.origin
    }

    /// Returns the pairs in the order they were written.
    pub fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    /// Returns the full path of a key: `search.trials`.
    pub fn path(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.into(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }

    /// Returns an error at a key; at the block itself when the key is empty.
    pub fn error(&self, key: &str, why: impl Into<String>) -> Error {
        Error::invalid(place(self.origin, &self.path(key)), why)
    }

    /// Returns an error for a value that is not among those known.
    pub fn unknown_value(&self, key: &str, noun: &str, value: &str, known: &[&str]) -> Error {
        let error = self.error(key, format!("unknown {noun} `{}`", shorten(value)));
        error.with_hint(suggest(value, known))
    }

    /// Refuses keys that mean nothing here.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                let error = self.error("", format!("unknown key `{}`", shorten(key)));
                Err(error.with_hint(suggest(key, known)))
            }
            None => Ok(()),
        }
    }

    /// Warns about keys that mean nothing here: for files that must run as they are.
    pub fn warn_unknown(&self, known: &[&str], warnings: &mut Vec<String>) {
        for key in self.map.keys().filter(|key| !known.contains(&key.as_str())) {
            let guess = did_you_mean(key, known.iter().copied());
            let guess = guess.map_or(String::new(), |guess| format!("; did you mean `{guess}`?"));
            warnings.push(format!("unknown key `{}` is ignored{guess}", self.path(key)));
        }
    }

    /// Returns the value of a key, unless it is missing or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Returns the value of a key that must be there.
    pub fn need(&self, key: &str) -> Result<&'a Value> {
        self.get(key).ok_or_else(|| self.error("", format!("the key `{key}` is missing")))
    }

    /// Returns a mapping below this one.
    pub fn block(&self, key: &str) -> Result<Option<Block<'a>>> {
        self.get(key).map(|value| Block::new(self.origin, self.path(key), value)).transpose()
    }

    /// Returns a text; numbers and booleans are refused, as their spelling is already lost.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err(self.error(key, "holds a NUL character"))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other @ (Value::Number(_) | Value::Bool(_))) => {
                let error = wrong(self.origin, &self.path(key), "text", other);
                Err(error.with_hint("put quotes around the value"))
            }
            Some(other) => Err(wrong(self.origin, &self.path(key), "text", other)),
        }
    }

    /// Returns a text that is not blank.
    pub fn filled_text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.text(key)? {
            Some(text) if text.trim().is_empty() => Err(self.error(key, "is empty")),
            text => Ok(text),
        }
    }

    /// Returns a text fit to be a name.
    pub fn name(&self, key: &str) -> Result<Option<&'a str>> {
        let text = self.text(key)?;
        if let Some(text) = text {
            check_name(text).map_err(|why| self.error(key, why))?;
        }
        Ok(text)
    }

    /// Returns a boolean.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong(self.origin, &self.path(key), "true or false", other)),
        }
    }

    /// Returns a whole number between two bounds, both included.
    pub fn integer(&self, key: &str, low: i64, high: i64) -> Result<Option<i64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = whole(value)
            .ok_or_else(|| wrong(self.origin, &self.path(key), "a whole number", value))?;
        if number < low {
            return Err(self.error(key, format!("must be at least {low}, not {number}")));
        }
        if number > high {
            return Err(self.error(key, format!("must be at most {high}, not {number}")));
        }
        Ok(Some(number))
    }

    /// Returns a [`Block::integer`] that fits 32 bits.
    pub fn count(&self, key: &str, low: u32, high: u32) -> Result<Option<u32>> {
        let number = self.integer(key, low.into(), high.into())?;
        Ok(number.map(|number| u32::try_from(number).expect("bounded by u32 values")))
    }

    /// Returns one of some words.
    pub fn word<T: Copy>(&self, key: &str, noun: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(self.unknown_value(key, noun, text, &known))
            }
        }
    }
}

/// Returns the whole number a value is: `3`, and `3.0` too, as some writers know only floats.
pub fn whole(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 9.0e15);
    value.as_i64().or_else(|| value.as_u64().is_none().then(float).flatten().map(|x| x as i64))
}

/// Returns an error for a value of the wrong kind.
pub fn wrong(origin: &str, path: &str, expected: &str, found: &Value) -> Error {
    Error::invalid(place(origin, path), format!("must be {expected}, not {}", describe(found)))
}

/// Returns `file: key.path`, the way all messages begin.
pub fn place(origin: &str, path: &str) -> String {
    if path.is_empty() { origin.into() } else { format!("{origin}: {path}") }
}

/// Returns the hint for a word we do not know.
pub fn suggest(word: &str, known: &[&str]) -> String {
    let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match did_you_mean(word, known.iter().copied()) {
        Some(guess) => format!("did you mean `{guess}`? known here: {list}"),
        None if known.is_empty() => "nothing is known here".into(),
        None => format!("known here: {list}"),
    }
}

/// Says why a text cannot be a name; blanks, quotes and any script's letters are fine.
pub fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    match () {
        () if name.trim().is_empty() => Err("the name is empty".into()),
        () if length > NAME_MAX_CHARS => {
            Err(format!("the name has {length} characters, more than {NAME_MAX_CHARS}"))
        }
        () if name.chars().any(char::is_control) => {
            Err(format!("the name {:?} holds a control character", shorten(name)))
        }
        () => Ok(()),
    }
}
