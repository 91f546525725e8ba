//! Which checkpoints of a run are kept: the first, the latest, every k-th, and the k best by a metric.

use super::{Artifact, ArtifactKind, NewArtifact, Owner, Role, add, artifact_of, replace};
use crate::blob::Prepared;
use crate::error::Result;
use crate::id::{ArtifactId, RunId};
use crate::protocol::Goal;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

const LATEST: &str = named(include_str!("../../sql/artifact.sql"), "latest_checkpoint");
const WITH_ROLE: &str = named(include_str!("../../sql/artifact.sql"), "checkpoints_with_role");

/// What is kept; one checkpoint may be kept for several reasons, its bytes still once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Keep the first one.
    pub init: bool,
    /// Keep the latest one, instead of the one before.
    pub last: bool,
    /// Keep every k-th; 0 keeps none for this reason.
    pub every_k: u64,
    /// Keep the k best; 0 keeps none for this reason.
    pub top_k: usize,
    /// Whether small or large values are best.
    pub goal: Goal,
}

impl Default for Rules {
    /// The latest only.
    fn default() -> Rules {
        Rules { init: false, last: true, every_k: 0, top_k: 0, goal: Goal::Min }
    }
}

/// A checkpoint that may be kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checkpoint<'a> {
    /// Whose it is.
    pub run: RunId,
    /// Which attempt made it.
    pub attempt: Option<i64>,
    /// Its name.
    pub name: &'a str,
    /// Where on the step axis it was made.
    pub step: Option<i64>,
    /// The how-manieth of its run, from 1.
    pub number: u64,
    /// The metric by which the best are kept.
    pub value: Option<f64>,
}

/// Keeps a checkpoint for each reason there is, and removes what it takes the place of; returns the rows it got.
///
/// A value that is missing or NaN is never among the best; of equal ones the older stays. What is replaced is removed
/// with its bytes if nothing else has them: a run that saves each epoch would otherwise fill the disk before anyone
/// thinks of `mle gc`.
///
/// # Errors
/// [`crate::Error::Invalid`] for an empty name; [`crate::Error::Sqlite`].
pub fn keep_checkpoint(
    tx: &WriteTx,
    rules: &Rules,
    new: &Checkpoint<'_>,
    prepared: &Prepared,
) -> Result<Vec<(Role, ArtifactId)>> {
    let mut replaced = Vec::new();
    let mut roles = Vec::new();
    if rules.init && held(tx, new.run, Role::Init)?.is_empty() {
        roles.push(Role::Init);
    }
    if rules.every_k > 0 && new.number.is_multiple_of(rules.every_k) {
        roles.push(Role::EveryK);
    }
    if rules.top_k > 0 {
        let best = held(tx, new.run, Role::TopK)?;
        if let Some(out) = place_among_best(&best, rules.top_k, rules.goal, new.value) {
            replaced.extend(out);
            roles.push(Role::TopK);
        }
    }
    // The last row added, as it is the one to resume from.
    if rules.last {
        replaced.extend(held(tx, new.run, Role::Final)?.into_iter().map(|(id, _)| id));
        roles.push(Role::Final);
    }
    let mut kept = Vec::new();
    for role in roles {
        let row = NewArtifact {
            attempt: new.attempt,
            role: Some(role),
            step: new.step,
            value: new.value,
            ..NewArtifact::new(Owner::Run(new.run), new.name, ArtifactKind::Checkpoint)
        };
        kept.push((role, add(tx, &row, prepared)?));
    }
    for id in replaced {
        replace(tx, id)?;
    }
    Ok(kept)
}

/// Returns the checkpoint a run would resume from: the last that was added.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn latest_checkpoint(tx: &ReadTx, run: RunId) -> Result<Option<Artifact>> {
    tx.maybe(LATEST, named_params! {":run_id": run}, artifact_of)
}

fn held(tx: &ReadTx, run: RunId, role: Role) -> Result<Vec<(ArtifactId, Option<f64>)>> {
    tx.all(WITH_ROLE, named_params! {":run_id": run, ":role": role}, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Returns what has to go for a newcomer to be among the `k` best (often nothing), or `None` when it is not.
fn place_among_best(
    held: &[(ArtifactId, Option<f64>)],
    k: usize,
    goal: Goal,
    value: Option<f64>,
) -> Option<Vec<ArtifactId>> {
    let cost = |value: f64| if goal == Goal::Min { value } else { -value };
    let new = cost(value.filter(|value| !value.is_nan())?);
    // Best first, of equal ones the oldest first; one without a value is the first to go.
    let mut ranked: Vec<(f64, ArtifactId)> =
        held.iter().map(|(id, value)| (value.map_or(f64::INFINITY, cost), *id)).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    if ranked.len() >= k && ranked[k - 1].0 <= new {
        return None;
    }
    Some(ranked.into_iter().skip(k - 1).map(|(_, id)| id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(held: &[f64], k: usize, goal: Goal, value: f64) -> Option<Vec<i64>> {
        let held: Vec<_> =
            (1..).zip(held).map(|(id, value)| (ArtifactId(id), Some(*value))).collect();
        place_among_best(&held, k, goal, Some(value)).map(|out| out.iter().map(|id| id.0).collect())
    }

    #[test]
    fn the_worst_goes_for_a_better_one() {
        assert_eq!(place(&[], 2, Goal::Min, 5.0), Some(vec![]));
        assert_eq!(place(&[5.0], 2, Goal::Min, 9.0), Some(vec![]));
        assert_eq!(place(&[5.0, 9.0], 2, Goal::Min, 7.0), Some(vec![2]));
        assert_eq!(place(&[5.0, 9.0], 2, Goal::Max, 7.0), Some(vec![1]));
        assert_eq!(place(&[5.0, 9.0], 2, Goal::Min, 10.0), None);
    }

    #[test]
    fn ties_keep_the_old_and_nan_is_never_kept() {
        assert_eq!(place(&[5.0, 9.0], 2, Goal::Min, 9.0), None);
        assert_eq!(place(&[9.0, 9.0], 2, Goal::Min, 5.0), Some(vec![2]), "the younger of equals");
        assert_eq!(place(&[], 2, Goal::Max, f64::NAN), None);
        assert_eq!(place(&[5.0], 1, Goal::Max, f64::INFINITY), Some(vec![1]));
    }

    #[test]
    fn a_smaller_k_removes_the_surplus() {
        assert_eq!(place(&[1.0, 2.0, 3.0], 1, Goal::Min, 0.0), Some(vec![1, 2, 3]));
    }
}
