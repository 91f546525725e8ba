//! One running attempt: its process group, its pipes, its limits.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::{self, Line};
use super::options::{Audience, News};
use super::output::Capture;
use super::spawn::{Child, Request, Spawner};
use crate::clock;
use crate::error::{Error, Result};
use crate::process;
use crate::queue::{AttemptState, Claimed, Ending, JobSettings};
use crate::scratch;

/// What a run's job is given: its config and its seed.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The whole config, JSON.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// The seed.
    pub seed: i64,
    /// The config's name, which names its file.
    pub name: String,
    /// A checkpoint to resume from, written out for the job.
    pub resume: Option<(String, Vec<u8>)>,
}

/// Facts about the worker that every job is told.
pub(super) struct Place {
    pub db: PathBuf,
    pub worker_uid: String,
    pub spawner: Spawner,
    pub audience: Option<Arc<dyn Audience>>,
}

/// A started attempt.
pub(super) struct Job {
    pub claimed: Claimed,
    pub pid: u32,
    pub started_at_ms: i64,
    /// Whether the file knows that it started.
    pub start_recorded: bool,
    pub gpus: Vec<String>,
    pub stdout: Capture,
    pub stderr: Capture,
    pub said: Vec<(i64, Line)>,
    pub reader: line::Reader,
    pub scratch: Option<tempfile::TempDir>,
    pub cwd: Option<PathBuf>,
    /// Why we are stopping it, and when it is killed.
    pub stopping: Option<Stopping>,
    /// The lease is gone: what it does no longer counts.
    pub lost: bool,
    pipes: (Option<File>, Option<File>),
    pidfd: Option<OwnedFd>,
    stderr_tail: Vec<u8>,
    stdout_tail: Vec<u8>,
    audience: Option<Arc<dyn Audience>>,
}

/// A job that was told to stop.
#[derive(Debug, Clone)]
pub(super) struct Stopping {
    pub state: AttemptState,
    pub error: String,
    pub kill_at_ms: i64,
    pub killed: bool,
}

/// An attempt that is over in the system and not yet in the file.
pub(super) struct Finished {
    pub job: Job,
    pub state: AttemptState,
    pub ending: Ending,
    /// The job will be tried again; known once its end is in the file.
    pub again: bool,
}

const GRACE_MS: i64 = 5_000;
/// A job is young for so long.
const YOUNG_MS: i64 = 5;

impl Job {
    /// Starts an attempt.
    ///
    /// # Errors
    /// [`Error::Failed`] with words for the attempt's record: the program is missing, the folder is gone …;
    /// [`Error::Io`] when it is not the job's fault: processes, descriptors, memory or room for its folder are short.
    pub fn start(
        claimed: &Claimed,
        inputs: Option<&Inputs>,
        place: &Place,
        gpus: &[String],
    ) -> Result<Job> {
        let (child, scratch, cwd) = Self::try_start(claimed, inputs, place, gpus)?;
        let Child { pid, pidfd, stdout, stderr } = child;
        Ok(Job {
            pid,
            claimed: claimed.clone(),
            started_at_ms: clock::now_ms(),
            start_recorded: false,
            gpus: gpus.to_vec(),
            stdout: Capture::default(),
            stderr: Capture::default(),
            said: Vec::new(),
            reader: line::Reader::default(),
            scratch,
            cwd,
            stopping: None,
            lost: false,
            pipes: (Some(stdout), Some(stderr)),
            pidfd,
            stderr_tail: Vec::new(),
            stdout_tail: Vec::new(),
            audience: place.audience.clone(),
        })
    }

    fn try_start(
        claimed: &Claimed,
        inputs: Option<&Inputs>,
        place: &Place,
        gpus: &[String],
    ) -> Result<(Child, Option<tempfile::TempDir>, Option<PathBuf>)> {
        let settings = &claimed.settings;
        let cwd = settings.cwd.as_ref().map(PathBuf::from);
        let mut words = claimed.command.clone();
        let mut scratch = None;
        let mut params = None;
        let mut variables: Vec<(&str, String)> = Vec::new();
        if settings.places || inputs.is_some_and(|inputs| inputs.resume.is_some()) {
            let folder = scratch::make(&place.worker_uid)
                .map_err(|error| Error::io(std::env::temp_dir(), std::io::Error::other(error)))?;
            let mut inputs = inputs.cloned();
            let mut resume = String::new();
            if let Some(inputs) = &mut inputs
                && let Some((name, bytes)) = &inputs.resume
            {
                let path = folder.path().join("resume").join(file_name(name));
                write(&path, bytes)?;
                resume = path.display().to_string();
                if let Some(key) = &settings.resume_key {
                    crate::spec::assign(&mut inputs.params, key, resume.as_str().into());
                }
                variables.push(("MLE_RESUME", resume.clone()));
            }
            let (config, exp_dir) =
                lay_out(folder.path(), inputs.as_ref(), settings, cwd.as_deref())?;
            if let Some(inputs) = inputs {
                params = Some(inputs.params);
            }
            for word in &mut words {
                *word = word.replace("{resume}", &resume);
                if let Some(config) = &config {
                    *word = word.replace("{config}", config);
                }
                *word = word.replace("{exp_dir}", &exp_dir);
            }
            if let Some(config) = config {
                variables.push(("MLE_CONFIG", config));
            }
            variables.push(("MLE_EXP_DIR", exp_dir));
            scratch = Some(folder);
        }
        if let Some(name) = &settings.conda {
            words.splice(
                0..0,
                ["conda", "run", "--no-capture-output", "-n", name].map(String::from),
            );
        }
        let (program, rest) = words
            .split_first()
            .filter(|(program, _)| !program.is_empty())
            .ok_or_else(|| Error::Failed("the command is empty".into()))?;
        let mut env: BTreeMap<OsString, Option<OsString>> = BTreeMap::new();
        let mut set = |name: &str, value: OsString| env.insert(name.into(), Some(value));
        if claimed.run.is_some() || claimed.cores != 1 {
            for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
                if std::env::var_os(name).is_none() {
                    set(name, claimed.cores.max(1).to_string().into());
                }
            }
        }
        if let Some(venv) = &settings.venv {
            activate(&mut env, venv, cwd.as_deref())?;
        }
        let mut set = |name: &str, value: OsString| env.insert(name.into(), Some(value));
        for (name, value) in &settings.env {
            set(name, value.into());
        }
        set("MLE_DB", place.db.clone().into());
        set(process::WORKER_VARIABLE, place.worker_uid.clone().into());
        set("MLE_JOB", claimed.job.to_string().into());
        set("MLE_ATTEMPT", claimed.attempt.to_string().into());
        if let Some(run) = claimed.run {
            set("MLE_RUN", run.to_string().into());
        }
        if let Some(inputs) = inputs {
            set("MLE_SEED", inputs.seed.to_string().into());
            let params = params.as_ref().unwrap_or(&inputs.params);
            set("MLE_PARAMS", serde_json::to_string(params).unwrap_or_default().into());
        }
        for (name, value) in variables {
            set(name, value.into());
        }
        if !gpus.is_empty() {
            set("CUDA_VISIBLE_DEVICES", gpus.join(",").into());
        }
        let request = Request { program, args: rest, cwd: cwd.as_deref(), env };
        let child = place.spawner.spawn(&request).map_err(|error| match cwd.as_deref() {
            Some(cwd) if !cwd.is_dir() => {
                Error::Failed(format!("the folder {} is not there", cwd.display()))
            }
            _ if is_shortage(&error) => Error::io(program, error),
            _ => Error::Failed(format!("cannot start {program:?}: {error}")),
        })?;
        Ok((child, scratch, cwd))
    }

    /// Returns the descriptors to poll: stdout, stderr, and one that says the job ended. Negative: none.
    ///
    /// A young job is not listened to: one that ends at once is read once, at its end. None is when nobody `hears`.
    pub fn fds(&self, now_ms: i64, hears: bool) -> [i32; 3] {
        if !hears || now_ms < self.listen_at_ms() {
            return [-1, -1, self.pidfd.as_ref().map_or(-1, AsRawFd::as_raw_fd)];
        }
        [
            self.pipes.0.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            self.pipes.1.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            self.pidfd.as_ref().map_or(-1, AsRawFd::as_raw_fd),
        ]
    }

    /// Returns from when on its pipes are read as it prints [unix ms]; until then they hold what it says.
    pub fn listen_at_ms(&self) -> i64 {
        self.started_at_ms + YOUNG_MS
    }

    /// Reads what the pipes hold, at most a few pieces, so that no job starves the others.
    pub fn read(&mut self) {
        let now = clock::now_ms();
        let (said, reader) = (&mut self.said, &mut self.reader);
        let mut on_line = |bytes: &[u8]| hear(bytes, now, said, reader);
        let (claimed, audience) = (&self.claimed, self.audience.as_deref());
        let out = &mut |bytes: &[u8]| tell(audience, claimed, false, bytes);
        if drain(&mut self.pipes.0, &mut self.stdout, &mut self.stdout_tail, &mut on_line, out) {
            self.pipes.0 = None;
        }
        let err = &mut |bytes: &[u8]| tell(audience, claimed, true, bytes);
        if drain(&mut self.pipes.1, &mut self.stderr, &mut self.stderr_tail, &mut |_| {}, err) {
            self.pipes.1 = None;
        }
    }

    /// Returns whether the process has ended (it is not reaped yet).
    pub fn has_ended(&self) -> bool {
        let Some(fd) = &self.pidfd else {
            // Look whether it is a zombie.
            return process::start_of(self.pid).is_none();
        };
        let mut poll = [libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        // SAFETY: one pollfd, as told.
        unsafe { libc::poll(poll.as_mut_ptr(), 1, 0) > 0 }
    }

    /// Asks the job to stop, and notes when to kill it.
    pub fn stop(&mut self, state: AttemptState, error: impl Into<String>, signal: i32) {
        if self.stopping.is_some() {
            return;
        }
        process::signal_group(self.pid, signal);
        self.stopping = Some(Stopping {
            state,
            error: error.into(),
            kill_at_ms: clock::now_ms() + self.claimed.settings.grace_ms.unwrap_or(GRACE_MS),
            killed: false,
        });
    }

    /// Kills the group at once; the attempt ends as `state`.
    pub fn kill(&mut self, state: AttemptState, error: impl Into<String>) {
        self.stop(state, error, libc::SIGKILL);
        if let Some(stopping) = &mut self.stopping {
            stopping.killed = true;
        }
        process::signal_group(self.pid, libc::SIGKILL);
    }

    /// Looks at the time limit and the grace period; returns when to look again [unix ms].
    pub fn check_time(&mut self, now_ms: i64) -> Option<i64> {
        if let Some(limit) = self.claimed.time_limit_ms
            && self.stopping.is_none()
            && now_ms >= self.started_at_ms + limit
        {
            let error = format!("time limit of {} passed", clock::duration(limit));
            self.stop(AttemptState::Failed, error, libc::SIGTERM);
        }
        match &mut self.stopping {
            Some(stopping) if stopping.killed => None,
            Some(stopping) if now_ms >= stopping.kill_at_ms => {
                stopping.killed = true;
                process::signal_group(self.pid, libc::SIGKILL);
                None
            }
            Some(stopping) => Some(stopping.kill_at_ms),
            None => self.claimed.time_limit_ms.map(|limit| self.started_at_ms + limit),
        }
    }

    /// Says at the end of its stderr what of what it said was not kept as it stands.
    pub fn remark(&mut self) {
        if let Some(remark) = self.reader.remarks.text() {
            let apart =
                if self.stderr_tail.last().is_none_or(|byte| *byte == b'\n') { "" } else { "\n" };
            self.stderr.take(format!("{apart}mle: {remark}\n").as_bytes(), &mut |_| {});
        }
    }

    /// Ends an attempt whose process has ended and whose group was killed: reads the rest of its pipes, reaps it.
    pub fn finish(mut self) -> Finished {
        let (said, reader) = (&mut self.said, &mut self.reader);
        let now = clock::now_ms();
        let mut on_line = |bytes: &[u8]| hear(bytes, now, said, reader);
        let (claimed, audience) = (&self.claimed, self.audience.as_deref());
        let out = &mut |bytes: &[u8]| tell(audience, claimed, false, bytes);
        while !drain(&mut self.pipes.0, &mut self.stdout, &mut self.stdout_tail, &mut on_line, out)
            && more(self.pipes.0.as_ref())
        {}
        let err = &mut |bytes: &[u8]| tell(audience, claimed, true, bytes);
        while !drain(&mut self.pipes.1, &mut self.stderr, &mut self.stderr_tail, &mut |_| {}, err)
            && more(self.pipes.1.as_ref())
        {}
        self.stdout.finish(&mut on_line);
        self.stderr.finish(&mut |_| {});
        self.reader.remarks.add_many(self.stdout.too_long, || {
            "a line of more than 1 MiB is not read; name a file in an artifact line instead".into()
        });
        let exit = process::reap(self.pid);
        let (code, signal) = (exit.and_then(|exit| exit.code), exit.and_then(|exit| exit.signal));
        let (state, error) = match &self.stopping {
            // It was asked to stop and had done its work all the same.
            Some(stopping)
                if code == Some(0)
                    && !stopping.killed
                    && stopping.state != AttemptState::Preempted =>
            {
                (AttemptState::Succeeded, None)
            }
            Some(stopping) => (stopping.state, Some(stopping.error.clone())),
            None if code == Some(0) => (AttemptState::Succeeded, None),
            None => {
                let how = match (code, signal) {
                    (Some(code), _) => format!("exit code {code}"),
                    (_, Some(signal)) => format!("signal {signal}"),
                    _ => "ended in an unknown way".into(),
                };
                let words = Capture::last_words(&self.stderr_tail)
                    .or_else(|| Capture::last_words(&self.stdout_tail));
                (
                    AttemptState::Failed,
                    Some(words.map_or(how.clone(), |words| format!("{how}: {words}"))),
                )
            }
        };
        let ending = Ending {
            pid: Some(self.pid),
            started_at_ms: Some(self.started_at_ms),
            ended_at_ms: Some(now.max(self.started_at_ms)),
            exit_code: code,
            signal,
            error,
            user_ms: exit.map(|exit| exit.user_ms),
            system_ms: exit.map(|exit| exit.system_ms),
            memory_peak_kib: exit.map(|exit| exit.memory_peak_kib),
            stdout_bytes: self.stdout.total,
            stderr_bytes: self.stderr.total,
        };
        Finished { job: self, state, ending, again: false }
    }
}

/// Takes what stands after `::mle ` in a line of output.
fn hear(bytes: &[u8], now_ms: i64, said: &mut Vec<(i64, Line)>, reader: &mut line::Reader) {
    said.extend(reader.read(bytes).map(|line| (now_ms, line)));
}

fn tell(audience: Option<&dyn Audience>, claimed: &Claimed, is_stderr: bool, bytes: &[u8]) {
    if let Some(audience) = audience {
        audience.hear(News::Printed { claimed, is_stderr, bytes });
    }
}

/// Reads up to four buffers; returns whether the stream is over.
fn drain<R: Read>(
    pipe: &mut Option<R>,
    capture: &mut Capture,
    tail: &mut Vec<u8>,
    on_line: &mut dyn FnMut(&[u8]),
    on_bytes: &mut dyn FnMut(&[u8]),
) -> bool {
    let Some(source) = pipe else { return true };
    let mut buffer = [0u8; 16 * 1024];
    for _ in 0..4 {
        match source.read(&mut buffer) {
            Ok(0) => return true,
            Ok(n) => {
                capture.take(&buffer[..n], on_line);
                on_bytes(&buffer[..n]);
                tail.extend_from_slice(&buffer[..n]);
                if tail.len() > 8192 {
                    tail.drain(..tail.len() - 4096);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
    false
}

/// Returns whether a pipe has bytes right now. One that a descendant still holds open may have none for ever.
fn more(pipe: Option<&impl AsRawFd>) -> bool {
    let Some(pipe) = pipe else { return false };
    let mut waiting = 0i32;
    // SAFETY: FIONREAD writes one int.
    unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut waiting) };
    waiting > 0
}

/// Writes the config and makes the experiment folder; returns their paths.
fn lay_out(
    folder: &Path,
    inputs: Option<&Inputs>,
    settings: &JobSettings,
    cwd: Option<&Path>,
) -> Result<(Option<String>, String)> {
    let config = match inputs {
        None => None,
        Some(inputs) => {
            let path = folder.join(format!(
                "{}.{}",
                file_name(&inputs.name),
                if settings.yaml { "yaml" } else { "json" }
            ));
            let text = if settings.yaml {
                serde_saphyr::to_string(&inputs.params)
                    .map_err(|error| Error::Failed(error.to_string()))?
            } else {
                serde_json::to_string_pretty(&inputs.params).unwrap_or_default()
            };
            write(&path, text.as_bytes())?;
            Some(path.display().to_string())
        }
    };
    let exp_dir = match settings.exp_dir.as_deref() {
        Some(wanted) => {
            // The folder is the user's own, named as the job will see it from where it starts.
            let path = cwd.unwrap_or(Path::new(".")).join(wanted);
            std::fs::create_dir_all(&path)
                .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
            wanted.to_owned()
        }
        None => {
            let path = folder.join("exp");
            std::fs::create_dir_all(&path)
                .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
            path.display().to_string()
        }
    };
    Ok((config, exp_dir))
}

/// Says whether the system has no more for anyone.
fn is_shortage(error: &std::io::Error) -> bool {
    let short = [libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| short.contains(&code))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::Failed(format!("{}: {error}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}

/// Makes a name safe as one part of a path, and still the user's name where it can be.
pub(super) fn file_name(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c == '/' || c == '\\' || c.is_control() { '_' } else { c })
        .take(100)
        .collect();
    match clean.as_str() {
        "" | "." | ".." => "_".into(),
        _ => clean,
    }
}

/// A virtual environment needs no shell: its `bin` comes first on the path.
fn activate(
    env: &mut BTreeMap<OsString, Option<OsString>>,
    venv: &str,
    cwd: Option<&Path>,
) -> Result<()> {
    let home = std::env::var_os("WORKON_HOME").map(PathBuf::from);
    let mut places = vec![cwd.unwrap_or(Path::new(".")).join(venv)];
    places.extend(home.map(|home| home.join(venv)));
    let Some(found) = places.iter().find(|place| place.join("bin").is_dir()) else {
        return Err(Error::Failed(format!(
            "there is no virtual environment {venv:?} (looked in the job's folder and in WORKON_HOME)"
        )));
    };
    let found = std::path::absolute(found).unwrap_or_else(|_| found.clone());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut joined = found.join("bin").into_os_string();
    joined.push(":");
    joined.push(path);
    env.insert("PATH".into(), Some(joined));
    env.insert("VIRTUAL_ENV".into(), Some(found.into()));
    env.insert("PYTHONHOME".into(), None);
    Ok(())
}
