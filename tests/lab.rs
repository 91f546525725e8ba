//! A folder of its own for each story, the programs in it, and what they said.

#![allow(dead_code, reason = "each story uses a part of the lab")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A scratch folder; programs started in it are killed when it goes.
pub struct Lab {
    folder: tempfile::TempDir,
    children: Vec<Child>,
    env: Vec<(String, String)>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Asserts that it went well; returns what it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }

    /// Asserts an exit code and a part of what stands on stderr.
    #[track_caller]
    pub fn fails(self, code: i32, part: &str) -> String {
        assert!(
            self.code == code && self.err.contains(part),
            "wanted code {code} and {part:?}, got code {}\nstdout: {}\nstderr: {}",
            self.code,
            self.out,
            self.err
        );
        self.err
    }
}

/// Returns the path of one of the programs.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this test's path");
    own.parent().and_then(Path::parent).expect("the build folder").join(name)
}

impl Lab {
    pub fn new() -> Lab {
        Lab {
            folder: tempfile::tempdir().expect("a folder"),
            children: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Sets a variable for all programs started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.into(), value.into()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a folder");
        }
        std::fs::write(&path, text).expect("a file");
        path
    }

    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a text")
    }

    /// A command with a clean environment, in the folder.
    pub fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        for keep in ["PATH", "HOME", "TMPDIR", "LANG"] {
            if let Some(value) = std::env::var_os(keep) {
                command.env(keep, value);
            }
        }
        command.envs(self.env.iter().cloned());
        command
    }

    /// This test program again, to do one hidden test of it, told the folder by a variable.
    pub fn myself(&self, test: &str, variable: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this test's path"));
        command.args([test, "--exact", "--quiet"]).env(variable, self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a program to its end.
    pub fn run(&self, name: &str, args: &[&str]) -> Said {
        said(self.command(name, args).output().expect("a program"))
    }

    /// Runs `mle` to its end.
    pub fn mle(&self, args: &[&str]) -> Said {
        self.run("mle", args)
    }

    /// Starts a program in the background; returns its place for [`Lab::child`].
    pub fn start(&mut self, name: &str, args: &[&str]) -> usize {
        let mut command = self.command(name, args);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a program");
        self.children.push(child);
        self.children.len() - 1
    }

    /// As [`Lab::start`]; what it says to people goes to a file of the folder.
    pub fn start_telling(&mut self, name: &str, args: &[&str], file: &str) -> usize {
        let told = std::fs::File::create(self.path(file)).expect("a file");
        let mut command = self.command(name, args);
        self.children.push(command.stdout(Stdio::null()).stderr(told).spawn().expect("a program"));
        self.children.len() - 1
    }

    pub fn child(&mut self, place: usize) -> &mut Child {
        &mut self.children[place]
    }

    /// Sends a signal to a program started in the background.
    pub fn signal(&mut self, place: usize, signal: i32) {
        let pid = self.children[place].id();
        // SAFETY: a plain system call on a child that was not waited for.
        unsafe { libc::kill(pid as i32, signal) };
    }

    /// Returns the rows of a query on a file of the folder, columns joined by `|`, read as a stranger would.
    #[track_caller]
    pub fn sql(&self, db: &str, sql: &str) -> Vec<String> {
        self.ask(db, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn ask(&self, db: &str, sql: &str) -> rusqlite::Result<Vec<String>> {
        let connection = rusqlite::Connection::open(self.path(db))?;
        connection.busy_timeout(Duration::from_secs(30))?;
        let mut statement = connection.prepare(sql)?;
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells: rusqlite::Result<Vec<String>> =
                (0..width).map(|i| row.get_ref(i).map(cell)).collect();
            Ok(cells?.join("|"))
        })?;
        rows.collect()
    }

    /// Waits until a query's first row is `wanted`.
    #[track_caller]
    pub fn wait_for(&self, db: &str, sql: &str, wanted: &str) {
        wait_until(&format!("{sql} = {wanted:?}"), || {
            // A program that was just started makes the file, and then its tables.
            self.path(db).exists()
                && self.ask(db, sql).is_ok_and(|rows| rows.first().is_some_and(|row| row == wanted))
        });
    }
}

/// Looks again and again until something is so, with a pause after each look; not for ever.
#[track_caller]
pub fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} never came true");
}

fn cell(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => value.to_string(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Returns the processes that have one of the variables with one of the values, each as pid and command line.
pub fn with_variable(names: &[&str], values: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(bytes) = std::fs::read(entry.path().join("environ")) else { continue };
        let has = bytes.split(|byte| *byte == 0).any(|pair| {
            let text = String::from_utf8_lossy(pair);
            text.split_once('=').is_some_and(|(name, value)| {
                names.contains(&name) && values.iter().any(|wanted| wanted == value)
            })
        });
        if has {
            let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            found.push(format!("{} {}", entry.file_name().display(), line.replace('\0', " ")));
        }
    }
    found
}
