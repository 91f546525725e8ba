//! The command line: what a person types becomes one call of the library.

mod args;
pub mod artifact;
pub mod ask;
pub mod copy;
pub mod doctor;
mod hand_over;
mod input;
pub mod jobs;
pub mod leaderboard;
pub mod log;
pub mod logs;
mod named;
mod news;
pub mod output;
pub mod programs;
pub mod protocol;
pub mod report;
pub mod run;
pub mod sql;
pub mod status;
pub mod study;
mod toolbox;

pub use args::{Program, command, main};

/// Quotes a text for a shell, when it needs it: what we print is meant to be pasted.
pub fn quote(text: &str) -> String {
    shell_words::quote(text).into_owned()
}

/// Returns the words this program was called with, for the record.
pub fn words() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Returns how `mle` is called from here: by name when it is on the path, else by where it is.
pub fn own_name() -> String {
    let on_path = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join("mle").is_file())
    });
    let (Ok(exe), false) = (std::env::current_exe(), on_path) else { return "mle".into() };
    let here = std::env::current_dir().unwrap_or_default();
    quote(&exe.strip_prefix(&here).unwrap_or(&exe).display().to_string())
}
