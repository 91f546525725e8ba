//! Whether it is worth to go on: a simple extrapolation of how the best value came about.
//!
//! Searches improve less the longer they go on: each doubling of the trials brings about as much as the one before, or
//! less. Of the last two doublings we see how much each improved the best value (`last`, `before`), and expect each of the
//! next to bring `r = min(1, last / before)` of the one before it (a half where that one brought nothing): of `more` trials
//! after `n`, with `d = log2((n + more) / n)`, `last · r · (1 - r^d) / (1 - r)`, and not more than the distance between the
//! best and the median, beyond which an extrapolation says nothing. The chance of
//! any improvement takes improvements as rare events whose rate is as uncertain as `k` of them in the last doubling leave
//! it (Jeffreys' prior): `1 - (1 + log2((n + more) / n))^-(k + 1/2)`. Neither knows the strategy or the space, and a search
//! that has just found a new valley does better: before [`STOP_MIN`] trials have ended none is told to stop.

use super::best::{Step, better};
use crate::protocol::Goal;

/// With fewer ended trials nothing is said.
pub const ENDED_MIN: usize = 8;

/// With fewer ended trials nobody is told to stop.
pub const STOP_MIN: usize = 40;

/// A chance of improvement below which it is not worth to wait for one.
const UNLIKELY: f64 = 0.3;

/// What further trials are expected to bring.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// How many further trials are meant.
    pub more: u64,
    /// By how much the best value is expected to improve.
    pub expected: f64,
    /// The chance that it improves at all.
    pub chance: f64,
    /// What the last doubling of the trials improved.
    pub last: f64,
    /// What the one before it improved.
    pub before: f64,
    /// The distance between the best and the median value: what improvements are to be measured by.
    pub range: f64,
    /// Whether less than a hundredth of that range is expected; where the last half brought nothing, whether any improvement
    /// is unlikely too.
    pub stop: bool,
    /// Whether it would say stop, had more trials ended.
    pub early: bool,
}

/// Returns what `more` trials are expected to bring; nothing when too few have ended or none has a value.
pub fn advice(steps: &[Step], goal: Goal, more: u64) -> Option<Advice> {
    let n = steps.len();
    let best = steps.last()?.best.filter(|best| best.is_finite())?;
    if n < ENDED_MIN {
        return None;
    }
    let first = steps.iter().position(|step| step.best.is_some_and(f64::is_finite))?;
    // The best after so many trials, never before the first value.
    let after = |count: usize| steps[count.max(first + 1) - 1].best.unwrap_or(best);
    let (half, quarter) = (n / 2, n / 4);
    let last = (after(half) - best).abs();
    let before = (after(quarter) - after(half)).abs();
    let falls = if before > 0.0 { (last / before).min(1.0) } else { 0.5 };
    let doublings = ((n as f64 + more as f64) / n as f64).log2();
    // A geometric series, also of a part of a doubling.
    let times = match falls {
        1.0 => doublings,
        falls => falls * (1.0 - falls.powf(doublings)) / (1.0 - falls),
    };
    let improved = |pair: &[Step]| match (pair[0].best, pair[1].best) {
        (Some(was), Some(is)) => better(goal, is, was),
        _ => false,
    };
    let count = steps[half - 1..].windows(2).filter(|pair| improved(pair)).count();
    let mut values: Vec<f64> =
        steps.iter().filter_map(|step| step.value).filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let median = crate::aggregate::quantile(values.len(), 0.5, |i| values[i]);
    let range = (median - best).abs();
    let expected = (last * times).min(range);
    let chance = 1.0 - (1.0 + doublings).powf(-(count as f64 + 0.5));
    let stands_still = expected < 0.01 * range && (last > 0.0 || chance < UNLIKELY);
    Some(Advice {
        more,
        expected,
        chance,
        last,
        before,
        range,
        stop: stands_still && n >= STOP_MIN,
        early: stands_still && n < STOP_MIN,
    })
}
