//! What every search strategy is: a function of the space, its settings, the history and a seed.

use serde_json::{Map, Value};

use super::auto::Auto;
use super::cmaes::Cmaes;
use super::coordinate::Coordinate;
use super::evolution::differential::Differential;
use super::evolution::nsga2::Nsga2;
use super::evolution::one_plus_one::OnePlusOne;
use super::evolution::rules;
use super::evolution::swarm::Swarm;
use super::external::External;
use super::fidelity::asha::Asha;
use super::fidelity::brackets::Brackets;
use super::fidelity::dehb::Dehb;
use super::fidelity::freeze_thaw::FreezeThaw;
use super::gp::Gp;
use super::grid::Grid;
use super::halton::Halton;
use super::history::History;
use super::multi::ehvi::Ehvi;
use super::multi::motpe::Motpe;
use super::multi::parego::Parego;
use super::pbt::Pbt;
use super::racing::Racing;
use super::random::Random;
use super::smbo::smbo;
use super::sobol::Sobol;
use super::space::{Space, suggest};
use super::tpe::Tpe;
use crate::{Error, Result};

/// The strategies by name.
pub const KNOWN: &[&str] = &[
    "auto",
    "random",
    "grid",
    "sobol",
    "halton",
    "coordinate",
    "tpe",
    "smbo",
    "gp",
    "motpe",
    "parego",
    "ehvi",
    "cmaes",
    "de",
    "pso",
    "one_plus_one",
    "fast_ga",
    "nsga2",
    "evolution",
    "halving",
    "hyperband",
    "asha",
    "bohb",
    "dehb",
    "freeze_thaw",
    "pbt",
    "pb2",
    "racing",
];

/// Those among them that decide how many epochs a trial trains, and so need to know the most.
pub const WITH_EPOCHS: &[&str] =
    &["halving", "hyperband", "asha", "bohb", "dehb", "freeze_thaw", "pbt", "pb2", RACING];

/// Says whether a strategy, of a study with epochs or without, decides how many of them each trial trains.
pub fn decides_epochs(strategy: &str, has_epochs: bool) -> bool {
    strategy != RACING && WITH_EPOCHS.contains(&strategy) || strategy == "auto" && has_epochs
}

/// The one of them whose epochs are seeds: see [`super::racing`].
pub const RACING: &str = "racing";

/// Returns the settings of a strategy that decides about epochs, `max_epoch` aside; those of the others are none here.
pub fn epoch_settings(name: &str) -> &'static [&'static str] {
    match name {
        "halving" => super::fidelity::brackets::HALVING,
        "hyperband" => super::fidelity::brackets::HYPERBAND,
        "asha" | "bohb" => super::fidelity::asha::SETTINGS,
        "dehb" => super::fidelity::dehb::SETTINGS,
        "freeze_thaw" => super::fidelity::freeze_thaw::SETTINGS,
        "pbt" | "pb2" => super::pbt::SETTINGS,
        RACING => super::racing::SETTINGS,
        _ => &[],
    }
}

/// The strategy of a search whose points another program proposes; it is none that [`KNOWN`] offers.
pub const EXTERNAL: &str = "external";

/// The strategy of a search that names none.
pub const DEFAULT: &str = "auto";

/// A checkpoint: another trial after so many epochs. The epochs and the curve of a trial that starts from it count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The number of the other trial.
    pub number: u64,
    /// Its epochs.
    pub epochs: u64,
}

/// What a strategy answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Proposal {
    /// A new trial.
    New {
        /// Its active parameters.
        params: Map<String, Value>,
        /// The epochs to train, where the search has epochs.
        epochs: Option<u64>,
        /// The checkpoint it starts from, if it is that of another trial.
        from: Option<Origin>,
    },
    /// An earlier trial, not at work, goes on.
    Resume {
        /// Its number.
        number: u64,
        /// The epochs to reach, counted from its beginning.
        epochs: u64,
    },
    /// Nothing before a trial at work ends.
    Wait,
    /// Nothing is left to try.
    Exhausted,
}

impl From<Option<Map<String, Value>>> for Proposal {
    fn from(params: Option<Map<String, Value>>) -> Self {
        params.map_or(Proposal::Exhausted, |params| Proposal::New {
            params,
            epochs: None,
            from: None,
        })
    }
}

/// What a strategy is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What can be proposed.
    pub space: Space,
    /// The settings of the strategy.
    pub settings: Map<String, Value>,
    /// The seed of its random streams.
    pub seed: u64,
    /// How many trials will be asked for, where that is known.
    pub trials: Option<u64>,
    /// How many objectives each trial has, at least 1.
    pub objectives: usize,
    /// How many trials run at the same time, at least 1.
    pub workers: usize,
    /// The most epochs a trial can train, where the search has epochs.
    pub epochs: Option<u64>,
    /// The epochs that all trials may train together, where that is known.
    pub epoch_budget: Option<u64>,
}

impl Setup {
    /// Returns the setup of a search for one objective by one worker, without settings.
    pub fn new(space: Space, seed: u64) -> Setup {
        Setup {
            space,
            settings: Map::new(),
            seed,
            trials: None,
            objectives: 1,
            workers: 1,
            epochs: None,
            epoch_budget: None,
        }
    }
}

/// Proposes points.
///
/// A strategy may keep caches, but its answer depends on its setup and the history alone, not on what it was asked
/// before: a search that goes on after a crash goes on as it would have.
pub trait Strategy {
    /// Returns what to do for trial number [`History::next_number`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when the space or the settings do not allow a proposal.
    fn ask(&mut self, history: &History) -> Result<Proposal>;

    /// Returns what a training script may want to know of the trial that the last ask proposed, under the names that
    /// mle-hyperopt gave it: counters, and whom it copies.
    fn notes(&self) -> Map<String, Value> {
        Map::new()
    }
}

/// Returns the strategy of that name; capitals do not matter.
///
/// # Errors
/// [`Error::Invalid`] for an unknown name, an unknown or unfit setting, or a space the strategy cannot search.
pub fn strategy(name: &str, setup: &Setup) -> Result<Box<dyn Strategy + Send>> {
    let Setup { space, settings, seed, trials, .. } = setup.clone();
    if space.params().is_empty() && name.to_lowercase() != EXTERNAL {
        return Err(Error::invalid("space", "has no parameters"));
    }
    Ok(match name.to_lowercase().as_str() {
        "auto" => Box::new(Auto::new(setup)?),
        EXTERNAL => Box::new(External),
        "random" => Box::new(Random::new(space, &settings, seed)?),
        "grid" => Box::new(Grid::new(space, &settings)?),
        "sobol" => Box::new(Sobol::new(space, &settings, seed, trials)?),
        "halton" => Box::new(Halton::new(space, &settings, seed)?),
        "coordinate" => Box::new(Coordinate::new(space, &settings)?),
        "gp" => Box::new(Gp::new(setup)?),
        "ehvi" => Box::new(Ehvi::new(setup)?),
        "smbo" => smbo(setup)?,
        "motpe" => Box::new(Motpe::new(setup)?),
        "parego" => Box::new(Parego::new(setup)?),
        "tpe" => Box::new(Tpe::new(space, &settings, seed)?),
        "dehb" => Box::new(Dehb::new(setup)?),
        "freeze_thaw" => Box::new(FreezeThaw::new(setup)?),
        name @ ("pbt" | "pb2") => Box::new(Pbt::new(name, setup)?),
        RACING => Box::new(Racing::new(setup)?),
        "halving" => Box::new(Brackets::halving(setup)?),
        "hyperband" => Box::new(Brackets::hyperband(setup)?),
        name @ ("asha" | "bohb") => Box::new(Asha::new(name, setup)?),
        "cmaes" => Box::new(Cmaes::new(setup.clone())?),
        "de" => Box::new(Differential::new(setup.clone())?),
        "pso" => Box::new(Swarm::new(setup.clone())?),
        "one_plus_one" => Box::new(OnePlusOne::new(setup.clone())?),
        "fast_ga" => Box::new(OnePlusOne::fast(setup.clone())?),
        "nsga2" => Box::new(Nsga2::new(setup.clone())?),
        "evolution" => rules::evolution(setup.clone())?,
        other => {
            let error = Error::invalid("strategy", format!("\"{name}\" is not known"))
                .with_hint(format!("strategies are {}", KNOWN.join(", ")));
            return Err(suggest(error, other, KNOWN.iter().copied()));
        }
    })
}

/// Says that the constraints leave nothing of the points that were looked at.
pub(crate) fn all_broken(points: &str) -> Error {
    Error::invalid("constraints", format!("met by none of {points}"))
        .with_hint("loosen the constraints, or change the space to where they hold")
}

/// Refuses settings that a strategy does not have.
pub(crate) fn allow_settings(
    strategy: &str,
    settings: &Map<String, Value>,
    known: &[&str],
) -> Result<()> {
    let Some(stranger) = settings.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let error =
        Error::invalid(format!("strategy {strategy}"), format!("has no setting \"{stranger}\""));
    let error = match known {
        [] => error.with_hint("it has no settings"),
        _ => error.with_hint(format!("its settings are {}", known.join(", "))),
    };
    Err(suggest(error, stranger, known.iter().copied()))
}

/// Returns a setting that is a whole number of at least `least`.
pub(crate) fn whole_setting(
    strategy: &str,
    settings: &Map<String, Value>,
    key: &str,
    least: u64,
) -> Result<Option<u64>> {
    let Some(value) = settings.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    match value.as_u64().filter(|number| *number >= least) {
        Some(number) => Ok(Some(number)),
        None => {
            let why = format!("{key} {value} is not a whole number of at least {least}");
            Err(Error::invalid(format!("strategy {strategy}"), why))
        }
    }
}
