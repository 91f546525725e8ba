//! The values one parameter may take, and their places in [0, 1].
//!
//! All strategies work on the unit interval. A value's place is its share of the prior below it, so a uniform number
//! gives a draw from the prior; whole numbers, steps and choices own a cell each and sit at its centre. The way back
//! never leaves the bounds: the ends of the interval give exactly the ends of the range.

use serde_json::{Number, Value};

use super::normal;

/// How the values of a number are spread before anything is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    /// Evenly.
    Uniform,
    /// Evenly in the logarithm.
    Log,
    /// A bell, cut at the bounds where there are any.
    Normal {
        /// Its centre.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
    /// A bell in the natural logarithm, cut at the bounds where there are any.
    Lognormal {
        /// The centre of the logarithm.
        mean: f64,
        /// The standard deviation of the logarithm.
        std: f64,
    },
}

impl Prior {
    /// Returns the word for it in a space.
    pub fn name(self) -> &'static str {
        match self {
            Prior::Uniform => "uniform",
            Prior::Log => "log",
            Prior::Normal { .. } => "normal",
            Prior::Lognormal { .. } => "lognormal",
        }
    }

    /// Says whether distances are to be measured in the logarithm.
    pub fn is_log(self) -> bool {
        matches!(self, Prior::Log | Prior::Lognormal { .. })
    }
}

/// A real or whole number between two inclusive bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Numeric {
    /// Whole numbers only.
    pub integer: bool,
    /// The smallest value; minus infinity only under a normal prior, 0 for an open lognormal one.
    pub low: f64,
    /// The largest value; infinity only under a normal or lognormal prior.
    pub high: f64,
    /// How values are spread.
    pub prior: Prior,
    /// Values are `low`, `low + step`, …; `None` is any real, or every whole number.
    pub step: Option<f64>,
    /// How many values a grid takes.
    pub bins: Option<u64>,
}

/// How the choices of a list relate to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// No order.
    Categorical,
    /// Neighbours are alike.
    Ordinal,
    /// false and true.
    Boolean,
}

/// The values of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// A number.
    Numeric(Numeric),
    /// One of a list.
    List {
        /// How they relate.
        kind: ListKind,
        /// The values, all different.
        choices: Vec<Value>,
    },
    /// Always this value; no dimension of the search.
    Fixed(Value),
}

impl Domain {
    /// Returns the word for it in a space.
    pub fn kind(&self) -> &'static str {
        match self {
            Domain::Numeric(Numeric { integer: true, .. }) => "integer",
            Domain::Numeric(_) => "real",
            Domain::List { kind: ListKind::Categorical, .. } => "categorical",
            Domain::List { kind: ListKind::Ordinal, .. } => "ordinal",
            Domain::List { kind: ListKind::Boolean, .. } => "boolean",
            Domain::Fixed(_) => "fixed",
        }
    }

    /// Returns how many values there are; `None` for the reals between two bounds.
    pub fn count(&self) -> Option<u64> {
        match self {
            Domain::Numeric(numeric) => numeric.count(),
            Domain::List { choices, .. } => Some(choices.len() as u64),
            Domain::Fixed(_) => Some(1),
        }
    }

    /// Returns value number `index` of a countable domain, in order.
    pub fn value_at(&self, index: u64) -> Value {
        match self {
            Domain::Numeric(numeric) => numeric.value(numeric.lattice_point(index)),
            Domain::List { choices, .. } => {
                choices[usize::try_from(index).unwrap_or(usize::MAX).min(choices.len() - 1)].clone()
            }
            Domain::Fixed(value) => value.clone(),
        }
    }

    /// Returns the number of `value` in a countable domain; `None` when it is not one of its values.
    pub fn index_of(&self, value: &Value) -> Option<u64> {
        match self {
            Domain::Numeric(numeric) => numeric.index_of(value.as_f64()?),
            Domain::List { choices, .. } => {
                choices.iter().position(|choice| same(choice, value)).map(|index| index as u64)
            }
            Domain::Fixed(fixed) => same(fixed, value).then_some(0),
        }
    }

    /// Says whether `value` is one of its values.
    pub fn contains(&self, value: &Value) -> bool {
        match self {
            Domain::Numeric(numeric) if numeric.count().is_none() => {
                value.as_f64().is_some_and(|x| numeric.low <= x && x <= numeric.high)
            }
            _ => self.index_of(value).is_some(),
        }
    }

    /// Returns the value at the place `u`; numbers outside [0, 1] count as the nearer end.
    pub fn at_unit(&self, u: f64) -> Value {
        let u = if u.is_nan() { 0.5 } else { u.clamp(0.0, 1.0) };
        match self {
            Domain::Numeric(numeric) => numeric.value(numeric.at_unit(u)),
            Domain::List { choices, .. } => choices[cell(u, choices.len() as u64) as usize].clone(),
            Domain::Fixed(value) => value.clone(),
        }
    }

    /// Returns a value as proposals write it: 3 for 3.0 where numbers are whole, and a choice as it stands in its list. What is
    /// not in the domain stays as it is.
    pub fn canonical(&self, value: &Value) -> Value {
        let own = match self {
            Domain::Numeric(numeric) if numeric.count().is_none() => {
                value.as_f64().filter(|_| self.contains(value)).map(|x| numeric.value(x))
            }
            _ => self.index_of(value).map(|index| self.value_at(index)),
        };
        own.unwrap_or_else(|| value.clone())
    }

    /// Returns the place of `value` in [0, 1]: the centre of its cell where values are countable.
    ///
    /// The way back gives the same value, unless there are more than 2^50 of them or the prior leaves it no mass.
    pub fn unit_of(&self, value: &Value) -> Option<f64> {
        match self {
            Domain::Numeric(numeric) => {
                self.contains(value).then(|| value.as_f64().map(|x| numeric.unit_of(x)))?
            }
            Domain::List { choices, .. } => {
                self.index_of(value).map(|index| centre(index, choices.len() as u64))
            }
            Domain::Fixed(_) => self.index_of(value).map(|_| 0.5),
        }
    }

    /// Shrinks the domain to the smallest one of its kind around `values`.
    pub fn narrow(&mut self, values: &[&Value]) {
        match self {
            Domain::Numeric(numeric) => {
                let numbers = || values.iter().filter_map(|value| value.as_f64());
                let low = numbers().fold(f64::INFINITY, f64::min);
                let high = numbers().fold(f64::NEG_INFINITY, f64::max);
                if low <= high {
                    numeric.low = numeric.low.max(low);
                    numeric.high = numeric.high.min(high);
                }
            }
            Domain::List { choices, .. } => {
                let met = |choice: &Value| values.iter().any(|value| same(choice, value));
                if choices.iter().any(met) {
                    choices.retain(met);
                }
            }
            Domain::Fixed(_) => {}
        }
    }
}

impl Numeric {
    /// Returns how many values there are; `None` for the reals between two bounds.
    pub fn count(&self) -> Option<u64> {
        let step = self.lattice_step()?;
        Some((((self.high - self.low) / step) + 1e-9).floor() as u64 + 1)
    }

    /// Returns the distance of neighbouring values; `None` for any real. One single value has the distance 1.
    fn lattice_step(&self) -> Option<f64> {
        match self.step {
            Some(step) => Some(step),
            None if self.integer || self.low == self.high => Some(1.0),
            None => None,
        }
    }

    fn lattice_point(&self, index: u64) -> f64 {
        let step = self.lattice_step().unwrap_or(1.0);
        let x = self.low + index as f64 * step;
        let x = if self.integer { x.round() } else { tidy(x, self.low, step) };
        x.clamp(self.low, self.high)
    }

    fn index_of(&self, x: f64) -> Option<u64> {
        let (step, count) = (self.lattice_step()?, self.count()?);
        let index = ((x - self.low) / step).round();
        let near = (self.low + index * step - x).abs() <= 1e-9 * step;
        let inside = index >= 0.0 && index < count as f64;
        (inside && near && (!self.integer || x.fract() == 0.0)).then_some(index as u64)
    }

    /// Returns the ends that the unit interval stands for: half a step beyond the outermost values.
    fn edges(&self) -> (f64, f64) {
        match (self.lattice_step(), self.count()) {
            (Some(step), Some(count)) => {
                let last = self.low + (count - 1) as f64 * step;
                let first = self.low - step / 2.0;
                let first = if self.prior.is_log() { first.max(self.low / 2.0) } else { first };
                (first, last + step / 2.0)
            }
            _ => (self.low, self.high),
        }
    }

    fn at_unit(&self, u: f64) -> f64 {
        match (self.count(), self.prior) {
            (Some(count), Prior::Uniform) => self.lattice_point(cell(u, count)),
            // Where half a step is less than rounding takes away, a single value has no edges.
            (Some(1), _) => self.lattice_point(0),
            (Some(count), _) => {
                let place = (self.quantile(u) - self.low) / self.lattice_step().unwrap_or(1.0);
                self.lattice_point((place.round().max(0.0) as u64).min(count - 1))
            }
            (None, _) => self.quantile(u).clamp(self.low, self.high),
        }
    }

    fn unit_of(&self, x: f64) -> f64 {
        match (self.index_of(x), self.count(), self.prior) {
            (Some(index), Some(count), Prior::Uniform) => centre(index, count),
            (Some(_), Some(1), _) => centre(0, 1),
            (Some(index), Some(_), _) => {
                let half = self.lattice_step().unwrap_or(1.0) / 2.0;
                let value = self.lattice_point(index);
                let (first, last) = self.edges();
                let below = self.share((value - half).max(first));
                (below + self.share((value + half).min(last))) / 2.0
            }
            _ => self.share(x),
        }
    }

    /// Returns the place of the value nearest to `x`.
    pub(crate) fn unit_near(&self, x: f64) -> f64 {
        match (self.lattice_step(), self.count()) {
            (Some(step), Some(count)) => {
                let index = ((x - self.low) / step).round().max(0.0) as u64;
                self.unit_of(self.lattice_point(index.min(count - 1)))
            }
            _ => self.share(x),
        }
    }

    /// Returns the share of the prior below `x`.
    fn share(&self, x: f64) -> f64 {
        let (low, high) = self.edges();
        let share = match self.prior {
            Prior::Uniform => (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
            Prior::Log => (x.ln() - low.ln()) / (high.ln() - low.ln()),
            Prior::Normal { mean, std } => {
                normal::share((low - mean) / std, (high - mean) / std, (x - mean) / std)
            }
            Prior::Lognormal { mean, std } => {
                let z = |x: f64| (x.ln() - mean) / std;
                normal::share(z(low), z(high), z(x))
            }
        };
        // Ends that rounding does not tell apart have no shares between them.
        if share.is_nan() { 0.5 } else { share.clamp(0.0, 1.0) }
    }

    /// Returns the number with the share `u` of the prior below it.
    fn quantile(&self, u: f64) -> f64 {
        let (low, high) = self.edges();
        // An open end has no value of its own: the last place before it stands for it.
        let open = |u: f64| u.clamp(1e-16, 1.0 - f64::EPSILON / 2.0);
        match self.prior {
            _ if u <= 0.0 && low.is_finite() && (low > 0.0 || !self.prior.is_log()) => low,
            _ if u >= 1.0 && high.is_finite() => high,
            Prior::Uniform if (high - low).is_finite() => low + u * (high - low),
            Prior::Uniform => low * (1.0 - u) + high * u,
            Prior::Log => (low.ln() + u * (high.ln() - low.ln())).exp(),
            Prior::Normal { mean, std } => {
                mean + std * normal::quantile((low - mean) / std, (high - mean) / std, open(u))
            }
            Prior::Lognormal { mean, std } => {
                let z = |x: f64| (x.ln() - mean) / std;
                (mean + std * normal::quantile(z(low), z(high), open(u))).exp()
            }
        }
    }

    /// Returns `count` values for a grid: both ends and evenly between them by the prior's share.
    ///
    /// Uniform gives `low + k·(high - low)/(count - 1)`, as NumPy's linspace does, log a geometric row, the normal ones
    /// the quantiles (with open ends those of `(k + 1/2)/count`). Whole numbers are cut to their whole part, and
    /// steps go to the nearest one; values that coincide are taken once.
    pub fn bin_values(&self, count: u64) -> Vec<Value> {
        let open = !self.low.is_finite()
            || !self.high.is_finite()
            || self.low == 0.0 && self.prior.is_log();
        let mut values: Vec<f64> = Vec::new();
        for k in 0..count {
            let x = if count == 1 && !open {
                self.low
            } else if open {
                self.quantile(centre(k, count))
            } else if k + 1 == count {
                self.high
            } else if self.prior == Prior::Uniform && (self.high - self.low).is_finite() {
                self.low + k as f64 * ((self.high - self.low) / (count - 1) as f64)
            } else {
                // Whole numbers and steps are spread between the values themselves, not their cells.
                let plain = Numeric { step: None, integer: false, ..self.clone() };
                plain.at_unit(k as f64 / (count - 1) as f64)
            };
            let x = match self.step {
                None if self.integer && self.prior == Prior::Uniform => x.trunc(),
                None if self.integer => x.round(),
                None => x,
                Some(step) => {
                    let last = self.count().unwrap_or(1) - 1;
                    self.lattice_point((((x - self.low) / step).round().max(0.0) as u64).min(last))
                }
            };
            let x = x.clamp(self.low, self.high);
            if values.last() != Some(&x) {
                values.push(x);
            }
        }
        values.into_iter().map(|x| self.value(x)).collect()
    }

    fn value(&self, x: f64) -> Value {
        if self.integer {
            return Value::from(x as i64);
        }
        Number::from_f64(x).map_or(Value::Null, Value::Number)
    }
}

/// Says whether two values are the same: 1 and 1.0 are.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x == y,
            _ => x.as_f64() == y.as_f64(),
        },
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        _ => a == b,
    }
}

fn cell(u: f64, count: u64) -> u64 {
    ((u * count as f64) as u64).min(count - 1)
}

fn centre(index: u64, count: u64) -> f64 {
    (index as f64 + 0.5) / count as f64
}

/// Returns `x` with as many decimals as `low` and `step` have: 0.1 + 2·0.1 is meant to be 0.3.
fn tidy(x: f64, low: f64, step: f64) -> f64 {
    let decimals = |x: f64| x.to_string().split_once('.').map_or(0, |(_, digits)| digits.len());
    let digits = decimals(low).max(decimals(step));
    if digits > 15 {
        return x;
    }
    format!("{x:.digits$}").parse().unwrap_or(x)
}
