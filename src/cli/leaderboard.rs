//! `mle leaderboard`: the best configs of an experiment, and those that failed.

use std::path::Path;

use serde_json::{Value, json};

use super::output::{self, Output};
use super::report::find_or_latest;
use crate::display::{count, json_number, leaves, number, param, params_short, shorten};
use crate::error::Result;
use crate::protocol::{self, Kind};
use crate::report::{self, Failed, Place};
use crate::study;

/// Show the best configs of an experiment
///
/// Configs are ordered by the mean of the first objective over their seeds; those of which not all seeds have ended (1 of 3)
/// come after the others. The interval is a 95 % bootstrap interval of that mean: one seed has none (—), and of two to five
/// it is nearly that from the least to the largest. Seeds that failed are told as 2/3, and configs of which all did come last. Of a single command, those of the same name
/// and metric are compared: each different command line is a config.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:
  mle leaderboard my-search --top 5")]
pub struct Args {
    /// Id, name or uid of the experiment; the newest one when left out
    pub experiment: Option<String>,
    /// How many configs to show
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
}

/// The most parameters that have a column each.
const PARAM_MAX: usize = 12;

/// Letters of why a config failed that there must be room for.
const WHY_MIN: usize = 16;

/// Runs the verb.
///
/// # Errors
/// [`crate::Error::NotFound`]; those of the store.
pub fn run(args: &Args, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let (metric, others, summary, is_study, (pruned, given), (places, failed)) =
        store.read(|tx| {
            let id = find_or_latest(tx, args.experiment.as_deref())?;
            let summary = protocol::show(tx, id)?.summary;
            let mut objectives = protocol::objectives(tx, id)?.into_iter();
            let objective = objectives.next();
            let top = i64::from(args.top);
            let board = match &objective {
                Some(objective) if summary.kind == Kind::Command => {
                    let (mut places, mut failed) = report::commands(tx, &summary.name, objective)?;
                    places.truncate(args.top as usize);
                    failed.truncate(args.top as usize);
                    (places, failed)
                }
                _ => (report::leaderboard(tx, id, top)?, report::failed_configs(tx, id, top)?),
            };
            let others: Vec<String> = objectives.map(|it| it.metric).collect();
            let study = study::of_experiment(tx, id)?;
            let given = study.map_or(Ok(0), |study| study::count_given(tx, study))?;
            let without = (report::count_pruned(tx, id)?, given);
            Ok((objective.map(|it| it.metric), others, summary, study.is_some(), without, board))
        })?;
    let kind = summary.kind;
    if output.json {
        let rows: Vec<_> =
            places.iter().map(json_of).chain(failed.iter().map(json_of_failed)).collect();
        return output.json_array(&rows);
    }
    let none = match (kind, &metric) {
        (Kind::Command, None) => {
            "the command has no metric: `mle run --metric NAME -- COMMAND` gives it a value"
        }
        (Kind::Log, _) if is_study => "its trials have no runs: `mle study top` ranks them",
        _ => "no config has a value yet",
    };
    print(&places, &failed, metric.as_deref().unwrap_or("value"), none, output)?;
    if pruned > 0 {
        let has =
            if pruned == 1 { "was pruned early: it has" } else { "were pruned early: they have" };
        output::note(&format!("{} {has} no place here", count(pruned, "run")));
    }
    if given > 0 && kind == Kind::Search {
        let (has, own) = (if given == 1 { "has" } else { "have" }, super::own_name());
        let (id, db) = (summary.id, super::quote(&db.display().to_string()));
        let given = count(given, "trial");
        let text = format!(
            "{given} that came with a value {has} no run: `{own} study top {id} --db {db}` ranks all"
        );
        output::note(&output::sanitize(&text));
    }
    if let (Some(metric), false, Kind::Search) = (&metric, others.is_empty(), kind) {
        let text = format!(
            "by {metric} alone; `{} study pareto {} --db {}` has the trials that no other beats in {}",
            super::own_name(),
            summary.id,
            super::quote(&db.display().to_string()),
            match others.as_slice() {
                [other] => format!("{metric} and {other}"),
                _ => format!("all {} objectives", others.len() + 1),
            }
        );
        output::note(&output::sanitize(&text));
    }
    Ok(())
}

/// Prints a leaderboard, with a column for each parameter where they fit.
///
/// # Errors
/// [`crate::Error::Io`].
pub(super) fn print(
    places: &[Place],
    failed: &[Failed],
    metric: &str,
    none: &str,
    output: &Output,
) -> Result<()> {
    let all = || places.iter().map(|it| &it.params).chain(failed.iter().map(|it| &it.params));
    let mut params: Vec<String> = Vec::new();
    for (name, _) in all().flat_map(leaves) {
        if !params.contains(&name) {
            params.push(name);
        }
    }
    let mut names = vec!["place", "name", metric, "95 %", "seeds", "epochs"];
    let mut rows: Vec<Vec<String>> =
        places.iter().map(row).chain(failed.iter().map(failed_row)).collect();
    // The last first, so that those before stay where they are.
    for (at, is_there) in [
        (5, places.iter().any(|place| place.epochs.is_some())),
        (3, places.iter().any(|place| place.interval.is_some())),
    ] {
        if !is_there {
            names.remove(at);
            rows.iter_mut().for_each(|row| drop(row.remove(at)));
        }
    }
    let why = |rows: &mut Vec<Vec<String>>| {
        let errors = failed.iter().map(|failed| shorten(&failed.error, 200).into_owned());
        let texts = places.iter().map(|_| String::new()).chain(errors);
        rows.iter_mut().zip(texts).for_each(|(row, text)| row.push(text));
    };
    let mut wide = rows.clone();
    for (row, of) in wide.iter_mut().zip(all()) {
        let values = leaves(of);
        let cell =
            |name: &String| values.iter().find(|(of, _)| of == name).map(|(_, value)| param(value));
        row.extend(params.iter().map(|name| cell(name).unwrap_or_default()));
    }
    let mut wide_names = names.clone();
    wide_names.extend(params.iter().map(String::as_str));
    // Why configs failed is a text that may be cut; the parameters are what is compared.
    let mut with_why = wide.clone();
    let mut names_with_why = wide_names.clone();
    if !failed.is_empty() {
        names_with_why.push("why");
        with_why.iter_mut().for_each(|row| row.push("x".repeat(WHY_MIN)));
    }
    let is_wide = params.len() <= PARAM_MAX && output::fits(&names_with_why, &with_why);
    if is_wide {
        (names, rows) = (wide_names, wide);
    } else {
        names.push("params");
        for (row, of) in rows.iter_mut().zip(all()) {
            row.push(shorten(&params_short(of), 500).into_owned());
        }
    }
    // Where it is narrow, why configs failed stands below, and the parameters have its room.
    if is_wide && !failed.is_empty() {
        names.push("why");
        why(&mut rows);
    }
    output.table(&names, &rows, none)?;
    for failed in failed.iter().filter(|_| !is_wide) {
        let what = if failed.said.is_none() { " failed" } else { "" };
        let text = format!("{}{what}: {}", failed.name, shorten(&failed.error, 200));
        output.line(&output::sanitize(&text))?;
    }
    Ok(())
}

fn row(place: &Place) -> Vec<String> {
    vec![
        place.place.to_string(),
        place.name.clone(),
        number(place.mean),
        place.interval_text(),
        place.seeds_text(),
        place.epochs.map_or_else(String::new, |epochs| epochs.to_string()),
    ]
}

fn failed_row(failed: &Failed) -> Vec<String> {
    let seeds = format!("0/{}", failed.failed);
    vec!["–".into(), failed.name.clone(), failed.word(), String::new(), seeds, String::new()]
}

fn json_of(place: &Place) -> Value {
    let maybe = |value: Option<f64>| value.map_or(Value::Null, json_number);
    json!({
        "place": place.place, "config_id": place.config, "name": place.name, "mean": json_number(place.mean),
        "low95": maybe(place.interval.map(|it| it.0)), "high95": maybe(place.interval.map(|it| it.1)),
        "std": maybe(place.std), "iqm": maybe(place.iqm), "median": maybe(place.median),
        "seeds": place.seeds, "failed": place.failed, "complete": place.incomplete.is_none(), "epochs": place.epochs,
        "params": place.params, "error": null,
    })
}

fn json_of_failed(failed: &Failed) -> Value {
    json!({
        "place": null, "config_id": failed.config, "name": failed.name, "mean": null, "low95": null, "high95": null,
        "std": null, "iqm": null, "median": null, "seeds": 0, "failed": failed.failed, "complete": true, "epochs": null, "params": failed.params,
        "error": failed.error, "value": failed.said.map_or(Value::Null, json_number),
    })
}
