//! Trials at work that hold no promise are stopped: pruned.
//!
//! To prune is to cancel: the run is marked with why, its job is cancelled, and when that has ended the run is pruned, and
//! keeps its value and its checkpoint. What was said is read from the file alone, so whoever searches may be another
//! program than whoever runs the jobs.

use serde_json::{Value, json};

use crate::error::Result;
use crate::id::{ExperimentId, JobId, RunId, StudyId, TrialId};
use crate::protocol;
use crate::queue;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};
use crate::study::{self, Memory};

use super::after_cancel;
use super::curve::curve;
use super::search::{TEXT, legs_of_trial, numbers};

const RUNS_AT_WORK: &str = named(TEXT, "runs_at_work");
const TOLD_OF_TRIAL: &str = named(TEXT, "told_of_trial");
const PRUNE_TRIAL: &str = named(TEXT, "prune_trial");
const PRUNE_RUNS: &str = named(TEXT, "prune_runs");
const JOBS_OF_PRUNED_RUNS: &str = named(TEXT, "jobs_of_pruned_runs");
const STUDIES_THAT_STOP: &str = named(TEXT, "studies_that_stop");

/// A run of a trial at work, and how many points of the objective it has said.
struct AtWork {
    trial: TrialId,
    number: u64,
    run: RunId,
    points: i64,
}

/// Returns whether a trial at work has said something that it was not judged by.
pub(super) fn due(tx: &ReadTx<'_>, memory: &Memory) -> Result<bool> {
    let studies: Vec<(StudyId, ExperimentId)> =
        tx.all(STUDIES_THAT_STOP, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (study, experiment) in studies {
        let Some(objective) = protocol::objectives(tx, experiment)?.into_iter().next() else {
            continue;
        };
        let all = at_work(tx, study, &objective.metric)?;
        if all.iter().any(|one| memory.is_news(one.run, one.points)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Judges the trials of a study by what they have said since they were last judged; returns how many were condemned.
pub(super) fn judge(
    tx: &WriteTx<'_>,
    memory: &mut Memory,
    study: StudyId,
    experiment: ExperimentId,
    rule: &str,
    who: &str,
) -> Result<usize> {
    let Some(objective) = protocol::objectives(tx, experiment)?.into_iter().next() else {
        return Ok(0);
    };
    let all = at_work(tx, study, &objective.metric)?;
    let mut trials: Vec<(TrialId, u64)> = all
        .iter()
        .filter(|one| memory.is_news(one.run, one.points))
        .map(|one| (one.trial, one.number))
        .collect();
    trials.dedup();
    if trials.is_empty() {
        return Ok(0);
    }
    for one in &all {
        memory.note_judged(one.run, one.points);
    }
    let rule = study::read_stopper(rule)?;
    let mut condemned = 0;
    for (trial, number) in trials {
        let told: Option<String> =
            tx.one(TOLD_OF_TRIAL, named_params! { ":trial": trial }, |row| row.get(0))?;
        let told = numbers(told.as_deref());
        // A seed that is lost says no more.
        let legs = legs_of_trial(tx, trial)?;
        let legs = legs.into_iter().filter(|(_, state)| state != "failed" && state != "cancelled");
        let legs: Vec<_> = legs.map(|(leg, _)| leg).collect();
        let curve = curve(tx, &objective.metric, objective.aggregate, &told, &legs)?;
        let search = memory.search(tx, study)?;
        if let Some((epoch, why)) = search.judge(rule.as_ref(), number, &curve) {
            let why = json!({"why": why, "epoch": epoch, "seen": search.seen()});
            prune(tx, trial, &why, who)?;
            condemned += 1;
        }
    }
    Ok(condemned)
}

fn at_work(tx: &ReadTx<'_>, study: StudyId, metric: &str) -> Result<Vec<AtWork>> {
    tx.all(RUNS_AT_WORK, named_params! { ":study": study, ":metric": metric }, |row| {
        Ok(AtWork {
            trial: row.get(0)?,
            number: row.get::<_, i64>(1)?.unsigned_abs(),
            run: row.get(2)?,
            points: row.get(3)?,
        })
    })
}

/// Cancels what is left of a trial, marked as pruned.
fn prune(tx: &WriteTx<'_>, trial: TrialId, why: &Value, who: &str) -> Result<()> {
    tx.run(PRUNE_TRIAL, named_params! { ":trial": trial, ":why": why.to_string() })?;
    let text = format!("pruned: {}", why["why"].as_str().unwrap_or_default());
    tx.run(PRUNE_RUNS, named_params! { ":trial": trial, ":why": text })?;
    let jobs: Vec<JobId> =
        tx.all(JOBS_OF_PRUNED_RUNS, named_params! { ":trial": trial }, |row| row.get(0))?;
    for job in jobs {
        let over = queue::cancel(tx, job, who)?;
        after_cancel(tx, &over, who)?;
    }
    Ok(())
}
