//! How what is in the file is shown to people: numbers, sizes, parameters, and text made harmless.
//!
//! A file may come from a stranger. Text from it reaches a terminal only through [`sanitize`], or it could move the
//! cursor, change colours, or look like something else.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::store::SqlValue;

/// Returns text as one line with everything escaped that a terminal or a reader could take for something else: control
/// characters (`\n`, `\t`, `\u{1b}`), and the marks that reorder text.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_risky(c) || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// As [`sanitize`], but lines stay lines and tabs stay tabs.
pub fn sanitize_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_risky(c) && !matches!(c, '\n' | '\t'))
}

fn escape(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if is_bad(c) => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' if is_bad(c) => out.push_str("\\t"),
            c if is_bad(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_risky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns the first `max` characters, and `…` when there were more.
pub fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    if text.chars().count() <= max {
        return Cow::Borrowed(text);
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    Cow::Owned(short)
}

/// Returns a number of things as people say it: `1 trial`, `2 trials`.
pub fn count(n: u64, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// Returns a number with about five digits that count: `0.1`, `12346`, `1.2346e-7`, `NaN`, `inf`.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        let (digits, power) = split_power(&format!("{value:.4e}"));
        return format!("{}e{power}", trim_zeros(&digits));
    }
    let before = if size < 1.0 { 0 } else { size.log10() as usize + 1 };
    // A number under one needs as many more places as it has zeros after the point.
    let zeros = if size == 0.0 || size >= 1.0 { 0 } else { (-size.log10()) as usize };
    trim_zeros(&format!("{value:.*}", 5usize.saturating_sub(before) + zeros)).to_owned()
}

fn split_power(text: &str) -> (String, String) {
    let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
    (digits.to_owned(), power.to_owned())
}

fn trim_zeros(digits: &str) -> &str {
    match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    }
}

/// Returns a size as people say it: `12 B`, `3.4 KiB`, `1.2 GiB`.
pub fn size(bytes: i64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value.abs() < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// Returns parameters on one line, nested ones with their path: `lr=0.1 net.width=64`.
pub fn params(params: &Map<String, Value>) -> String {
    leaves(params)
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={}", word(text)),
            value => format!("{name}={value}"),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns a line of comma-separated values (RFC 4180).
pub fn csv_line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<Cow<'_, str>> = cells
        .map(|text| match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
            false => text.into(),
        })
        .collect();
    format!("{}\r\n", quoted.join(","))
}

/// Returns a text as it stands, or in quotes where it could be taken for another value: "1" is not 1.
fn word(text: &str) -> Cow<'_, str> {
    match text.is_empty() || serde_json::from_str::<Value>(text).is_ok() {
        true => Value::from(text).to_string().into(),
        false => text.into(),
    }
}

/// Returns a parameter's value as a cell: numbers with the digits that [`number`] keeps.
pub fn param(value: &Value) -> String {
    match value {
        Value::String(text) => word(text).into_owned(),
        Value::Number(value) if value.is_f64() => number(value.as_f64().unwrap_or(f64::NAN)),
        value => value.to_string(),
    }
}

/// As [`params`], with numbers as [`number`] shows them: for tables.
pub fn params_short(params: &Map<String, Value>) -> String {
    let pairs = leaves(params).into_iter().map(|(name, value)| format!("{name}={}", param(value)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Returns a command, or a JSON array of words, with numbers of many digits as [`number`] shows them: for tables.
pub fn command_short(command: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    let mut out = String::with_capacity(command.len());
    let mut rest = command;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit() || c == '-') {
        out.push_str(&rest[..start]);
        let word = &rest[start..];
        let end = word.find(|c| !is_digit(c)).unwrap_or(word.len());
        // What is in a path or a name stays as it is.
        let stands_alone = |c: Option<char>| c.is_none_or(|c| " =,:'\"[](){}".contains(c));
        let is_word =
            stands_alone(out.chars().next_back()) && stands_alone(word[end..].chars().next());
        let long = word[..end].contains('.')
            && word[..end].chars().filter(char::is_ascii_digit).count() > 6;
        match word[..end].parse::<f64>() {
            Ok(value) if is_word && long => out.push_str(&number(value)),
            _ => out.push_str(&word[..end]),
        }
        rest = &word[end..];
    }
    out.push_str(rest);
    out
}

/// Returns the values of nested parameters by their dotted path, in order.
pub fn leaves(params: &Map<String, Value>) -> Vec<(String, &Value)> {
    fn walk<'a>(prefix: &str, map: &'a Map<String, Value>, out: &mut Vec<(String, &'a Value)>) {
        for (key, value) in map {
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Object(inner) if !inner.is_empty() => walk(&name, inner, out),
                value => out.push((name, value)),
            }
        }
    }
    let mut out = Vec::new();
    walk("", params, &mut out);
    out
}

/// Returns a value of a query as a cell of a table; not yet sanitized.
pub fn cell(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Integer(value) => value.to_string(),
        SqlValue::Real(value) => number(*value),
        SqlValue::Text(text) => text.clone(),
        SqlValue::Blob(bytes) => format!("({})", size(i64::try_from(bytes.len()).unwrap_or(0))),
    }
}

/// Returns a value of a query as JSON: NaN is null, the infinities are `"inf"` and `"-inf"`, bytes are hex digits.
pub fn json(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(value) => (*value).into(),
        SqlValue::Real(value) => json_number(*value),
        SqlValue::Text(text) => text.as_str().into(),
        SqlValue::Blob(bytes) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
    }
}

/// Returns a number as JSON, which has neither NaN (null) nor infinities (`"inf"`, `"-inf"`).
pub fn json_number(value: f64) -> Value {
    if value.is_infinite() { number(value).into() } else { value.into() }
}

/// Returns JSON on one line in which a terminal finds no control character and no mark that reorders text.
pub fn json_text(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(is_risky) {
        return text;
    }
    // All such characters are inside strings: JSON's own syntax has none.
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_risky(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_speak_to_the_terminal() {
        assert_eq!(sanitize("plain ünïcode 猫"), "plain ünïcode 猫");
        assert_eq!(sanitize("a\u{1b}[31mred\n\t\r"), "a\\u{1b}[31mred\\n\\t\\r");
        assert_eq!(sanitize("\u{9b}2J\u{7f}\0"), "\\u{9b}2J\\u{7f}\\u{0}");
        assert_eq!(sanitize("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(sanitize_lines("a\n\tb\u{7}"), "a\n\tb\\u{7}");
        let text = json_text(&serde_json::json!({"a\u{9b}": "\u{202e}\n"}));
        assert_eq!(text, "{\"a\\u009b\":\"\\u202e\\n\"}");
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, serde_json::json!({"a\u{9b}": "\u{202e}\n"}));
    }

    #[test]
    fn numbers_are_short_and_true() {
        for (value, expected) in [
            (0.1, "0.1"),
            (0.0, "0"),
            (-2.0, "-2"),
            (1.0 / 3.0, "0.33333"),
            (0.000_123_456, "0.00012346"),
            (12_345.678, "12346"),
            (100_000_000.0, "100000000"),
            (1e9, "1e9"),
            (1.234_56e-7, "1.2346e-7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(json(&SqlValue::Real(f64::NEG_INFINITY)), Value::from("-inf"));
        assert_eq!(json(&SqlValue::Real(f64::NAN)), Value::Null);
        assert_eq!(size(1_300_000), "1.2 MiB");
    }

    #[test]
    fn commands_have_short_numbers() {
        for (command, short) in [
            (
                "python3 t.py --lr 0.010000000000000004 --n 12345678",
                "python3 t.py --lr 0.01 --n 12345678",
            ),
            ("[\"t.py\",\"--lr=-1.2345678e-7\"]", "[\"t.py\",\"--lr=-1.2346e-7\"]"),
            (
                "run-20261126.1.2 v1.23456789x ñ0.123456789",
                "run-20261126.1.2 v1.23456789x ñ0.123456789",
            ),
            ("cat out/0.123456789 0.123456789/x", "cat out/0.123456789 0.123456789/x"),
            ("a -- - 1.5 0.5", "a -- - 1.5 0.5"),
            ("0.30000000000000004", "0.3"),
            ("", ""),
        ] {
            assert_eq!(command_short(command), short);
        }
    }

    #[test]
    fn parameters_fit_on_a_line() {
        let value = serde_json::json!({"lr": 0.1, "net": {"w": [1, 2], "act": "relu"}, "x": {}});
        assert_eq!(params(value.as_object().unwrap()), "lr=0.1 net.w=[1,2] net.act=relu x={}");
        let value = serde_json::json!({"lr": 0.012_345_678_9, "n": 1_234_567, "act": "relu"});
        let short = params_short(value.as_object().unwrap());
        assert_eq!(short, "lr=0.012346 n=1234567 act=relu");
        // A text that could be another value is told from it.
        let value =
            serde_json::json!({"a": "1", "b": 1, "c": "true", "d": true, "e": "", "f": "1x"});
        let wanted = r#"a="1" b=1 c="true" d=true e="" f=1x"#;
        assert_eq!(params(value.as_object().unwrap()), wanted);
        assert_eq!(params_short(value.as_object().unwrap()), wanted);
    }
}
