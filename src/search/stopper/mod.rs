//! Stoppers: rules that end a trial at work whose curve holds no promise. They go with any strategy.
//!
//! A stopper looks at what a trial has reported so far and at the trials before it, and says why the trial is to stop, or
//! nothing. Losses are minimised. It is a pure function of the history, so a stop can be explained and replayed.
//!
//! | name | stops a trial | settings |
//! |---|---|---|
//! | `median` | whose best so far is worse than the median of what the others had at the same epoch | `startup` 5, `warmup` 0, `interval` 1, `least` 1 |
//! | `percentile` | the same with another share of them | `percentile`, and those of `median` |
//! | `threshold` | whose last loss is no number or out of bounds | `lower`, `upper`, `warmup` 0, `interval` 1 |
//! | `patience` | that did not get better in so many epochs | `patience`, `delta` 0, `warmup` 0 |
//! | `asha` | that is not among the best 1/`eta` of all that got to its rung | `epochs`, `eta` 3, `min_epochs` 1 |
//! | `wilcoxon` | that is worse than the best trial on the same seeds or folds | `p` 0.1, `startup` 2 |
//!
//! For `wilcoxon` a curve holds the losses of seeds or folds, in the same order for all trials, and a trial's value is
//! their mean.
//!
//! # Source
//! Golovin et al., KDD 2017 (median); Optuna's pruners of the same names, whose settings are `n_startup_trials`,
//! `n_warmup_steps`, `interval_steps` and `n_min_trials`. Unlike Optuna we hold a trial's best against the others' best
//! until the same epoch, not against their loss at it, so noise at one epoch does not decide; and patience ends training
//! that gained at most `delta`, as Keras has it.

mod wilcoxon;

use serde_json::{Map, Value};

use super::fidelity::rungs::ladder;
use super::history::{History, Past, PastState};
use super::space::suggest;
use super::strategy::whole_setting;
use crate::{Error, Result};

/// The stoppers by name.
pub const STOPPERS: &[&str] =
    &["median", "percentile", "threshold", "patience", "asha", "wilcoxon"];

/// Ends trials without promise.
pub trait Stopper {
    /// Returns why the trial of that number is to stop now, after what it has reported; `None` lets it go on.
    fn stops(&self, history: &History, number: u64) -> Option<String>;

    /// Says whether it looks at what other trials at work have said so far, beside those that are complete.
    fn looks_at_work(&self) -> bool {
        false
    }
}

/// Returns the stopper of that name; capitals do not matter.
///
/// # Errors
/// [`Error::Invalid`] for an unknown name, an unknown, missing or unfit setting.
pub fn stopper(name: &str, settings: &Map<String, Value>) -> Result<Box<dyn Stopper + Send>> {
    let settings = Settings { name, settings };
    Ok(match name.to_lowercase().as_str() {
        "median" => Box::new(Percentile {
            percentile: 50.0,
            others: settings.others(&[])?,
            times: settings.times()?,
        }),
        "percentile" => Box::new(Percentile {
            percentile: settings
                .number("percentile", 0.0, 100.0)?
                .ok_or_else(|| settings.missing("percentile"))?,
            others: settings.others(&["percentile"])?,
            times: settings.times()?,
        }),
        "threshold" => {
            settings.allow(&["lower", "upper", "warmup", "interval"])?;
            let lower = settings.number("lower", f64::MIN, f64::MAX)?;
            let upper = settings.number("upper", f64::MIN, f64::MAX)?;
            if lower.is_none() && upper.is_none() {
                return Err(settings.missing("upper"));
            }
            Box::new(Threshold { lower, upper, times: settings.times()? })
        }
        "patience" => {
            settings.allow(&["patience", "delta", "warmup"])?;
            Box::new(Patience {
                patience: settings
                    .whole("patience", 1)?
                    .ok_or_else(|| settings.missing("patience"))?,
                delta: settings.number("delta", 0.0, f64::MAX)?.unwrap_or(0.0),
                times: settings.times()?,
            })
        }
        "asha" => {
            settings.allow(&["epochs", "eta", "min_epochs"])?;
            let epochs = settings.whole("epochs", 1)?.ok_or_else(|| settings.missing("epochs"))?;
            let least = settings.whole("min_epochs", 1)?.unwrap_or(1).min(epochs);
            let eta = settings.number("eta", 1.0, f64::MAX)?.unwrap_or(3.0);
            if eta <= 1.0 {
                return Err(Error::invalid(settings.what(), "eta 1 would stop nobody")
                    .with_hint("eta is above 1, usually 3"));
            }
            let mut rungs = ladder(epochs as u64, least as u64, eta);
            // Whoever gets to the last one has ended.
            rungs.pop();
            Box::new(Rungs { rungs, eta })
        }
        "wilcoxon" => {
            settings.allow(&["p", "startup"])?;
            Box::new(Wilcoxon {
                p: settings.number("p", 0.0, 1.0)?.unwrap_or(0.1),
                startup: settings.whole("startup", 2)?.unwrap_or(2),
            })
        }
        other => {
            let error = Error::invalid("stopper", format!("\"{name}\" is not known"))
                .with_hint(format!("stoppers are {}", STOPPERS.join(", ")));
            return Err(suggest(error, other, STOPPERS.iter().copied()));
        }
    })
}

struct Settings<'a> {
    name: &'a str,
    settings: &'a Map<String, Value>,
}

impl Settings<'_> {
    fn what(&self) -> String {
        format!("stopper {}", self.name)
    }

    fn allow(&self, known: &[&str]) -> Result<()> {
        let Some(stranger) = self.settings.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let error = Error::invalid(self.what(), format!("has no setting \"{stranger}\""))
            .with_hint(format!("its settings are {}", known.join(", ")));
        Err(suggest(error, stranger, known.iter().copied()))
    }

    fn missing(&self, key: &str) -> Error {
        Error::invalid(self.what(), format!("needs the setting {key}"))
    }

    fn whole(&self, key: &str, least: u64) -> Result<Option<usize>> {
        let whole = whole_setting(self.name, self.settings, key, least)?;
        Ok(whole.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
    }

    fn number(&self, key: &str, low: f64, high: f64) -> Result<Option<f64>> {
        let Some(value) = self.settings.get(key).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        match value.as_f64().filter(|number| (low..=high).contains(number)) {
            Some(number) => Ok(Some(number)),
            None if low == f64::MIN => {
                Err(Error::invalid(self.what(), format!("{key} {value} is no number")))
            }
            None => Err(Error::invalid(
                self.what(),
                format!("{key} {value} is not from {low} to {high}"),
            )),
        }
    }

    fn times(&self) -> Result<Times> {
        Ok(Times {
            warmup: self.whole("warmup", 0)?.unwrap_or(0),
            interval: self.whole("interval", 1)?.unwrap_or(1),
        })
    }

    fn others(&self, more: &[&str]) -> Result<Others> {
        let known = ["startup", "warmup", "interval", "least"];
        self.allow(&[&known, more].concat())?;
        Ok(Others {
            startup: self.whole("startup", 0)?.unwrap_or(5),
            least: self.whole("least", 1)?.unwrap_or(1),
        })
    }
}

/// When a trial may be stopped.
struct Times {
    /// Epochs that every trial may train.
    warmup: usize,
    /// From then on it may be stopped after every so many epochs.
    interval: usize,
}

impl Times {
    fn are_due(&self, epochs: usize) -> bool {
        epochs > 0 && epochs >= self.warmup && (epochs - self.warmup).is_multiple_of(self.interval)
    }
}

/// Which other trials there have to be.
struct Others {
    /// Complete trials before any is stopped.
    startup: usize,
    /// Complete trials that reached the same epoch.
    least: usize,
}

struct Percentile {
    percentile: f64,
    others: Others,
    times: Times,
}

struct Threshold {
    lower: Option<f64>,
    upper: Option<f64>,
    times: Times,
}

struct Patience {
    patience: usize,
    delta: f64,
    times: Times,
}

struct Rungs {
    /// The epochs after which trials are compared.
    rungs: Vec<u64>,
    eta: f64,
}

struct Wilcoxon {
    p: f64,
    startup: usize,
}

impl Stopper for Percentile {
    fn stops(&self, history: &History, number: u64) -> Option<String> {
        let curve = &history.get(number)?.curve;
        let epochs = curve.len();
        let complete = || complete(history, number);
        if !self.times.are_due(epochs) || complete().count() < self.others.startup {
            return None;
        }
        let mut reached: Vec<f64> = complete()
            .filter(|past| past.curve.len() >= epochs)
            .filter_map(|past| best(&past.curve[..epochs]))
            .collect();
        if reached.is_empty() || reached.len() < self.others.least {
            return None;
        }
        let Some(own) = best(curve) else {
            return Some(format!("no number in {epochs} epochs"));
        };
        let bound = percentile(&mut reached, self.percentile);
        let which = match self.percentile {
            50.0 => "the median".to_owned(),
            percentile => format!("percentile {percentile}"),
        };
        let count = reached.len();
        (own > bound).then(|| {
            format!(
                "best {own:.6} at epoch {epochs} is worse than {which} {bound:.6} of {count} trials"
            )
        })
    }
}

impl Stopper for Threshold {
    fn stops(&self, history: &History, number: u64) -> Option<String> {
        let curve = &history.get(number)?.curve;
        let last = *curve.last().filter(|_| self.times.are_due(curve.len()))?;
        let epochs = curve.len();
        if last.is_nan() {
            return Some(format!("no number at epoch {epochs}"));
        }
        let bounds = [("lower", self.lower, -1.0), ("upper", self.upper, 1.0)];
        bounds.into_iter().find_map(|(side, bound, sign)| {
            let bound = bound.filter(|bound| (last - bound) * sign > 0.0)?;
            Some(format!("{last:.6} at epoch {epochs} is beyond the {side} bound {bound}"))
        })
    }
}

impl Stopper for Patience {
    fn stops(&self, history: &History, number: u64) -> Option<String> {
        let curve = &history.get(number)?.curve;
        let before = curve.len().checked_sub(self.patience).filter(|before| *before > 0)?;
        if !self.times.are_due(curve.len()) {
            return None;
        }
        let best_before = best(&curve[..before])?;
        let gain = best(&curve[before..]).map_or(f64::NEG_INFINITY, |best| best_before - best);
        let Patience { patience, delta, .. } = self;
        (gain <= *delta).then(|| {
            format!("no better than {best_before:.6} by more than {delta} for {patience} epochs")
        })
    }
}

impl Stopper for Rungs {
    fn looks_at_work(&self) -> bool {
        true
    }

    fn stops(&self, history: &History, number: u64) -> Option<String> {
        let curve = &history.get(number)?.curve;
        let epochs = curve.len();
        if !self.rungs.contains(&(epochs as u64)) {
            return None;
        }
        let Some(own) = best(curve) else {
            return Some(format!("no number in {epochs} epochs"));
        };
        // Those at work and those that were stopped count too, as far as they got.
        let all: Vec<f64> = history
            .trials()
            .iter()
            .filter(|past| past.curve.len() >= epochs)
            .filter_map(|past| best(&past.curve[..epochs]))
            .collect();
        let better = all.iter().filter(|other| **other < own).count();
        let kept = ((all.len() as f64 / self.eta + 1e-9).floor() as usize).max(1);
        (better >= kept).then(|| {
            let count = all.len();
            format!(
                "best {own:.6} at epoch {epochs} is not among the {kept} best of {count} trials"
            )
        })
    }
}

impl Stopper for Wilcoxon {
    fn stops(&self, history: &History, number: u64) -> Option<String> {
        let own = &history.get(number)?.curve;
        let value = |past: &&Past| past.value();
        let leader = complete(history, number)
            .filter(|past| value(past).is_some())
            .min_by(|a, b| value(a).unwrap_or(f64::NAN).total_cmp(&value(b).unwrap_or(f64::NAN)))?;
        let worse: Vec<f64> = own
            .iter()
            .zip(&leader.curve)
            .map(|(own, best)| own - best)
            .filter(|gap| gap.is_finite())
            .collect();
        if worse.len() < self.startup {
            return None;
        }
        let p = wilcoxon::greater(&worse);
        // The best trial may have had luck on these and bad luck on the rest: then its whole mean tells.
        let own_mean = mean(own.iter().copied());
        let trusted = mean(leader.curve.iter().copied()) < own_mean;
        (p < self.p && trusted).then(|| {
            let (best, pairs) = (leader.number, worse.len());
            format!("worse than trial {best} on {pairs} pairs (signed ranks, p = {p:.4})")
        })
    }
}

/// Returns the other complete trials.
fn complete(history: &History, number: u64) -> impl Iterator<Item = &Past> {
    let is_complete = |past: &Past| matches!(past.state, PastState::Complete { .. });
    history.trials().iter().filter(move |past| past.number != number && is_complete(past))
}

fn best(curve: &[f64]) -> Option<f64> {
    curve.iter().copied().filter(|value| value.is_finite()).min_by(f64::total_cmp)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values
        .filter(|value| value.is_finite())
        .fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / count
}

/// Returns the percentile of values, between neighbours in proportion.
fn percentile(values: &mut [f64], percentile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = percentile / 100.0 * (values.len() - 1) as f64;
    let below = values[place as usize];
    let above = values[(place.ceil() as usize).min(values.len() - 1)];
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(name: &str, settings: Value) -> Box<dyn Stopper + Send> {
        stopper(name, settings.as_object().unwrap()).unwrap()
    }

    fn history(complete: &[&[f64]], own: &[f64]) -> (History, u64) {
        let past = |(number, curve): (usize, &&[f64])| {
            let values = vec![mean(curve.iter().copied())];
            let past = Past::new(number as u64, Map::new(), PastState::Complete { values });
            Past { curve: curve.to_vec(), ..past }
        };
        let mut history: History = complete.iter().enumerate().map(past).collect();
        let number = history.next_number();
        let own = Past { curve: own.to_vec(), ..Past::new(number, Map::new(), PastState::Pending) };
        history.put(own);
        (history, number)
    }

    fn stops(stopper: &dyn Stopper, complete: &[&[f64]], own: &[f64]) -> bool {
        let (history, number) = history(complete, own);
        stopper.stops(&history, number).is_some()
    }

    #[test]
    fn the_median_is_that_of_the_others_best_at_the_same_epoch() {
        let median = made("median", json!({"startup": 3}));
        let others: [&[f64]; 3] = [&[1.0, 0.5, 0.9], &[2.0, 1.0, 0.2], &[3.0, 3.0]];
        // At epoch 2 the others' bests are 0.5, 1 and 3; at epoch 3 they are 0.5 and 0.2.
        assert!(!stops(&*median, &others, &[9.0, 1.0]));
        assert!(stops(&*median, &others, &[9.0, 1.1]));
        assert!(!stops(&*median, &others, &[9.0, 0.35, 5.0]), "the best so far counts");
        assert!(stops(&*median, &others, &[9.0, 0.36, 5.0]));
        assert!(!stops(&*median, &others, &[9.0, 9.0, 9.0, 9.0]), "nobody went so far");
        assert!(stops(&*median, &others, &[f64::NAN]));
        assert!(!stops(&*median, &others, &[]));
        assert!(!stops(&*median, &others[..2], &[9.0]), "too few are complete");
        let (mut history, number) = history(&others, &[9.0, 9.0]);
        let why = median.stops(&history, number).unwrap();
        assert!(
            why.contains("9.000000 at epoch 2") && why.contains("median 1.000000 of 3"),
            "{why}"
        );
        history.change(0, |past| past.state = PastState::Pruned);
        assert_eq!(median.stops(&history, number), None, "who was stopped is not complete");
        assert_eq!(median.stops(&history, 77), None);
    }

    #[test]
    fn warm_up_interval_and_least_hold_back() {
        let median = made("median", json!({"startup": 1, "warmup": 3, "interval": 2, "least": 2}));
        let others: [&[f64]; 2] = [&[1.0; 6], &[1.0; 4]];
        let due: Vec<bool> =
            (1..7).map(|epochs| stops(&*median, &others, &vec![2.0; epochs])).collect();
        assert_eq!(
            due,
            [false, false, true, false, false, false],
            "5 is due, but only one got there"
        );
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        for (q, want) in [(0.0, 1.0), (25.0, 1.75), (50.0, 2.5), (90.0, 3.7), (100.0, 4.0)] {
            assert!((percentile(&mut [3.0, 1.0, 4.0, 2.0], q) - want).abs() < 1e-12, "{q}");
        }
        let strict = made("percentile", json!({"percentile": 25, "startup": 1}));
        let others: [&[f64]; 4] = [&[3.0], &[1.0], &[4.0], &[2.0]];
        assert!(!stops(&*strict, &others, &[1.75]));
        assert!(stops(&*strict, &others, &[1.76]));
    }

    #[test]
    fn thresholds_look_at_the_last_loss() {
        let threshold = made("threshold", json!({"upper": 2.0, "lower": -1, "warmup": 2}));
        assert!(!stops(&*threshold, &[], &[9.0]));
        assert!(!stops(&*threshold, &[], &[9.0, 2.0]));
        assert!(stops(&*threshold, &[], &[0.0, 2.1]));
        assert!(stops(&*threshold, &[], &[0.0, -1.1]));
        assert!(stops(&*threshold, &[], &[0.0, f64::NAN]));
        assert!(stops(&*threshold, &[], &[0.0, f64::INFINITY]));
    }

    #[test]
    fn patience_ends_when_nothing_was_gained() {
        let patience = made("patience", json!({"patience": 3, "delta": 0.1}));
        assert!(!stops(&*patience, &[], &[1.0, 1.0, 1.0]));
        assert!(stops(&*patience, &[], &[1.0, 1.0, 1.0, 0.95]));
        assert!(!stops(&*patience, &[], &[1.0, 1.0, 1.0, 0.85]));
        assert!(stops(&*patience, &[], &[1.0, 0.5, 0.6, f64::NAN, 0.7]));
        assert!(!stops(&*patience, &[], &[1.0, 0.5, 0.6, 0.7]));
        assert!(stops(&*patience, &[], &[1.0, f64::NAN, f64::NAN, f64::NAN]));
    }

    #[test]
    fn rungs_keep_a_share_of_all_that_got_there() {
        let asha = made("asha", json!({"epochs": 9, "eta": 3}));
        let others: [&[f64]; 5] = [&[5.0], &[4.0, 4.0, 1.0], &[3.0], &[2.0, 3.0, 3.0], &[6.0]];
        assert!(stops(&*asha, &others, &[3.5]), "two of six stay at epoch 1");
        assert!(!stops(&*asha, &others, &[2.5]));
        assert!(!stops(&*asha, &others, &[9.0, 9.0]), "two is no rung");
        assert!(stops(&*asha, &others, &[9.0, 9.0, 2.0]), "one of three stays at epoch 3");
        assert!(!stops(&*asha, &others, &[9.0, 9.0, 0.5]));
        assert!(!stops(&*asha, &[], &[7.0]), "the first always stays");
        assert!(stops(&*asha, &[], &[f64::NAN]));
        assert!(!stops(&*asha, &others, &[9.0; 9]), "whoever has ended has ended");
    }

    #[test]
    fn wilcoxon_needs_evidence_and_a_better_mean() {
        let wilcoxon = made("wilcoxon", json!({}));
        let best: &[f64] = &[0.0; 8];
        assert!(!stops(&*wilcoxon, &[best], &[0.1, 0.2, 0.3]), "p = 0.125");
        assert!(stops(&*wilcoxon, &[best], &[0.1, 0.2, 0.3, 0.4]), "p = 0.0625");
        assert!(stops(&*wilcoxon, &[best, &[5.0; 8]], &[0.1, 0.2, -0.05, 0.3, 0.4]));
        assert!(!stops(&*wilcoxon, &[best], &[-0.1, -0.2, 0.3, -0.4]));
        assert!(!stops(&*wilcoxon, &[], &[0.1, 0.2, 0.3, 0.4]));
        let lucky: &[f64] = &[0.0, 0.0, 0.0, 0.0, 9.0];
        assert!(!stops(&*wilcoxon, &[lucky], &[0.1, 0.2, 0.3, 0.4]), "its mean is 1.8");
    }

    #[test]
    fn settings_are_checked() {
        let refused = |name: &str, settings: Value| {
            let error = stopper(name, settings.as_object().unwrap()).map(|_| ()).unwrap_err();
            format!("{error} {}", error.hint().unwrap_or_default())
        };
        assert!(refused("medain", json!({})).contains("did you mean \"median\""));
        assert!(refused("median", json!({"start": 1})).contains("has no setting \"start\""));
        assert!(refused("percentile", json!({})).contains("needs the setting percentile"));
        assert!(refused("percentile", json!({"percentile": 101})).contains("not from 0 to 100"));
        assert!(refused("threshold", json!({})).contains("needs the setting upper"));
        assert!(refused("patience", json!({"patience": 0})).contains("at least 1"));
        assert!(stopper("Median", &Map::new()).is_ok());
    }
}
