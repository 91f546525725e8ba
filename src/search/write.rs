//! Spaces as JSON and as words for people.

use serde_json::{Map, Number, Value, json};

use super::domain::{Domain, ListKind, Numeric, Prior};
use super::space::Param;

impl Param {
    /// Returns the entry of a space object.
    pub fn to_json(&self) -> Value {
        let mut entry = Map::new();
        entry.insert("type".into(), self.domain.kind().into());
        match &self.domain {
            Domain::Numeric(numeric) => numeric.write(&mut entry),
            Domain::List { kind: ListKind::Boolean, choices } if choices.len() == 2 => {}
            Domain::List { choices, .. } => {
                entry.insert("choices".into(), json!(choices));
            }
            Domain::Fixed(value) => {
                entry.insert("value".into(), value.clone());
            }
        }
        if !self.when.is_empty() {
            let when = self.when.iter().map(|(name, values)| (name.clone(), json!(values)));
            entry.insert("when".into(), Value::Object(when.collect()));
        }
        if let Some(value) = &self.missing {
            entry.insert("missing".into(), value.clone());
        }
        Value::Object(entry)
    }

    /// Returns the values in words, with the condition.
    pub fn range(&self) -> String {
        let mut text = match &self.domain {
            Domain::Numeric(numeric) => numeric.words(),
            Domain::List { choices, .. } => choices.iter().map(word).collect::<Vec<_>>().join(", "),
            Domain::Fixed(value) => word(value),
        };
        if !self.when.is_empty() {
            text = format!("{text}; {}", self.condition());
        }
        if let Some(value) = &self.missing {
            text = format!("{text}; {} where it is missing", word(value));
        }
        text
    }

    /// Returns when it is active, in words; empty for a parameter that always is.
    pub(crate) fn condition(&self) -> String {
        let one = |(name, values): &(String, Vec<Value>)| {
            format!("{name} = {}", values.iter().map(word).collect::<Vec<_>>().join(" or "))
        };
        format!("when {}", self.when.iter().map(one).collect::<Vec<_>>().join(" and "))
    }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Numeric {
    fn write(&self, entry: &mut Map<String, Value>) {
        let number = |x: f64| match self.integer {
            true => Some(Value::from(x as i64)),
            false => Number::from_f64(x).map(Value::Number),
        };
        let open_lognormal = self.low == 0.0 && self.prior.is_log();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                entry.insert(key.to_owned(), value);
            }
        };
        put("low", number(self.low).filter(|_| self.low.is_finite() && !open_lognormal));
        put("high", number(self.high).filter(|_| self.high.is_finite()));
        put("prior", Some(self.prior.name().into()));
        if let Prior::Normal { mean, std } | Prior::Lognormal { mean, std } = self.prior {
            put("mean", Some(mean.into()));
            put("std", Some(std.into()));
        }
        put("step", self.step.and_then(number));
        put("bins", self.bins.map(Value::from));
    }

    fn words(&self) -> String {
        let open = !self.low.is_finite() && !self.high.is_finite()
            || self.low == 0.0 && self.high.is_infinite();
        let mut parts = Vec::new();
        if !open {
            let end = |x: f64| if self.integer { format!("{x}") } else { digits(x) };
            parts.push(format!("{} to {}", end(self.low), end(self.high)));
        }
        match self.prior {
            Prior::Uniform => {}
            Prior::Log => parts.push("log".into()),
            Prior::Normal { mean, std } | Prior::Lognormal { mean, std } => {
                parts.push(format!("{} {} ± {}", self.prior.name(), round(mean), round(std)));
            }
        }
        parts.extend(self.step.map(|step| format!("step {}", digits(step))));
        parts.extend(self.bins.map(|bins| format!("{bins} bins")));
        parts.join(", ")
    }
}

/// Returns a number as a person would write it.
pub(crate) fn digits(x: f64) -> String {
    let size = x.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) { format!("{x:e}") } else { format!("{x}") }
}

/// Returns a number with six digits: what was derived from bounds has no more to say.
fn round(x: f64) -> String {
    digits(format!("{x:.5e}").parse().unwrap_or(x))
}
