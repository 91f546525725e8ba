//! Points of a run by metric and step: appending in batches, reading, thinning for charts.
//!
//! An update is one row of `tick`: its place on the step axis and in time. What one attempt logged is a `stream`; what
//! of it belongs to the run is said by `stream.visible_to_step`. The numbers of a metric lie in pages of 1,024 updates, so
//! that a series is read by a few range scans and a chart from one `bucket` row a page.
//!
//! Summaries in `series` and `bucket` change in the same transaction as the points they are of. In them a point that is NaN
//! counts in `n` and `nan` of the series only; `bucket.n` counts numbers. Infinities are numbers.

mod append;
mod logger;
mod many;
mod read;
mod rows;
mod stats;
mod stream;
mod supersede;
mod tail;

#[cfg(test)]
mod tests;

pub use append::{Appended, Appender, append};
pub use logger::{Logger, LoggerOptions, end_lost_runs, lost_loggers};
pub use read::{
    Series, SeriesPart, Summary, Thin, final_value, series, series_part, summary,
    summary_of_metric, texts, thin, timed_series, vectors,
};
pub use supersede::supersede;
pub use tail::{open_to_read, settle, settle_file};

use crate::error::{Error, Result};

/// How many updates a bucket covers.
pub(crate) const PAGE: i64 = 1024;

/// What is logged under a name at one update.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number; NaN and infinities are kept.
    Scalar(f64),
    /// A number that says where on an axis the update is: environment steps, epochs.
    Clock(f64),
    /// Nested arrays of numbers: `null` is NaN, `"inf"` and `"-inf"` are the infinities.
    Vector(serde_json::Value),
    /// A text.
    Text(String),
}

/// What is logged at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Place on the step axis; `None`: one after the previous update of the attempt, the first being 0 (or, of an attempt
    /// that resumed at step s, s + 1).
    pub step: Option<i64>,
    /// When it happened [unix ms].
    pub at_ms: i64,
    /// What was measured. Of a name given twice the last value counts.
    pub values: Vec<(String, Value)>,
}

/// What a series holds; the first value logged under a name decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Scalar,
    /// Numbers that are places on an axis.
    Clock,
    /// Arrays.
    Vector,
    /// Texts.
    Text,
}

impl Kind {
    /// Returns the word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Scalar => "scalar",
            Kind::Clock => "clock",
            Kind::Vector => "vector",
            Kind::Text => "text",
        }
    }

    /// Returns whether its points are numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Kind::Scalar | Kind::Clock)
    }

    fn parse(word: &str) -> Kind {
        match word {
            "clock" => Kind::Clock,
            "vector" => Kind::Vector,
            "text" => Kind::Text,
            _ => Kind::Scalar,
        }
    }
}

impl Value {
    /// Returns the kind of series it starts.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Scalar(_) => Kind::Scalar,
            Value::Clock(_) => Kind::Clock,
            Value::Vector(_) => Kind::Vector,
            Value::Text(_) => Kind::Text,
        }
    }

    /// Returns an array of numbers as a vector.
    pub fn vector(numbers: &[f64]) -> Value {
        Value::Vector(serde_json::Value::Array(numbers.iter().map(|x| json_number(*x)).collect()))
    }
}

/// Returns a number as the JSON in vectors has it.
pub fn json_number(number: f64) -> serde_json::Value {
    match serde_json::Number::from_f64(number) {
        Some(finite) => serde_json::Value::Number(finite),
        None if number.is_nan() => serde_json::Value::Null,
        None => serde_json::Value::from(if number > 0.0 { "inf" } else { "-inf" }),
    }
}

const NAME_CHARS_MAX: usize = 500;

/// Checks a metric's name.
///
/// # Errors
/// [`Error::Invalid`] when it is empty, longer than 500 characters, or has control characters.
pub fn check_name(name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "is empty"
    } else if name.len() > NAME_CHARS_MAX && name.chars().count() > NAME_CHARS_MAX {
        "is longer than 500 characters"
    } else if name.chars().any(char::is_control) {
        "has control characters"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(40).collect();
    Err(Error::invalid("metric name", format!("{shown:?} {why}")))
}
