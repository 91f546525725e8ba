//! Studies without jobs: whoever made them asks and tells.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::{StudyId, new_uid};
use crate::protocol::{self, Goal, Kind, NewExperiment, Objective, Provenance, State};
use crate::search::space::Space;
use crate::search::strategy::{Setup, strategy};
use crate::sql::named;
use crate::store::{WriteTx, named_params};

use super::TEXT;

const ADD_STUDY: &str = named(TEXT, "add_study");

/// A study that is not in the file yet.
#[derive(Clone, Debug)]
pub struct NewStudy {
    /// Its name, and its experiment's.
    pub name: String,
    /// Why it is done.
    pub purpose: String,
    /// What can be proposed, with its constraints.
    pub space: Space,
    /// The strategy's name.
    pub strategy: String,
    /// The strategy's settings.
    pub settings: Map<String, Value>,
    /// What trials are valued by: at least one.
    pub objectives: Vec<(String, Goal)>,
    /// How many trials are asked for; unset: until the space is exhausted.
    pub trials: Option<u64>,
    /// How many are at work at once, as far as the strategy should know.
    pub workers: u64,
    /// The seed of the strategy's random stream.
    pub seed: u64,
    /// The most epochs a trial can train, where it has epochs.
    pub epochs: Option<u64>,
    /// The epochs all trials may train together.
    pub epoch_budget: Option<u64>,
}

/// Adds a study that is asked and told by hand.
///
/// # Errors
/// [`Error::Invalid`] for an unknown strategy, settings it does not have, a space it cannot search, or two objectives of
/// one name; [`Error::Sqlite`].
pub fn new(
    tx: &WriteTx<'_>,
    new: &NewStudy,
    provenance: &Provenance,
    who: &str,
) -> Result<StudyId> {
    check(new)?;
    let mut experiment = NewExperiment::new(&new.name, Kind::Log);
    experiment.purpose.clone_from(&new.purpose);
    experiment.objectives =
        new.objectives.iter().map(|(metric, goal)| Objective::new(metric, *goal)).collect();
    let id = protocol::add(tx, &experiment, provenance)?;
    protocol::set_state(tx, id, State::Running, None, who)?;
    let whole = |n: Option<u64>| n.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let targets: Map<String, Value> = new
        .space
        .params()
        .iter()
        .map(|param| (param.name.clone(), param.name.as_str().into()))
        .collect();
    let study = tx.insert(
        ADD_STUDY,
        named_params! {
            ":uid": new_uid(), ":experiment": id, ":strategy": new.strategy,
            ":settings": Value::Object(new.settings.clone()).to_string(),
            ":space": new.space.to_json().to_string(),
            ":constraints": Value::from(new.space.constraints()).to_string(),
            ":targets": Value::Object(targets).to_string(), ":base": "{}", ":seeds": "[0]",
            ":seed": new.seed.cast_signed(), ":trial_max": whole(new.trials),
            ":trial_ahead": whole(Some(new.workers.max(1))), ":epoch_max": whole(new.epochs),
            ":epoch_budget": whole(new.epoch_budget), ":stop": None::<String>, ":now_ms": tx.now_ms, ":who": who,
        },
    )?;
    Ok(StudyId(study))
}

fn check(new: &NewStudy) -> Result<()> {
    let setup = Setup {
        settings: new.settings.clone(),
        trials: new.trials,
        objectives: new.objectives.len(),
        workers: usize::try_from(new.workers.max(1)).unwrap_or(1),
        epochs: new.epochs,
        epoch_budget: new.epoch_budget,
        ..Setup::new(new.space.clone(), new.seed)
    };
    strategy(&new.strategy, &setup)?;
    for (at, (metric, _)) in new.objectives.iter().enumerate() {
        if new.objectives[..at].iter().any(|(earlier, _)| earlier == metric) {
            return Err(Error::invalid("objective", format!("\"{metric}\" is given twice")));
        }
    }
    match new.objectives.is_empty() {
        true => Err(Error::invalid("objective", "a study needs one, such as loss:min")),
        false => Ok(()),
    }
}
