//! Command lines of mle-toolbox where its stand-in is installed beside us: they are handed to the program `mle-toolbox`.
//!
//! Scripts call `mle run FILE -nw -np -resource local` and look for what mle-toolbox leaves: a hyper log, HDF5 logs, figures.
//! Its wheel cannot have a program `mle` beside ours. An option that only the toolbox has says whose command line it is;
//! without any, and where that wheel is not installed, `mle run FILE` is ours, which reads the toolbox's files too.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Options that the toolbox has and we have not, by verb.
const THEIRS: [(&str, &[&str]); 2] = [
    (
        "run",
        &[
            "-np",
            "-nw",
            "-resource",
            "-train_fname",
            "-train_config",
            "-exp_dir",
            "--no_protocol",
            "--no_welcome",
            "--resource_to_run",
            "--base_train_fname",
            "--base_train_config",
            "--experiment_dir",
        ],
    ),
    ("report", &["-e_id", "-use_last", "--experiment_id", "--use_last_id"]),
];

/// Says whether a command line, without the program's name, is the toolbox's.
fn is_theirs(words: &[OsString]) -> bool {
    let Some((verb, rest)) = words.split_first() else { return false };
    // Another word than a file's begins a command, whose options are its own.
    let begins = |word: &OsString| {
        let word = word.to_string_lossy();
        word.starts_with('-') || [".yaml", ".yml", ".json"].iter().any(|end| word.ends_with(end))
    };
    if verb == "run" && !rest.first().is_some_and(begins) {
        return false;
    }
    THEIRS.iter().filter(|(theirs, _)| verb == theirs).any(|(_, options)| {
        rest.iter()
            .take_while(|word| *word != "--")
            .any(|word| options.iter().any(|option| word == option))
    })
}

/// Becomes `mle-toolbox` when the command line is that one's and it is installed beside this program; returns otherwise.
pub fn to_toolbox(words: &[OsString]) {
    if !is_theirs(words) {
        return;
    }
    let beside =
        std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("mle-toolbox")));
    if let Some(program) = beside.filter(|program| program.is_file()) {
        // Where it cannot be started, we do what we can.
        drop(Command::new(program).args(words).exec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_says_whose_command_line_it_is() {
        let theirs = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            is_theirs(&words)
        };
        assert!(theirs("run grid.yaml -nw -np -resource local --experiment_dir out"));
        assert!(theirs("run grid.yaml -nw -resource local --purpose Test report generation"));
        assert!(theirs("report --use_last_id"));
        assert!(!theirs("run grid.yaml --workers 2"));
        assert!(!theirs("run python train.py -exp_dir out"));
        assert!(!theirs("run --db x.db -- python train.py -nw -exp_dir out"));
        assert!(!theirs("report 3 --db x.db"));
        assert!(!theirs("sql -nw"));
    }
}
