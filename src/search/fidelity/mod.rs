//! Searching with epochs: many trials begin, the promising ones train on.
//!
//! Every strategy here needs to know the epochs of a full training: `Setup::epochs`, or its setting `max_epoch`. A trial
//! that stops is paused, not lost: it is resumed from its checkpoint. What a trial is worth at a number of epochs is the
//! best of its curve until then, and follows from the history alone, so all of this can be replayed.

use serde_json::{Map, Value};

use super::strategy::{EXTERNAL, RACING, Setup, WITH_EPOCHS, whole_setting};
use crate::{Error, Result};

pub mod asha;
pub mod brackets;
pub mod dehb;
pub mod freeze_thaw;
pub(crate) mod proposer;
pub mod rungs;
pub(crate) mod standing;

/// The most epochs of a full training: curves have a number for each.
const EPOCHS_MAX: u64 = 1_000_000;

/// Returns the epochs of a full training.
pub(crate) fn epochs_of(strategy: &str, setup: &Setup) -> Result<u64> {
    let own = whole_setting(strategy, &setup.settings, "max_epoch", 1)?;
    let found = own.or(setup.epochs.filter(|epochs| *epochs > 0));
    let what = if strategy == RACING { "seeds there are" } else { "epochs of a full training" };
    if let Some(epochs) = found.filter(|epochs| *epochs > EPOCHS_MAX) {
        let why = format!("max_epoch {epochs}, the {what}, is more than {EPOCHS_MAX}");
        return Err(Error::invalid(format!("strategy {strategy}"), why)
            .with_hint("count in larger steps, such as a thousand batches"));
    }
    found.ok_or_else(|| {
        let why = format!("needs max_epoch, the {what}");
        Error::invalid(format!("strategy {strategy}"), why).with_hint(
            "give the study its epochs, or set \"max_epoch\" among the strategy's settings",
        )
    })
}

/// Returns the setting `key`, the fewest epochs or seeds of a trial: 1 where it is not given, and `most` at most.
pub(crate) fn least_setting(
    strategy: &str,
    settings: &Map<String, Value>,
    key: &str,
    most: u64,
) -> Result<u64> {
    let least = whole_setting(strategy, settings, key, 1)?.unwrap_or(1);
    if least > most {
        let what = if strategy == RACING { "seeds there are" } else { "epochs of a full training" };
        let why = format!("{key} {least} is more than {most}, the {what}");
        return Err(Error::invalid(format!("strategy {strategy}"), why));
    }
    Ok(least)
}

/// Returns the strategy that new trials come from, which must not decide about epochs itself.
pub(crate) fn model_setting<'a>(
    strategy: &str,
    settings: &'a Map<String, Value>,
    default: &'a str,
) -> Result<&'a str> {
    let model = text_setting(strategy, settings, "model")?.unwrap_or(default);
    let why = match model.to_lowercase().as_str() {
        name if WITH_EPOCHS.contains(&name) => "decides how long trials train itself",
        EXTERNAL => "proposes nothing: another program does",
        _ => return Ok(model),
    };
    Err(Error::invalid(format!("strategy {strategy}"), format!("the model \"{model}\" {why}"))
        .with_hint("a model is a strategy such as auto, gp, tpe or random"))
}

/// Returns a setting that is a number above `above`.
pub(crate) fn number_setting(
    strategy: &str,
    settings: &Map<String, Value>,
    key: &str,
    above: f64,
) -> Result<Option<f64>> {
    let Some(value) = settings.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    match value.as_f64().filter(|number| *number > above) {
        Some(number) => Ok(Some(number)),
        None => {
            let why = format!("{key} {value} is not a number above {above}");
            Err(Error::invalid(format!("strategy {strategy}"), why))
        }
    }
}

/// Returns a setting that is a text.
pub(crate) fn text_setting<'a>(
    strategy: &str,
    settings: &'a Map<String, Value>,
    key: &str,
) -> Result<Option<&'a str>> {
    match settings.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            Err(Error::invalid(format!("strategy {strategy}"), format!("{key} {other} is no text")))
        }
    }
}

/// Returns a setting that is true or false.
fn flag_setting(strategy: &str, settings: &Map<String, Value>, key: &str) -> Result<Option<bool>> {
    match settings.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => {
            let why = format!("{key} {other} is neither true nor false");
            Err(Error::invalid(format!("strategy {strategy}"), why))
        }
    }
}
