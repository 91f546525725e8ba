//! The verbs of `mle`: what they take, and what they print.

pub mod artifact;
pub mod leaderboard;
pub mod output;
pub mod protocol;
pub mod report;
pub mod sql;
