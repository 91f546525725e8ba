//! `::mle {json}` lines: what a job of any language says on its stdout.

use serde_json::{Map, Value};

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

/// Reads what stands after `::mle `. Takes `NaN`, `Infinity` and `-Infinity` bare, as Python's json writes them.
pub fn parse(bytes: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let object: Map<String, Value> = match serde_json::from_str(text) {
        Ok(object) => object,
        Err(_) => serde_json::from_str(&quote_bare(text)).ok()?,
    };
    if let Some(path) = object.get("artifact") {
        let text_of = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        return Some(Line::Artifact {
            path: path.as_str()?.to_owned(),
            name: text_of("name"),
            kind: text_of("kind").unwrap_or_else(|| "file".into()),
            step: object.get("step").and_then(Value::as_i64),
            role: text_of("role"),
            value: object.get("value").and_then(number),
        });
    }
    let step = object.get("step").and_then(|step| {
        step.as_i64()
            .or_else(|| step.as_f64().filter(|step| step.fract() == 0.0).map(|step| step as i64))
    });
    let mut values = Vec::with_capacity(object.len());
    for (key, value) in object {
        if key != "step" {
            flatten(key, value, &mut values);
        }
    }
    Some(Line::Update { step, values })
}

fn flatten(key: String, value: Value, into: &mut Vec<(String, LineValue)>) {
    match value {
        Value::Object(inner) => {
            for (name, value) in inner {
                flatten(format!("{key}/{name}"), value, into);
            }
        }
        Value::Array(_) => into.push((key, LineValue::Array(value))),
        Value::String(text) => into.push((
            key,
            match number(&Value::String(text.clone())) {
                Some(number) => LineValue::Number(number),
                None => LineValue::Text(text),
            },
        )),
        other => into.push((key, LineValue::Number(number(&other).unwrap_or(f64::NAN)))),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Null => Some(f64::NAN),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "nan" => Some(f64::NAN),
            "inf" | "+inf" | "infinity" => Some(f64::INFINITY),
            "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Puts quotes around NaN and Infinity where they stand outside strings.
fn quote_bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut in_string, mut escaped, mut rest) = (false, false, text);
    while let Some(c) = rest.chars().next() {
        if !in_string
            && let Some(word) =
                ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word))
        {
            out.push_str(&format!("\"{word}\""));
            rest = &rest[word.len()..];
            continue;
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
