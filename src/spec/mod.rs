//! What `mle run` was asked to do: from a spec's text to a checked [`Plan`].
//!
//! Two languages are read. Ours (`own`) is short and strict: an unknown key is an error. Experiment files of the
//! mle-toolbox (`toolbox`, known by their `meta_job_args`) run as they are: what has no effect here becomes a warning.
//! Both end as the same [`Plan`], which is stored as JSON with the experiment.
//!
//! Everything here is a function of texts. Config files and the presence of scripts are seen through [`Files`].

mod block;
mod configs;
mod document;
mod launch;
mod own;
mod plan;
mod space;
mod template;
mod toolbox;
mod toolbox_search;
mod units;

#[cfg(test)]
mod bad_inputs;
#[cfg(test)]
mod tests;

pub use block::check_name;
pub use document::SIZE_MAX_BYTES;
pub use plan::{
    Activate, Aggregate, Goal, Kind, Launch, NamedConfig, Objective, Plan, Processing, Resources,
    Search, ValueFrom,
};
pub use template::{assign, fill, lookup, merge, place_proposal, script_line};

use crate::error::Result;
use serde_json::Map;
use std::path::PathBuf;

/// The strategies a search may name.
pub const KNOWN_STRATEGIES: &[&str] = crate::search::strategy::KNOWN;

/// What a spec may see of the disk. Relative paths start where the user is, at [`Files::folder`].
pub trait Files {
    /// Reads a text file.
    fn read(&self, path: &str) -> std::io::Result<String>;
    /// Says whether there is a regular file.
    fn is_file(&self, path: &str) -> bool;
    /// Says whether there is a directory.
    fn is_dir(&self, path: &str) -> bool;
    /// Returns where relative paths start, for messages.
    fn folder(&self) -> String;
}

/// The real disk, seen from one directory.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Where relative paths start.
    pub folder: PathBuf,
}

impl Files for Disk {
    fn read(&self, path: &str) -> std::io::Result<String> {
        let path = self.folder.join(path);
        let about = std::fs::metadata(&path)?;
        // A pipe or a device would make us wait or never end.
        if !about.is_file() {
            return Err(std::io::Error::other("not a regular file"));
        }
        if about.len() > SIZE_MAX_BYTES as u64 {
            let why = format!("{} bytes, more than the {SIZE_MAX_BYTES} we read", about.len());
            return Err(std::io::Error::other(why));
        }
        std::fs::read_to_string(path)
    }

    fn is_file(&self, path: &str) -> bool {
        self.folder.join(path).is_file()
    }

    fn is_dir(&self, path: &str) -> bool {
        self.folder.join(path).is_dir()
    }

    fn folder(&self) -> String {
        self.folder.display().to_string()
    }
}

/// Reads a spec and checks all of it.
///
/// `origin` names the file in messages and chooses the format by its extension (`.json`, `.toml`, anything else is
/// YAML). `overrides` are `key.path=value` texts, applied to the document before it is checked.
///
/// # Errors
///
/// `Invalid`, naming file and key path (or line and column where the text itself is broken), mostly with a hint.
pub fn parse(text: &str, origin: &str, overrides: &[String], files: &dyn Files) -> Result<Plan> {
    let mut document = document::read(text, origin)?;
    document::set(&mut document, overrides)?;
    if document.contains_key("meta_job_args") {
        return toolbox::plan(&document, origin, files);
    }
    own::plan(&document, origin, files)
}

/// Reads a YAML, JSON or TOML text, by the extension of `origin`; the top level may be anything.
///
/// # Errors
/// `Invalid` with line and column.
pub fn value(text: &str, origin: &str) -> Result<serde_json::Value> {
    document::any(text, origin)
}

/// Returns whether a text is an experiment file of the mle-toolbox: one that has `meta_job_args`.
pub fn is_toolbox(text: &str) -> bool {
    document::read(text, "").is_ok_and(|document| document.contains_key("meta_job_args"))
}

/// Returns the plan of one plain command line: `mle run -- COMMAND …`; its one config is empty.
///
/// The words are taken as they are; braces in them mean nothing.
pub fn for_command(argv: Vec<String>, name: &str) -> Plan {
    let mut plan = Plan::new(name, Kind::Command, Launch::Template(template::literal(&argv)));
    plan.configs = vec![NamedConfig { name: "command".into(), params: Map::new(), source: None }];
    plan.pass_seed = false;
    plan
}

/// Reads a goal by any of the words people use for it: `min`, `minimize`, `minimise`, and those of `max`.
pub fn goal(text: &str) -> Option<Goal> {
    plan::GOALS.iter().find(|(word, _)| *word == text).map(|(_, goal)| *goal)
}

/// Reads a span of time as specs have it [ms]: seconds, or `90s`, `10m`, `2h`, `1d`, `HH:MM:SS`.
///
/// # Errors
/// A text that says what is wrong.
pub fn time_ms(text: &str) -> std::result::Result<i64, String> {
    units::time_ms(&text.into())
}

/// Reads an amount of memory as specs have it [MiB]: MiB, or `512M`, `4GB`, `1.5GiB`.
///
/// # Errors
/// A text that says what is wrong.
pub fn memory_mib(text: &str) -> std::result::Result<u64, String> {
    units::memory_mib(&text.into())
}
