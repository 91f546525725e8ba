//! Running summaries of numbers.

/// Summary of some points. A sum of both infinities stays at the first one, as in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Stats {
    /// All points.
    pub(crate) n: i64,
    /// Those that are NaN; the rest is of the others.
    pub(crate) nan: i64,
    pub(crate) first: Option<f64>,
    pub(crate) last: Option<f64>,
    pub(crate) last_step: Option<i64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) sum: f64,
}

impl Stats {
    pub(crate) fn add(&mut self, value: f64, step: i64) {
        self.n += 1;
        if value.is_nan() {
            self.nan += 1;
            return;
        }
        if self.first.is_none() {
            self.first = Some(value);
        }
        self.last = Some(value);
        self.last_step = Some(step);
        self.min = Some(self.min.map_or(value, |min| if value < min { value } else { min }));
        self.max = Some(self.max.map_or(value, |max| if value > max { value } else { max }));
        self.sum = plus(self.sum, value);
    }

    /// Adds points that came after these.
    pub(crate) fn merge(&mut self, later: &Stats) {
        self.n += later.n;
        self.nan += later.nan;
        self.first = self.first.or(later.first);
        self.last = later.last.or(self.last);
        self.last_step = later.last_step.or(self.last_step);
        self.min = least(self.min, later.min);
        self.max = least(self.max.map(|x| -x), later.max.map(|x| -x)).map(|x| -x);
        self.sum = plus(self.sum, later.sum);
    }
}

fn plus(sum: f64, value: f64) -> f64 {
    let next = sum + value;
    if next.is_nan() { sum } else { next }
}

fn least(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
