//! `::mle {json}` lines: what a job of any language says on its stdout.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::display;

/// What one line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// An update: metrics at a step.
    Update {
        /// Its place on the step axis; the next one when absent.
        step: Option<i64>,
        /// Names and values, nested objects joined by `/`.
        values: Vec<(String, LineValue)>,
    },
    /// A file to keep.
    Artifact {
        /// Where it is, from the job's folder.
        path: String,
        /// Its name in the file; the path's last part when absent.
        name: Option<String>,
        /// `file`, `figure`, `checkpoint` or `extra`.
        kind: String,
        /// The step it belongs to.
        step: Option<i64>,
        /// Of a checkpoint: `init`, `final`, `every_k` or `top_k`.
        role: Option<String>,
        /// The metric a top_k checkpoint is kept for.
        value: Option<f64>,
    },
}

/// A value of an update.
#[derive(Debug, Clone, PartialEq)]
pub enum LineValue {
    /// A number; NaN and infinities as JSON dialects write them.
    Number(f64),
    /// A text.
    Text(String),
    /// An array.
    Array(Value),
}

/// What of what a job said was not kept as it stands: how much, and why the first.
#[derive(Debug, Clone, Default)]
pub struct Remarks {
    n: u64,
    first: String,
}

/// Words that each text of [`Remarks`] has, and hardly any line of a program.
const MARK: &str = "after `::mle`";

impl Remarks {
    /// Counts one thing that was not kept as it stands.
    pub fn add(&mut self, why: impl FnOnce() -> String) {
        self.add_many(1, why);
    }

    /// Counts `n` things that were not kept as they stand for one reason.
    pub fn add_many(&mut self, n: u64, why: impl FnOnce() -> String) {
        if self.n == 0 && n > 0 {
            self.first = display::sanitize(&display::shorten(&why(), 300)).into_owned();
        }
        self.n = self.n.saturating_add(n);
    }

    /// Returns what a job's writer should know, one line; `None` when all was kept as it stands.
    pub fn text(&self) -> Option<String> {
        let Remarks { n, first } = self;
        match n {
            0 => None,
            1 => Some(format!("a line {MARK} was not kept as it stands: {first}")),
            n => Some(format!(
                "{n} values or lines {MARK} were not kept as they stand, the first: {first}"
            )),
        }
    }

    /// Finds the text of an attempt's remarks at the end of what it printed on its stderr.
    pub fn find(stderr: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(stderr);
        let line = text.lines().last()?.strip_prefix("mle: ")?;
        line.contains(MARK).then(|| line.to_owned())
    }
}

/// Reads the lines of one attempt.
#[derive(Debug, Default)]
pub struct Reader {
    /// What it could not read, or not as it stands.
    pub remarks: Remarks,
    /// Names that were given a text that is no number: what follows under them stays text.
    texts: HashSet<String>,
}

impl Reader {
    /// Reads what stands after `::mle `. Takes `NaN`, `Infinity` and `-Infinity` bare, as Python's json writes them; numbers
    /// too large for 64 bits are infinite, and a text that reads as a number is that number.
    pub fn read(&mut self, bytes: &[u8]) -> Option<Line> {
        let line = self.try_read(bytes);
        line.map_err(|why| {
            self.remarks.add(|| {
                let text = String::from_utf8_lossy(bytes);
                format!("{} {why}", display::shorten(text.trim(), 100))
            });
        })
        .ok()
    }

    fn try_read(&mut self, bytes: &[u8]) -> Result<Line, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text")?.trim();
        let object: Map<String, Value> = match serde_json::from_str(text) {
            Ok(object) => object,
            Err(_) => serde_json::from_str(&quote_bare(text)).map_err(|_| "is no JSON object")?,
        };
        let step = match object.get("step") {
            None | Some(Value::Null) => None,
            Some(given) => {
                let step = whole(given);
                if step.is_none() {
                    self.remarks.add(|| {
                        format!(
                            "step {given} is no whole number of 64 bits, the next step was taken"
                        )
                    });
                }
                step
            }
        };
        if let Some(path) = object.get("artifact") {
            let text_of = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
            return Ok(Line::Artifact {
                path: path.as_str().ok_or("names no file: artifact is no text")?.to_owned(),
                name: text_of("name"),
                kind: text_of("kind").unwrap_or_else(|| "file".into()),
                step,
                role: text_of("role"),
                value: object.get("value").and_then(number),
            });
        }
        let mut values = Vec::with_capacity(object.len());
        for (key, value) in object {
            if key != "step" {
                self.flatten(key, value, &mut values);
            }
        }
        Ok(Line::Update { step, values })
    }

    fn flatten(&mut self, key: String, value: Value, into: &mut Vec<(String, LineValue)>) {
        let value = match value {
            Value::Object(inner) => {
                for (name, value) in inner {
                    self.flatten(format!("{key}/{name}"), value, into);
                }
                return;
            }
            Value::Array(_) => LineValue::Array(value),
            Value::String(text) if self.texts.contains(&key) => LineValue::Text(text),
            Value::String(text) => match number_of_text(&text) {
                Some(number) => LineValue::Number(number),
                None => {
                    self.texts.insert(key.clone());
                    LineValue::Text(text)
                }
            },
            other => LineValue::Number(number(&other).unwrap_or(f64::NAN)),
        };
        into.push((key, value));
    }
}

/// Returns a step: a whole number, or a text of one.
fn whole(value: &Value) -> Option<i64> {
    let of_real = |x: f64| {
        // The bounds are ±2^63, which are reals.
        (x.fract() == 0.0
            && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x))
        .then_some(x as i64)
    };
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(of_real)),
        Value::String(text) => {
            text.trim().parse().ok().or_else(|| number_of_text(text).and_then(of_real))
        }
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Null => Some(f64::NAN),
        Value::String(text) => number_of_text(text),
        _ => None,
    }
}

/// Reads decimal numbers, `nan`, `inf` and `infinity` in any case, with a sign or without.
fn number_of_text(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// Puts what JSON lacks outside strings into words it has: `NaN` becomes null, infinities and numbers too large for
/// 64 bits become texts.
fn quote_bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut in_string, mut escaped, mut rest) = (false, false, text);
    while let Some(c) = rest.chars().next() {
        if !in_string {
            let word = [("NaN", "null"), ("-Infinity", "\"-inf\""), ("Infinity", "\"inf\"")]
                .into_iter()
                .find(|(word, _)| rest.starts_with(word));
            if let Some((word, instead)) = word {
                out.push_str(instead);
                rest = &rest[word.len()..];
                continue;
            }
            if c == '-' || c.is_ascii_digit() {
                let is_part =
                    |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
                let (token, after) =
                    rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
                match token.parse::<f64>() {
                    Ok(x) if x.is_infinite() => {
                        out.push_str(if x > 0.0 { "\"inf\"" } else { "\"-inf\"" });
                    }
                    _ => out.push_str(token),
                }
                rest = after;
                continue;
            }
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Option<Line> {
        Reader::default().read(bytes)
    }

    /// The step and the first value of a line, and what is remarked.
    fn first(reader: &mut Reader, text: &str) -> (Option<i64>, Option<LineValue>) {
        match reader.read(text.as_bytes()) {
            Some(Line::Update { step, values }) => {
                (step, values.into_iter().next().map(|(_, value)| value))
            }
            _ => panic!("{text} is no update"),
        }
    }

    #[test]
    fn texts_that_are_numbers_are_numbers_unless_their_name_has_texts() {
        let mut reader = Reader::default();
        for (text, x) in [
            (r#"{"loss": "0.25"}"#, 0.25),
            (r#"{"loss": " 1e-3 "}"#, 1e-3),
            (r#"{"loss": 1e400}"#, f64::INFINITY),
            (r#"{"loss": -1e999, "v": [1e400]}"#, f64::NEG_INFINITY),
            (r#"{"loss": "-Infinity"}"#, f64::NEG_INFINITY),
        ] {
            assert_eq!(first(&mut reader, text).1, Some(LineValue::Number(x)), "{text}");
        }
        first(&mut reader, r#"{"commit": "3f7e"}"#);
        let text = first(&mut reader, r#"{"commit": "0042"}"#).1;
        assert_eq!(text, Some(LineValue::Text("0042".into())));
        assert_eq!(reader.remarks.text(), None);
    }

    #[test]
    fn a_step_that_is_none_is_remarked_and_left_to_the_next() {
        let mut reader = Reader::default();
        for (text, step) in [("7", 7), ("\"7\"", 7), ("8.0", 8), ("-9223372036854775808", i64::MIN)]
        {
            let line = format!(r#"{{"step": {text}, "x": 1}}"#);
            assert_eq!(first(&mut reader, &line).0, Some(step), "{text}");
        }
        assert_eq!(first(&mut reader, r#"{"step": null, "x": 1}"#).0, None);
        assert_eq!(reader.remarks.text(), None);
        for (n, text) in ["1e30", "1.5", "9223372036854775808", "1e400", "\"x\"", "true", "[1]"]
            .iter()
            .enumerate()
        {
            let line = format!(r#"{{"step": {text}, "x": 1}}"#);
            assert_eq!(first(&mut reader, &line).0, None, "{text}");
            assert_eq!(reader.remarks.n, n as u64 + 1);
        }
        let text = reader.remarks.text().expect("there are remarks");
        assert!(text.starts_with("7 values") && text.contains("step 1e+30 is no whole"), "{text}");
    }

    #[test]
    fn remarks_are_found_at_the_end_of_what_was_printed() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(b"{\"loss\": 0.5"), None);
        let text = reader.remarks.text().expect("a remark");
        assert!(text.ends_with("{\"loss\": 0.5 is no JSON object"), "{text}");
        let printed = format!("epoch 1\nmle: {text}\n");
        assert_eq!(Remarks::find(printed.as_bytes()), Some(text));
        assert_eq!(Remarks::find(b"mle: there is no job 7\n"), None);
    }

    #[test]
    fn numbers_texts_arrays_and_nesting() {
        let line = parse(
            br#"{"step": 3, "loss": NaN, "a": {"b": -Infinity}, "note": "NaN bread", "v": [1, 2]}"#,
        );
        let Some(Line::Update { step, values }) = line else { panic!("no update") };
        assert_eq!(step, Some(3));
        assert!(
            matches!(values[0], (ref name, LineValue::Number(x)) if name == "loss" && x.is_nan())
        );
        assert_eq!(values[1], ("a/b".into(), LineValue::Number(f64::NEG_INFINITY)));
        assert_eq!(values[2], ("note".into(), LineValue::Text("NaN bread".into())));
        assert_eq!(values[3], ("v".into(), LineValue::Array(serde_json::json!([1, 2]))));
    }

    #[test]
    fn an_artifact_and_nonsense() {
        let line = parse(br#"{"artifact": "model.pt", "kind": "checkpoint", "step": 7}"#);
        assert!(
            matches!(line, Some(Line::Artifact { ref path, step: Some(7), .. }) if path == "model.pt")
        );
        assert_eq!(parse(b"[1]"), None);
        assert_eq!(parse(b"{\"a\": }"), None);
        assert_eq!(parse(&[0xff, 0xfe]), None);
    }
}
