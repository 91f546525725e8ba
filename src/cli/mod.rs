//! The command line: what a person types becomes one call of the library.

mod args;
pub mod artifact;
pub mod doctor;
pub mod jobs;
pub mod leaderboard;
pub mod log;
pub mod logs;
pub mod output;
pub mod programs;
pub mod protocol;
pub mod report;
pub mod run;
pub mod sql;
pub mod status;

pub use args::{Program, command, main};

/// Quotes a text for a shell, when it needs it: what we print is meant to be pasted.
pub fn quote(text: &str) -> String {
    shell_words::quote(text).into_owned()
}
