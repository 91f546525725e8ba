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
mod place;
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

/// Returns what to add to a command for it to mean this file: nothing where it would be taken anyway.
pub fn db_flag(db: &std::path::Path) -> String {
    let same = |other: &std::path::Path| {
        let whole = |path: &std::path::Path| std::fs::canonicalize(path).ok();
        other == db || whole(other).is_some_and(|other| Some(other) == whole(db))
    };
    let taken = match std::env::var_os("MLE_DB").filter(|named| !named.is_empty()) {
        Some(named) => same(named.as_ref()),
        None => matches!(args::found().as_deref(), Ok([only]) if same(only)),
    };
    if taken { String::new() } else { format!(" --db {}", quote(&db.display().to_string())) }
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
