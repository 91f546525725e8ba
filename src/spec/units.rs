//! Amounts of memory and of time, as people write them.

use super::document::describe;
use serde_json::Value;

/// More memory than any one machine has, in MiB (1 EiB).
const MEMORY_MAX_MIB: f64 = (1u64 << 40) as f64;
/// Longer than anybody waits (ten years), in milliseconds.
const TIME_MAX_MS: i64 = 10 * 366 * DAY_MS;
const DAY_MS: i64 = 24 * 3_600_000;

/// Reads an amount of memory, in MiB, rounded up.
///
/// A plain number is MiB. K, M, G and T (also written KB, KiB …) count in steps of 1024.
pub fn memory_mib(value: &Value) -> Result<u64, String> {
    let expected = "an amount of memory such as 512M or 1.5GiB";
    let bad = || format!("must be {expected}, not {}", describe(value));
    let mib = match value {
        Value::Number(number) => number.as_f64().ok_or_else(bad)?,
        Value::String(text) => {
            let text = text.trim();
            let (number, unit) = split_unit(text).ok_or_else(bad)?;
            let unit = unit.to_ascii_lowercase();
            let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
            number
                * match unit {
                    "k" => 1.0 / 1024.0,
                    "m" => 1.0,
                    "g" => 1024.0,
                    "t" => 1024.0 * 1024.0,
                    "" if !text.ends_with(['b', 'B']) => 1.0,
                    _ => return Err(bad()),
                }
        }
        _ => return Err(bad()),
    };
    match mib {
        _ if mib <= 0.0 => Err(format!("must be more than no memory, not {}", describe(value))),
        _ if mib > MEMORY_MAX_MIB => Err(format!("{} is more memory than exists", describe(value))),
        _ => Ok(mib.ceil() as u64),
    }
}

/// Reads a span of time, in milliseconds.
///
/// A plain number is seconds; `90s`, `10m`, `2h`, `1d`; `HH:MM:SS` and `DD:HH:MM:SS`.
pub fn time_ms(value: &Value) -> Result<i64, String> {
    let expected = "a time such as 00:10:00, 90s, 10m, 2h or 1d";
    let bad = || format!("must be {expected}, not {}", describe(value));
    let ms = match value {
        Value::Number(number) => number.as_f64().ok_or_else(bad)? * 1000.0,
        Value::String(text) if text.contains(':') => {
            let parts = clock_parts(text, bad)?;
            match parts[..] {
                [h, m, s] if m < 60 && s < 60 => ((h * 60 + m) * 60 + s) as f64 * 1000.0,
                [d, h, m, s] if h < 24 && m < 60 && s < 60 => {
                    (((d * 24 + h) * 60 + m) * 60 + s) as f64 * 1000.0
                }
                _ => return Err(format!("{}: HH:MM:SS or DD:HH:MM:SS is meant", bad())),
            }
        }
        Value::String(text) => {
            let (number, unit) = split_unit(text.trim()).ok_or_else(bad)?;
            number
                * match unit {
                    "s" | "" => 1000.0,
                    "m" | "min" => 60_000.0,
                    "h" => 3_600_000.0,
                    "d" => DAY_MS as f64,
                    _ => return Err(bad()),
                }
        }
        _ => return Err(bad()),
    };
    bounded(ms, value)
}

/// Reads the peer's `dd:hh:mm`, in milliseconds.
pub fn days_hours_minutes_ms(value: &Value) -> Result<i64, String> {
    let bad = || format!("must be days:hours:minutes such as 00:10:00, not {}", describe(value));
    let Value::String(text) = value else { return Err(bad()) };
    match clock_parts(text, bad)?[..] {
        [d, h, m] if h < 24 && m < 60 => bounded(((d * 24 + h) * 60 + m) as f64 * 60_000.0, value),
        _ => Err(bad()),
    }
}

fn bounded(ms: f64, value: &Value) -> Result<i64, String> {
    match ms {
        _ if ms < 1.0 => Err(format!("must be more than no time, not {}", describe(value))),
        _ if ms > TIME_MAX_MS as f64 => Err(format!("{} is more than ten years", describe(value))),
        _ => Ok(ms.round() as i64),
    }
}

/// Splits `01:02:03`; no part has more than six digits, so nothing overflows later.
fn clock_parts(text: &str, bad: impl Fn() -> String) -> Result<Vec<i64>, String> {
    let digits = |part: &&str| {
        (1..=6).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let parts: Vec<&str> = text.trim().split(':').collect();
    if !parts.iter().all(digits) {
        return Err(bad());
    }
    Ok(parts.iter().map(|part| part.parse().expect("one to six digits")).collect())
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = text[..end].parse::<f64>().ok()?;
    Some((number, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn memory_is_read_in_every_spelling() {
        for (text, mib) in [
            (json!("512M"), 512),
            (json!("1G"), 1024),
            (json!("1.5GiB"), 1536),
            (json!("2 TB"), 2 << 20),
            (json!("1k"), 1),
            (json!(300), 300),
            (json!("300"), 300),
        ] {
            assert_eq!(memory_mib(&text), Ok(mib), "{text}");
        }
        for text in
            [json!("-1G"), json!(0), json!("1X"), json!("G"), json!("1e9T"), json!("5B"), json!([])]
        {
            assert!(memory_mib(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn time_is_read_in_every_spelling() {
        for (text, ms) in [
            (json!("00:10:00"), 600_000),
            (json!("01:00:00:01"), DAY_MS + 1000),
            (json!("90s"), 90_000),
            (json!("10m"), 600_000),
            (json!("2h"), 7_200_000),
            (json!("1d"), DAY_MS),
            (json!(1.5), 1500),
        ] {
            assert_eq!(time_ms(&text), Ok(ms), "{text}");
        }
        for text in [
            json!("10:00"),
            json!("00:61:00"),
            json!("1y"),
            json!(-1),
            json!("99999d"),
            json!("::"),
            json!(true),
        ] {
            assert!(time_ms(&text).is_err(), "{text}");
        }
        assert_eq!(days_hours_minutes_ms(&json!("01:02:03")), Ok(DAY_MS + 2 * 3_600_000 + 180_000));
        assert!(days_hours_minutes_ms(&json!("00:00:00")).is_err());
    }
}
