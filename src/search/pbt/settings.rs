//! The settings of population-based training, ours and mle-hyperopt's.

use serde_json::{Map, Value};

use crate::search::strategy::{Setup, allow_settings, whole_setting};
use crate::{Error, Result};

/// The settings of `pbt` and `pb2`.
pub(crate) const SETTINGS: &[&str] =
    &["population", "interval", "exploit", "selection", "explore", "factors", "scale", "resample"];

/// Who copies whom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Exploit {
    /// One of the worst copies one of the best; this share of all is worst, and best.
    Truncation { selection: f64 },
    /// Whoever is worse than a drawn other copies that one.
    Tournament,
}

/// How parameters of a copy change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Explore {
    /// Numbers are multiplied by one of these.
    Perturb(Vec<f64>),
    /// A normal number with this deviation is added to the place of each number.
    Noise(f64),
    /// All parameters are drawn anew.
    Resample,
    /// A model of what was gained in each turn says.
    Model,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub population: u64,
    pub interval: u64,
    pub exploit: Exploit,
    pub explore: Explore,
    pub resample: f64,
}

/// Members of a population at most: what each is to do next is kept in memory.
const POPULATION_MAX: u64 = 100_000;

impl Settings {
    pub(super) fn read(name: &str, setup: &Setup, epochs: u64) -> Result<Settings> {
        let mut given = setup.settings.clone();
        translate(&mut given);
        allow_settings(name, &given, &[SETTINGS, &["max_epoch"]].concat())?;
        let population = whole_setting(name, &given, "population", 2)?;
        if let Some(n) = population.filter(|n| *n > POPULATION_MAX) {
            return Err(refuse(name, format!("population {n} is more than {POPULATION_MAX}")));
        }
        let interval = whole_setting(name, &given, "interval", 1)?.unwrap_or(epochs.div_ceil(10));
        if interval > epochs {
            let why =
                format!("interval {interval} is more than {epochs}, the epochs of a full training");
            return Err(refuse(name, why));
        }
        let share = |key: &str, usual: f64| share(name, &given, key, usual);
        let text = |key: &str, usual: &'static str| match given.get(key) {
            None | Some(Value::Null) => Ok(usual.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(refuse(name, format!("{key} {other} is no text"))),
        };
        let exploit = match text("exploit", "truncation")?.as_str() {
            "truncation" => Exploit::Truncation { selection: share("selection", 0.2)? },
            "tournament" | "binary_tournament" => Exploit::Tournament,
            other => {
                return Err(refuse(name, format!("exploit \"{other}\" is not known"))
                    .with_hint("it is truncation or tournament"));
            }
        };
        let usual = if name == "pb2" { "model" } else { "perturb" };
        let explore = match text("explore", usual)?.as_str() {
            "perturb" | "perturbation" => Explore::Perturb(factors(name, &given)?),
            "noise" | "additive-noise" => Explore::Noise(share("scale", 0.1)?),
            "resample" | "resampling" => Explore::Resample,
            "model" => Explore::Model,
            other => {
                return Err(refuse(name, format!("explore \"{other}\" is not known"))
                    .with_hint("it is perturb, noise, resample or model"));
            }
        };
        Ok(Settings {
            population: population.unwrap_or_else(|| 10.max(setup.workers as u64)),
            interval,
            exploit,
            explore,
            resample: share("resample", 0.25)?,
        })
    }
}

fn refuse(name: &str, why: String) -> Error {
    Error::invalid(format!("strategy {name}"), why)
}

/// Returns a number from 0 to 1.
fn share(name: &str, given: &Map<String, Value>, key: &str, usual: f64) -> Result<f64> {
    match given.get(key) {
        None | Some(Value::Null) => Ok(usual),
        Some(value) => value
            .as_f64()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| refuse(name, format!("{key} {value} is not from 0 to 1"))),
    }
}

fn factors(name: &str, given: &Map<String, Value>) -> Result<Vec<f64>> {
    let factors = match given.get("factors") {
        None | Some(Value::Null) => return Ok(vec![0.8, 1.2]),
        Some(Value::Array(list)) => list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>(),
        Some(_) => None,
    };
    factors
        .filter(|factors| !factors.is_empty())
        .ok_or_else(|| refuse(name, "factors are no list of numbers".into()))
}

/// Puts mle-hyperopt's settings in the form of ours.
fn translate(given: &mut Map<String, Value>) {
    for (theirs, ours) in [("num_workers", "population"), ("steps_until_ready", "interval")] {
        if let Some(value) = given.shift_remove(theirs) {
            given.insert(ours.into(), value);
        }
    }
    for key in ["exploit", "explore"] {
        let Some(Value::Object(parts)) = given.get(key).cloned() else { continue };
        for (theirs, value) in parts {
            let ours = match theirs.as_str() {
                "strategy" => key,
                "selection_percent" => "selection",
                "perturb_coeffs" => "factors",
                "noise_scale" => "scale",
                other => other,
            };
            given.insert(ours.to_owned(), value);
        }
    }
}
