//! Experiments and studies by the word a person gave: of several with one name the latest is taken, which is said.

use super::output::note;
use crate::error::Result;
use crate::id::{ExperimentId, StudyId};
use crate::protocol;
use crate::store::ReadTx;
use crate::study;

/// So many others are named.
const LISTED_MAX: usize = 8;

/// As [`protocol::find`].
pub(super) fn find(tx: &ReadTx<'_>, word: &str) -> Result<ExperimentId> {
    let id = protocol::find(tx, word)?;
    say_which(tx, word, id)?;
    Ok(id)
}

/// As [`study::find`].
pub(super) fn find_study(tx: &ReadTx<'_>, word: &str) -> Result<StudyId> {
    let id = study::find(tx, word)?;
    say_which(tx, word, study::experiment(tx, id)?)?;
    Ok(id)
}

fn say_which(tx: &ReadTx<'_>, word: &str, taken: ExperimentId) -> Result<()> {
    if let Some(text) = which(word, taken, &protocol::with_name(tx, word)?) {
        note(&text);
    }
    Ok(())
}

/// Says which of those with a name was taken; nothing where it is the only one, or was not found by its name.
fn which(word: &str, taken: ExperimentId, named: &[ExperimentId]) -> Option<String> {
    if named.len() < 2 || !named.contains(&taken) {
        return None;
    }
    let others = named.iter().filter(|id| **id != taken);
    let ids: Vec<String> = others.take(LISTED_MAX).map(ExperimentId::to_string).collect();
    let more = if named.len() - 1 > ids.len() { ", …" } else { "" };
    let n = named.len();
    Some(format!(
        "experiment {taken} is the latest of {n} named \"{word}\"; ids of the others: {}{more}",
        ids.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_with_a_name_it_is_said_which_was_taken() {
        let ids = |range: std::ops::RangeInclusive<i64>| {
            range.rev().map(ExperimentId).collect::<Vec<_>>()
        };
        assert_eq!(which("a", ExperimentId(1), &ids(1..=1)), None);
        assert_eq!(which("7", ExperimentId(7), &ids(1..=2)), None, "found by its id");
        assert_eq!(
            which("a", ExperimentId(3), &ids(1..=3)).unwrap(),
            "experiment 3 is the latest of 3 named \"a\"; ids of the others: 2, 1"
        );
        assert!(which("a", ExperimentId(20), &ids(1..=20)).unwrap().ends_with("12, …"));
    }
}
