//! Time: unix milliseconds, and the only call to the system clock.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns unix milliseconds, UTC, shifted by `MLE_CLOCK_OFFSET_MS` (tests use it to make leases run out).
pub fn now_ms() -> i64 {
    static OFFSET: OnceLock<i64> = OnceLock::new();
    let offset = *OFFSET.get_or_init(|| {
        std::env::var("MLE_CLOCK_OFFSET_MS").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    });
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    #[cfg(test)]
    if let Some(at) = FROZEN_MS.get() {
        return at;
    }
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(offset)
}

#[cfg(test)]
thread_local! {
    static FROZEN_MS: std::cell::Cell<Option<i64>> = const { std::cell::Cell::new(None) };
}

/// Stops the clock of this thread at a time, for tests.
#[cfg(test)]
pub(crate) fn freeze_ms(at: i64) {
    FROZEN_MS.set(Some(at));
}

/// Prints unix milliseconds as local time to the second, for people.
pub fn local(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map(|at| at.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_else(|| at_ms.to_string())
}

/// Prints unix milliseconds as the views do: ISO 8601, UTC.
pub fn iso(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map(|at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        .unwrap_or_else(|| at_ms.to_string())
}

/// Prints a length of time as people say it: `850ms`, `12.3s`, `4m 05s`, `2h 03m`, `3d 04h`.
pub fn duration(ms: i64) -> String {
    let seconds = ms / 1000;
    match ms {
        i64::MIN..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{:.1}s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_like_speech() {
        assert_eq!(duration(850), "850ms");
        assert_eq!(duration(12_340), "12.3s");
        assert_eq!(duration(245_000), "4m 05s");
        assert_eq!(duration(7_380_000), "2h 03m");
    }
}
