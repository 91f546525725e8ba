//! `mle study list`, `show` and `replay`.

use std::path::Path;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::analysis;
use crate::cli::named;
use crate::cli::output::{Output, note, sanitize};
use crate::display::{self, json_number, number};
use crate::error::{Error, Result};
use crate::id::{ExperimentId, StudyId};
use crate::search::strategy::RACING;
use crate::store::ReadTx;
use crate::study::{self, Difference, Replay, Stop, Summary};

/// List the studies of the file
#[derive(Debug, Clone, Args)]
pub struct List {}

/// Show how a study stands
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// Id, name or uid of the study's experiment
    study: String,
}

/// Derive each proposal again from what was known at its ask, and each stop from what was known then
///
/// Says `identical`, or shows the first difference and ends with code 1.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Id, name or uid of the study's experiment
    study: String,
    /// Make the strategy anew for each proposal, as after a crash; takes time in the square of the trials
    #[arg(long)]
    cold: bool,
}

pub(super) fn list(output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let studies = store.read(study::list)?;
    if output.json {
        return output.json_array(&studies.iter().map(json_of).collect::<Vec<_>>());
    }
    let rows: Vec<Vec<String>> = studies
        .iter()
        .map(|it| {
            vec![
                it.id.to_string(),
                it.experiment.to_string(),
                it.name.clone(),
                it.state.clone(),
                it.strategy.clone(),
                trials_text(it),
                it.pending.to_string(),
            ]
        })
        .collect();
    let names = ["study", "experiment", "name", "state", "strategy", "trials", "at work"];
    output.table(&names, &rows, "no studies")
}

/// Says how far the searches are that go on, or that of one experiment, the newest first.
pub(in crate::cli) fn stand_of_searches(
    tx: &ReadTx<'_>,
    of: Option<ExperimentId>,
    limit: u32,
) -> Result<Vec<String>> {
    let found: Vec<Summary> = match of {
        Some(of) => {
            let study = study::of_experiment(tx, of)?;
            study.map(|study| study::summary(tx, study)).transpose()?.into_iter().collect()
        }
        None => study::list(tx)?.into_iter().rev().filter(|it| it.state != "closed").collect(),
    };
    let line = |it: &Summary| {
        format!(
            "search {} ({}): {} trials, {} complete, {} at work · {}",
            it.experiment,
            sanitize(&it.name),
            trials_text(it),
            it.complete,
            it.pending,
            it.state
        )
    };
    Ok(found.iter().take(limit as usize).map(line).collect())
}

fn trials_text(it: &Summary) -> String {
    match it.trial_max {
        Some(max) => match it.trials - it.asked {
            0 => format!("{} of {max}", it.asked),
            n => format!("{} of {max} proposed, {n} added", it.asked),
        },
        None => it.trials.to_string(),
    }
}

fn json_of(it: &Summary) -> Value {
    json!({
        "id": it.id, "uid": it.uid, "experiment": it.experiment, "name": it.name, "state": it.state,
        "strategy": it.strategy, "seed": it.seed, "trial_max": it.trial_max, "trials": it.trials,
        "asked": it.asked, "complete": it.complete, "pending": it.pending,
    })
}

pub(super) fn show(args: &Show, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let (summary, objectives, setup, trials, orphans) = store.read(|tx| {
        let study = named::find_study(tx, &args.study)?;
        let summary = study::summary(tx, study)?;
        let objectives = study::objectives(tx, summary.experiment)?;
        let (setup, trials) = (study::setup(tx, study)?, study::trials(tx, study)?);
        Ok((summary, objectives, setup, trials, study::orphans(tx, Some(study))?))
    })?;
    let space = &setup.space;
    let all: Vec<&analysis::Trial> = trials.iter().collect();
    let best = analysis::ranking(&all, &objectives).first().copied();
    let is_inside =
        |trial: &analysis::Trial| study::is_inside(&summary.strategy, space, &trial.params);
    let outside = trials.iter().filter(|trial| !is_inside(trial)).count();
    let count = |word: &str| trials.iter().filter(|trial| trial.word == word).count();
    if output.json {
        let mut value = json_of(&summary);
        let goals: Vec<Value> = objectives
            .iter()
            .map(|(metric, goal)| json!({"metric": metric, "goal": goal.as_str()}))
            .collect();
        value["objectives"] = goals.into();
        value["space"] = space.to_json();
        value["constraints"] = json!(space.constraints());
        value["settings"] = json!(setup.settings);
        value["epochs"] = json!(setup.epoch_max);
        value["epoch_budget"] = json!(setup.epoch_budget);
        value["stop"] = json!(setup.stop);
        value["failed"] = count("failed").into();
        value["pruned"] = count("pruned").into();
        value["outside"] = outside.into();
        value["orphaned"] = json!(orphans.iter().map(|it| it.number).collect::<Vec<_>>());
        value["best"] = best.map_or(Value::Null, |trial| json_of_best(trial, is_inside(trial)));
        return output.json(&value);
    }
    let title = format!("study {} {}", summary.id, sanitize(&summary.name));
    output.line(&format!("{} ({})", output.bold(&title), output.state(&summary.state)))?;
    let line = |name: &str, text: &str| {
        output.line(&format!("{} {}", output.dim(&format!("{name:>10}")), sanitize(text)))
    };
    line("strategy", &format!("{}, seed {}", summary.strategy, summary.seed))?;
    if !setup.settings.is_empty() {
        line("settings", &display::params(&setup.settings))?;
    }
    // What a race counts are seeds.
    let epochs = setup.epoch_max.filter(|_| setup.strategy != RACING);
    match (epochs, setup.epoch_budget) {
        (Some(max), Some(budget)) => {
            line("epochs", &format!("{max} a trial, {budget} of all together"))?
        }
        (Some(max), None) => line("epochs", &format!("{max} a trial"))?,
        (None, Some(budget)) => line("epochs", &format!("{budget} of all together"))?,
        (None, None) => {}
    }
    if let Some(stop) = &setup.stop {
        line("stop", &display::params(stop))?;
    }
    for (metric, goal) in &objectives {
        line("objective", &format!("{metric} ({goal})"))?;
    }
    let states = ["complete", "running", "waiting", "failed", "pruned"];
    let parts: Vec<String> = states
        .iter()
        .filter(|word| count(word) > 0)
        .map(|word| format!("{} {word}", count(word)))
        .collect();
    line("trials", &format!("{}: {}", trials_text(&summary), parts.join(", ")))?;
    if outside > 0 {
        line("", &format!("{outside} outside the space, which the model does not see"))?;
    }
    orphan_lines(&orphans).iter().try_for_each(|text| line("", text))?;
    if let Some(trial) = best {
        let values: Vec<String> =
            trial.standing().unwrap_or_default().iter().map(|value| number(*value)).collect();
        let text = format!(
            "trial {}: {} at {}{}",
            trial.number,
            values.join(", "),
            display::params_short(&trial.params),
            where_it_is(is_inside(trial))
        );
        line(if objectives.len() > 1 { "on front" } else { "best" }, &text)?;
    }
    for row in space.describe() {
        line("parameter", &format!("{} {} {}", row.name, row.kind, row.range))?;
    }
    space.constraints().iter().try_for_each(|text| line("constraint", text))
}

/// Says so where a trial is outside the space as it is now.
pub(super) fn where_it_is(is_inside: bool) -> &'static str {
    if is_inside { "" } else { " (outside the space as it is now)" }
}

/// Says whether a trial was taken over from another study of the file, by what is kept beside it.
pub(super) fn is_from_study(extra: &Value) -> bool {
    extra["study"].is_string() && extra["source"].is_null()
}

/// Says where a trial comes from that the strategy did not propose: `spec`, `hand`, `optuna 3 of digits`, or of another
/// study of the file, `3 of lr`.
pub(super) fn origin(trial: &analysis::Trial, studies: &[Summary]) -> Option<String> {
    if trial.asked {
        return None;
    }
    let extra = &trial.extra;
    let source = extra["source"].as_str();
    let Some(study) = extra["study"].as_str() else {
        return Some(source.unwrap_or("added").to_owned());
    };
    let known = studies.iter().find(|it| is_from_study(extra) && it.uid == study);
    let name = known.map_or(study, |it| it.name.as_str());
    let number = extra["number"].as_u64().map_or_else(String::new, |number| format!("{number} "));
    let source = source.map_or_else(String::new, |source| format!("{source} "));
    Some(format!("{source}{number}of {name}"))
}

/// Returns a best trial as JSON.
pub(super) fn json_of_best(trial: &analysis::Trial, is_inside: bool) -> Value {
    let mut value = json_of_trial(trial);
    value["inside"] = is_inside.into();
    value
}

/// Says which trials at work, of one study or of all, are of processes that are gone.
pub(in crate::cli) fn orphans_of(tx: &ReadTx<'_>, study: Option<StudyId>) -> Result<Vec<String>> {
    Ok(orphan_lines(&study::orphans(tx, study)?))
}

/// One line for each process and study.
fn orphan_lines(orphans: &[study::Orphan]) -> Vec<String> {
    let groups = orphans.chunk_by(|a, b| a.study == b.study && a.process() == b.process());
    let line = |group: &[study::Orphan]| {
        let (one, numbers) = (&group[0], group.iter().map(|it| it.number.to_string()));
        format!(
            "process {} is gone that tried trial {} of {}; `optimize` hands out again what it left",
            one.process().pid,
            numbers.collect::<Vec<_>>().join(", "),
            sanitize(&one.name),
        )
    };
    groups.map(line).collect()
}

/// Returns a trial as JSON.
pub(super) fn json_of_trial(trial: &analysis::Trial) -> Value {
    let values = trial
        .standing()
        .map(|values| values.iter().map(|value| json_number(*value)).collect::<Vec<_>>());
    let mut value = json!({
        "number": trial.number, "state": trial.word, "params": trial.params, "values": values,
        "source": if trial.asked { "asked" } else { "added" },
    });
    if !trial.curve.is_empty() {
        value["curve"] = trial.curve.iter().map(|value| json_number(*value)).collect();
    }
    value
}

pub(super) fn replay(args: &ReplayArgs, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let replay =
        store.read(|tx| study::replay(tx, named::find_study(tx, &args.study)?, args.cold))?;
    let difference = replay.difference.as_ref();
    if output.json {
        output.json(&json!({
            "identical": difference.is_none() && replay.stop.is_none(), "proposals": replay.identical,
            "added": replay.added, "difference": difference.map(json_of_difference),
            "stops": replay.stops, "stops_left": replay.stops_left, "stop": replay.stop.as_ref().map(json_of_stop),
        }))?;
    } else if let Some(difference) = difference {
        print_difference(difference, replay.identical, output)?;
    } else if let Some(stop) = &replay.stop {
        print_stop(stop, &replay, output)?;
    } else {
        let added = match replay.added {
            0 => String::new(),
            1 => " (1 trial was added, not proposed)".into(),
            n => format!(" ({n} trials were added, not proposed)"),
        };
        let stops = match replay.stops {
            0 => String::new(),
            n => format!(", {n} stops"),
        };
        output.line(&format!("identical: {} proposals{added}{stops}", replay.identical))?;
        if replay.stops_left > 0 {
            note(&format!(
                "stops that rest on what is not kept, what others at work or a lost run had said by then: {}",
                replay.stops_left
            ));
        }
    }
    match (difference, &replay.stop) {
        (Some(difference), _) => {
            Err(Error::Failed(format!("trial {} cannot be derived again", difference.number)))
        }
        (None, Some(stop)) => {
            Err(Error::Failed(format!("that trial {} was stopped does not follow", stop.number)))
        }
        (None, None) => Ok(()),
    }
}

fn json_of_stop(it: &Stop) -> Value {
    json!({"number": it.number, "epoch": it.epoch, "seen": it.seen, "stored": it.stored, "derived": it.derived})
}

fn print_stop(it: &Stop, replay: &Replay, output: &Output) -> Result<()> {
    let (proposals, number, epoch) = (replay.identical, it.number, it.epoch);
    output.line(&format!(
        "{proposals} proposals are identical; that trial {number} was stopped after epoch {epoch} does not follow:"
    ))?;
    output.line(&format!("   stored {}", sanitize(&it.stored)))?;
    output.line(&format!("  derived {}", sanitize(it.derived.as_deref().unwrap_or("it goes on"))))
}

fn json_of_difference(it: &Difference) -> Value {
    json!({
        "number": it.number, "seen": it.seen,
        "stored": {"params": it.stored.0, "epochs": it.stored.1},
        "derived": it.derived.as_ref().map(|derived| json!({"params": derived.params, "epochs": derived.epochs})),
    })
}

fn print_difference(it: &Difference, identical: u64, output: &Output) -> Result<()> {
    output.line(&format!("{identical} proposals are identical; trial {} is not:", it.number))?;
    let text = |params: &Map<String, Value>, epochs: Option<u64>| {
        let epochs = epochs.map_or_else(String::new, |epochs| format!(" to epoch {epochs}"));
        format!("{}{epochs}", sanitize(&display::params(params)))
    };
    output.line(&format!("   stored {}", text(&it.stored.0, it.stored.1)))?;
    let derived = match &it.derived {
        Some(derived) => text(&derived.params, derived.epochs),
        None => "nothing".into(),
    };
    output.line(&format!("  derived {derived}"))
}
