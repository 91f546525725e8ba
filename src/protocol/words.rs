//! The words of the protocol's columns as types: each enum is the CHECK list of its column.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::error::{Error, Result, did_you_mean};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $noun:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in the order of the column's CHECK list.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Returns the word that stands in the file.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(word: &str) -> Result<Self> {
                $name::ALL.iter().copied().find(|it| it.as_str() == word)
                    .ok_or_else(|| unknown($noun, word, &[$($word,)*]))
            }
        }
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
            }
        }
    )*};
}

words! {
    /// What an experiment is made of.
    Kind, "kind" {
        /// A command, run as it stands.
        Command = "command"
        /// One config with one or more seeds.
        SingleConfig = "single-config"
        /// Several configs, each with the same seeds.
        MultipleConfigs = "multiple-configs"
        /// Configs chosen by a search.
        Search = "hyperparameter-search"
        /// Runs that were logged by a script which nobody scheduled.
        Log = "log"
    }

    /// How far an experiment is.
    State, "state" {
        /// Added; nothing runs yet.
        Planned = "planned"
        /// At work.
        Running = "running"
        /// All of it was done.
        Complete = "complete"
        /// It ended without doing all of it.
        Failed = "failed"
        /// Someone ended it.
        Cancelled = "cancelled"
        /// Someone holds it.
        Paused = "paused"
    }

    /// How far a run is.
    RunState, "state" {
        /// Not started.
        Waiting = "waiting"
        /// An attempt is at work.
        Running = "running"
        /// Done; its value may still be NaN.
        Complete = "complete"
        /// Ended without a result.
        Failed = "failed"
        /// Someone ended it.
        Cancelled = "cancelled"
        /// Its study stopped it early.
        Pruned = "pruned"
    }

    /// Whether small or large values are good.
    Goal, "goal" {
        /// Small values are good.
        Min = "min"
        /// Large values are good.
        Max = "max"
    }

    /// Which number of a metric's series values a run.
    ValueFrom, "value_from" {
        /// The last logged.
        Last = "last"
        /// The best logged, by the goal.
        Best = "best"
        /// The mean of all.
        Mean = "mean"
    }

    /// How the values of a config's seeds become one number.
    Aggregate, "aggregate" {
        /// Their mean.
        Mean = "mean"
        /// Their 10th percentile.
        P10 = "p10"
        /// Their 25th percentile.
        P25 = "p25"
        /// Their median.
        P50 = "p50"
        /// Their 75th percentile.
        P75 = "p75"
        /// Their 90th percentile.
        P90 = "p90"
    }
}

fn unknown(what: &str, word: &str, known: &[&str]) -> Error {
    let error = Error::invalid(what, format!("\"{word}\" is none of {}", known.join(", ")));
    match did_you_mean(word, known.iter().copied()) {
        Some(meant) => error.with_hint(format!("did you mean \"{meant}\"?")),
        None => error,
    }
}

impl State {
    /// Returns whether nothing more happens by itself in this state.
    pub fn is_end(self) -> bool {
        matches!(self, State::Complete | State::Failed | State::Cancelled)
    }

    /// Returns whether an experiment may go from this state to that one. An ended one may be taken up again.
    pub fn may_become(self, next: State) -> bool {
        use State::{Complete, Paused, Planned, Running};
        match (self, next) {
            (_, Planned) => false,
            (_, Running) => true,
            (Planned, Complete) => false,
            (from, Paused) => !from.is_end(),
            (from, _) => !from.is_end(),
        }
    }
}

impl RunState {
    /// Returns whether nothing more happens by itself in this state.
    pub fn is_end(self) -> bool {
        !matches!(self, RunState::Waiting | RunState::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_experiment_can_only_be_taken_up_again() {
        assert!(State::Failed.may_become(State::Running));
        assert!(!State::Failed.may_become(State::Complete));
        assert!(!State::Cancelled.may_become(State::Paused));
        assert!(!State::Planned.may_become(State::Complete));
        assert!(!State::Running.may_become(State::Planned));
    }

    #[test]
    fn a_misspelt_word_is_named_with_its_neighbour() {
        let error = "runing".parse::<State>().unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("did you mean \"running\"?"));
    }
}
