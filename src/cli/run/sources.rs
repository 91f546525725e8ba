//! What a search knows before its first trial: the studies that its spec starts from.

use std::path::Path;

use crate::cli::args;
use crate::cli::named;
use crate::display::count;
use crate::error::{Error, Result};
use crate::protocol::{self, Goal};
use crate::search::space::Space;
use crate::spec::Plan;
use crate::store::{Open, ReadTx, Store};
use crate::study;

use super::objective_of;

/// Files that a hint names at most.
const FILES_MAX: usize = 5;

/// Looks the studies up before anything is stored; returns a line for each that says what is known of it.
///
/// # Errors
/// [`Error::Invalid`] for one that is not in the file, or that has other objectives; what opening the file returns.
pub(super) fn check(plan: &Plan, db: &Path) -> Result<Vec<String>> {
    let Some(first) = plan.search.as_ref().and_then(|search| search.warm_start.first()) else {
        return Ok(Vec::new());
    };
    if !db.exists() {
        let why = format!("{} is not there, and so no study \"{first}\" in it", db.display());
        let here: Vec<String> = args::found()
            .unwrap_or_default()
            .iter()
            .take(FILES_MAX)
            .map(|path| path.strip_prefix(".").unwrap_or(path).display().to_string())
            .collect();
        let here = match here.is_empty() {
            true => String::new(),
            false => format!("; here are {}", here.join(", ")),
        };
        let hint = format!("--db FILE names the file that has it{here}");
        return Err(Error::invalid("search.warm_start", why).with_hint(hint));
    }
    Store::open(db, Open::ReadOnly)?.read(|tx| resolve(tx, plan, db)).map(|(_, lines)| lines)
}

/// Returns a plan in which the studies are named by what they are called for ever, and what is known of each.
///
/// # Errors
/// As of [`check`].
pub(super) fn resolve(tx: &ReadTx<'_>, plan: &Plan, db: &Path) -> Result<(Plan, Vec<String>)> {
    let (mut plan, mut lines) = (plan.clone(), Vec::new());
    let Some(search) = &mut plan.search else { return Ok((plan, lines)) };
    let aggregate = plan.aggregate;
    let mut ours: Vec<(String, Goal)> = (plan.objectives.iter())
        .map(|it| objective_of(it, aggregate))
        .map(|it| (it.metric, it.goal))
        .collect();
    if ours.is_empty() {
        ours.push((String::new(), Goal::Min));
    }
    let space = Space::parse(&search.space)?.with_constraints(search.constraints.clone())?;
    for from in &mut search.warm_start {
        let key = format!("search.warm_start: study \"{from}\"");
        let source = named::find_study(tx, from).map_err(|error| match error {
            Error::NotFound { .. } => Error::invalid(&key, format!("is not in {}", db.display()))
                .with_hint("`mle study list` shows those that are; --db FILE names another file"),
            other => other,
        })?;
        let experiment = study::experiment(tx, source)?;
        let theirs = study::objectives(tx, experiment)?;
        if !theirs.iter().map(|(_, goal)| goal).eq(ours.iter().map(|(_, goal)| goal)) {
            return Err(Error::invalid(key, "has objectives of another number or direction"));
        }
        let trials = study::trials(tx, source)?;
        let ended = trials.iter().filter(|trial| trial.ended_at_ms.is_some());
        let (fit, rest): (Vec<_>, Vec<_>) =
            ended.partition(|trial| space.check(&trial.params).is_ok());
        let mut line = format!(
            "it knows {} of {} of {from}",
            fit.len(),
            count((fit.len() + rest.len()) as u64, "trial")
        );
        if let Some(trial) = rest.first()
            && let Err(error) = space.check(&trial.params)
        {
            line.push_str(&format!("; {} do not fit: {error}", rest.len()));
        }
        let differs =
            |((a, _), (b, _)): &(&(String, Goal), &(String, Goal))| a != b && !b.is_empty();
        for ((theirs, _), (ours, _)) in theirs.iter().zip(&ours).filter(differs) {
            line.push_str(&format!("; their {theirs} is taken for {ours}"));
        }
        lines.push(line);
        *from = protocol::list::summary(tx, experiment)?.uid;
    }
    let mut seen = std::collections::HashSet::new();
    search.warm_start.retain(|uid| seen.insert(uid.clone()));
    lines.dedup();
    Ok((plan, lines))
}
