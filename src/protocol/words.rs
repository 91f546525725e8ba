//! The words of the protocol's columns as types: each enum is the CHECK list of its column.

use crate::words::words;

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
