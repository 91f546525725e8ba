//! SMBO: a model of the values, and the place where it promises most (sequential model-based optimisation).
//!
//! The model is a forest, which takes any space as it is: choices, conditions, many parameters. Values are taken in the
//! logarithm of their distance to the best; trials that failed count as the worst; those at work as if they had turned
//! out as believed. A share of the trials is drawn from the whole space whatever the model says. Asks are looked for
//! among random places and by walks from the best trials, one parameter at a time.
//!
//! Settings: `surrogate`: `et` (default, extra trees), `rf` (a random forest), `gbrt` (boosted quantiles) or `gp` (a
//! Gaussian process: the strategy `gp` takes over with its own acquisition); `acquisition`: `logei` (default), `ei`,
//! `pi`, `lcb` or `gp_hedge`, which draws one of the last three by what the model expects of their proposals; `startup`
//! (default 10), the trials before the model; `random` (default 0.2), the share drawn from the whole space. The names of
//! mle-hyperopt, `base_estimator`, `acq_function` and `n_initial_points`, are understood, and `compat: mle_hyperopt` begins with
//! the points that it begins with; whole numbers among those reach one above their upper end, as they do there.
//!
//! # Source
//! Hutter, Hoos, Leyton-Brown, LION 2011 (SMAC); Lindauer et al., JMLR 23 (2022), for the defaults of its third version;
//! Hoffman, Brochu, de Freitas, UAI 2011 (hedging). Gains of the hedge are those that today's model gives, as those of
//! earlier models would have to be remembered.

mod acquisition;
mod walk;

use rand_pcg::Pcg64;
use serde_json::{Map, Value};

use self::acquisition::Acquisition;
use self::walk::Walk;
use super::compat;
use super::forest::boost::Boosted;
use super::forest::{Forest, Sample, Variety};
use super::history::{History, Past, PastState};
use super::sampler::Sampler;
use super::space::Space;
use super::start::Start;
use super::strategy::{Proposal, Setup, Strategy, allow_settings, strategy, whole_setting};
use super::stream::{Purpose, stream, unit};
use super::tpe::{Axis, Frame, Record};
use crate::{Error, Result};

/// Trials that the model holds at most: half of them the best, the rest the newest.
const ROWS_MAX: usize = 500;
const TREES: usize = 30;
/// Trials before the model.
const STARTUP: u64 = 10;
/// Points of mle-hyperopt to begin with, at most.
const FIRST_MAX: u64 = 10_000;
/// Streams of an ask, by attempt.
const DRAW: u64 = 0;
const MODEL: u64 = 1;
const WALK: u64 = 2;

/// SMBO search with a forest.
pub struct Smbo {
    space: Space,
    frame: Frame,
    record: Record,
    start: Sampler<Start>,
    seed: u64,
    startup: u64,
    random: f64,
    surrogate: Surrogate,
    acquisition: Acquisition,
    /// The first points of mle-hyperopt, where those are wanted.
    first: Vec<Map<String, Value>>,
}

#[derive(Clone, Copy, Debug)]
enum Surrogate {
    Trees(Variety),
    Boosted,
}

/// A fitted model.
pub(super) enum Model {
    Forest(Forest),
    Boosted(Boosted),
}

impl Model {
    pub(super) fn predict(&self, row: &[f64]) -> (f64, f64) {
        match self {
            Model::Forest(forest) => forest.predict(row),
            Model::Boosted(boosted) => boosted.predict(row),
        }
    }
}

const SETTINGS: &[&str] = &[
    "surrogate",
    "acquisition",
    "startup",
    "random",
    "base_estimator",
    "acq_function",
    "n_initial_points",
    "compat",
];

/// Returns a SMBO search.
///
/// # Errors
/// [`Error::Invalid`] for settings it does not have.
pub fn smbo(setup: &Setup) -> Result<Box<dyn Strategy + Send>> {
    let settings = &setup.settings;
    allow_settings("smbo", settings, SETTINGS)?;
    let text = |names: [&str; 2], default: &str| {
        let value = names.iter().find_map(|name| settings.get(*name));
        value.map_or(default.to_owned(), |value| value.as_str().unwrap_or_default().to_lowercase())
    };
    let surrogate = match text(["surrogate", "base_estimator"], "et").as_str() {
        "rf" => Surrogate::Trees(Variety::Rows),
        "et" => Surrogate::Trees(Variety::Splits),
        "gbrt" => Surrogate::Boosted,
        "gp" => return gp(setup),
        other => return Err(refuse(format!("surrogate \"{other}\" is not rf, et, gbrt or gp"))),
    };
    let name = text(["acquisition", "acq_function"], "logei");
    let Some(acquisition) = Acquisition::named(&name) else {
        return Err(refuse(format!(
            "acquisition \"{name}\" is not logei, ei, pi, lcb or gp_hedge"
        )));
    };
    let random = match settings.get("random") {
        None | Some(Value::Null) => 0.2,
        Some(value) => match value.as_f64().filter(|share| (0.0..=1.0).contains(share)) {
            Some(share) => share,
            None => return Err(refuse(format!("random {value} is no number from 0 to 1"))),
        },
    };
    let space = setup.space.clone();
    let startup = startup(settings)?.unwrap_or(STARTUP);
    let first = match compat::wanted("smbo", settings)? {
        true => compat::initial_points(&space, setup.seed, startup.min(FIRST_MAX)),
        false => Vec::new(),
    };
    Ok(Box::new(Smbo {
        frame: Frame::new(&space),
        record: Record::new(&space),
        start: Sampler::new(space.clone(), Start::new(space.dimensions(), setup.seed), setup.seed),
        space,
        seed: setup.seed,
        startup,
        first,
        random,
        surrogate,
        acquisition,
    }))
}

fn startup(settings: &Map<String, Value>) -> Result<Option<u64>> {
    Ok(whole_setting("smbo", settings, "startup", 1)?.or(whole_setting(
        "smbo",
        settings,
        "n_initial_points",
        1,
    )?))
}

/// Returns the strategy `gp` with what it knows of the settings, after the points of mle-hyperopt where those are wanted.
fn gp(setup: &Setup) -> Result<Box<dyn Strategy + Send>> {
    let startup = startup(&setup.settings)?;
    let own = startup.map(|startup| ("startup".to_owned(), startup.into()));
    let gp = strategy("gp", &Setup { settings: own.into_iter().collect(), ..setup.clone() })?;
    if !compat::wanted("smbo", &setup.settings)? {
        return Ok(gp);
    }
    let count = startup.unwrap_or(STARTUP).min(FIRST_MAX);
    Ok(Box::new(Begun { first: compat::initial_points(&setup.space, setup.seed, count), then: gp }))
}

/// Points to begin with, and a strategy for all others.
struct Begun {
    first: Vec<Map<String, Value>>,
    then: Box<dyn Strategy + Send>,
}

impl Strategy for Begun {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let at = usize::try_from(history.next_number()).ok();
        match at.and_then(|at| self.first.get(at)) {
            Some(point) => Ok(Some(point.clone()).into()),
            None => self.then.ask(history),
        }
    }
}

fn refuse(why: String) -> Error {
    Error::invalid("strategy smbo", why)
}

impl Smbo {
    /// Returns the places of the trials to learn from, in order, and what each is worth; pending ones are left out.
    fn lessons(&self, history: &History) -> Vec<(usize, f64)> {
        let ranked = self.record.ranked();
        let worst = ranked.last().map_or(0.0, |(value, _)| *value);
        let valued = ranked.iter().map(|(value, at)| (*at, *value));
        let mut known = vec![false; history.len()];
        ranked.iter().for_each(|(_, at)| known[*at] = true);
        let failed = |(at, past): (usize, &Past)| {
            (!known[at] && past.state != PastState::Pending).then_some((at, worst))
        };
        let mut all: Vec<(usize, f64)> =
            valued.chain(history.iter().enumerate().filter_map(failed)).collect();
        if all.len() > ROWS_MAX {
            all[ROWS_MAX / 2..].sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
            all.truncate(ROWS_MAX);
        }
        all.sort_unstable_by_key(|(at, _)| *at);
        all
    }

    fn fit(&self, sample: &Sample, generator: &mut Pcg64) -> Model {
        match self.surrogate {
            Surrogate::Trees(variety) => {
                Model::Forest(Forest::grow(sample, TREES, variety, generator))
            }
            Surrogate::Boosted => Model::Boosted(Boosted::grow(sample, generator)),
        }
    }

    fn propose(&self, history: &History) -> Result<Option<Map<String, Value>>> {
        let number = history.next_number();
        let lessons = self.lessons(history);
        let choices = |axis: &Axis| match axis {
            Axis::Choice(count) => *count as usize,
            Axis::Line(_) => 0,
        };
        let mut sample = Sample {
            rows: lessons.iter().map(|(at, _)| self.record.place(*at).to_vec()).collect(),
            values: bend(lessons.iter().map(|(_, value)| *value)),
            choices: self.frame.axes().iter().map(choices).collect(),
        };
        let mut generator = stream(self.seed, number, Purpose::Model, MODEL);
        let mut model = self.fit(&sample, &mut generator);
        let pending: Vec<usize> =
            (0..history.len()).filter(|at| history[*at].state == PastState::Pending).collect();
        if !pending.is_empty() {
            for at in pending.into_iter().rev().take(ROWS_MAX) {
                let row = self.record.place(at).to_vec();
                sample.values.push(model.predict(&row).0);
                sample.rows.push(row);
            }
            model = self.fit(&sample, &mut generator);
        }
        let best = sample.values.iter().copied().fold(f64::INFINITY, f64::min);
        let leaders: Vec<&[f64]> =
            self.record.ranked().iter().take(10).map(|(_, at)| self.record.place(*at)).collect();
        let mut walk = Walk {
            frame: &self.frame,
            model: &model,
            best,
            generator: stream(self.seed, number, Purpose::Model, WALK),
        };
        for row in walk.find(self.acquisition, &leaders) {
            let point = self.space.decode(&row);
            if self.space.allows(&point)? && !self.record.knows(|| self.space.key(&point)) {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }
}

impl Strategy for Smbo {
    fn ask(&mut self, history: &History) -> Result<Proposal> {
        let number = history.next_number();
        self.record.follow(&self.space, history);
        if let Some(point) = usize::try_from(number).ok().and_then(|at| self.first.get(at)) {
            return Ok(Some(point.clone()).into());
        }
        let learned = number >= self.startup && !self.record.ranked().is_empty();
        if learned
            && unit(&mut stream(self.seed, number, Purpose::Model, DRAW)) >= self.random
            && let Some(point) = self.propose(history)?
        {
            return Ok(Some(point).into());
        }
        Ok(self.start.propose(history, |_| None)?.into())
    }
}

/// Returns the logarithm of how far each value is from the best, in units of the median's distance: differences among
/// the good count, those among the bad hardly.
fn bend(values: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.clone().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let best = sorted.first().copied().unwrap_or(0.0) / 2.0;
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0) / 2.0 - best;
    let middle = if middle > 0.0 { middle } else { f64::MIN_POSITIVE };
    values.map(|value| ((value / 2.0 - best) / middle).min(1e9) + 0.05).map(f64::ln).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bending_keeps_the_order_and_survives_extremes() {
        let bent = bend([3.0, 1.0, 2.0, f64::MAX, -f64::MAX].into_iter());
        assert!(bent.iter().all(|value| value.is_finite()), "{bent:?}");
        assert!(bent[4] < bent[1] && bent[1] <= bent[2] && bent[2] <= bent[0]);
        assert!(bend([1.0, 1.0].into_iter()).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn settings_are_checked_under_both_names() {
        let space = Space::parse(&json!({"x": {"type": "real", "low": 0, "high": 1}})).unwrap();
        let made = |settings: Value| {
            let settings = settings.as_object().cloned().unwrap();
            smbo(&Setup { settings, ..Setup::new(space.clone(), 0) }).is_ok()
        };
        for surrogate in ["RF", "et", "GBRT"] {
            for acquisition in ["EI", "logei", "LCB", "pi", "gp_hedge"] {
                assert!(made(json!({"base_estimator": surrogate, "acq_function": acquisition})));
            }
        }
        assert!(made(json!({"n_initial_points": 5, "random": 0})));
        assert!(!made(json!({"surrogate": "tree"})));
        assert!(!made(json!({"acquisition": "best"})));
        assert!(!made(json!({"random": 2})));
        assert!(!made(json!({"startup": 0})));
    }
}
