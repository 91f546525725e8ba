//! What a worker's news look like to people and programs: the output of one command as it comes, or a line for each job.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::json;

use super::output::sanitize;
use crate::clock;
use crate::display::{json_text, shorten, size};
use crate::error::{Error, Result};
use crate::id::ExperimentId;
use crate::queue::{AttemptState, Claimed, Ending};
use crate::worker::{Audience, News};

/// Output that waits to be printed; beyond that the jobs wait [bytes].
const ECHO_MAX: usize = 256 * 1024;

/// Passes on what the jobs of one experiment print, as it comes and untouched, for [`Echo::print`] to write.
///
/// A thread of its own writes: one that waits for its reader must not keep the worker from renewing leases.
#[derive(Debug)]
pub struct Echo {
    experiment: ExperimentId,
    sender: Sender<Piece>,
    waiting: std::sync::Arc<AtomicUsize>,
}

/// The other end of an [`Echo`].
#[derive(Debug)]
pub struct Printer {
    pieces: Receiver<Piece>,
    waiting: std::sync::Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Piece {
    is_stderr: bool,
    bytes: Vec<u8>,
}

impl Echo {
    /// Returns both ends.
    pub fn new(experiment: ExperimentId) -> (Echo, Printer) {
        let (sender, pieces) = channel();
        let waiting = std::sync::Arc::<AtomicUsize>::default();
        (Echo { experiment, sender, waiting: waiting.clone() }, Printer { pieces, waiting })
    }
}

impl Audience for Echo {
    fn hear(&self, news: News<'_>) {
        if let News::Printed { claimed, is_stderr, bytes } = news
            && claimed.experiment == Some(self.experiment)
        {
            self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
            // It fails only when nobody prints any more.
            let _ = self.sender.send(Piece { is_stderr, bytes: bytes.to_vec() });
        }
    }

    fn is_ready(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < ECHO_MAX
    }
}

impl Printer {
    /// Writes all pieces to the streams they came from, until the echo is gone. Readers that went away are no error.
    ///
    /// # Errors
    /// [`Error::Io`] when standard output cannot be written; the rest is taken and dropped, so that no job waits.
    pub fn print(self) -> Result<()> {
        let (mut out, mut err) = (Ok(()), Ok(()));
        for piece in self.pieces {
            let result = if piece.is_stderr { &mut err } else { &mut out };
            if result.is_ok() {
                *result = match piece.is_stderr {
                    true => std::io::stderr().lock().write_all(&piece.bytes),
                    false => {
                        let mut stdout = std::io::stdout().lock();
                        stdout.write_all(&piece.bytes).and_then(|()| stdout.flush())
                    }
                };
            }
            self.waiting.fetch_sub(piece.bytes.len(), Ordering::Relaxed);
        }
        match out {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::io("standard output", error))
            }
            _ => Ok(()),
        }
    }
}

/// Says in a line each what a worker does: to people on standard error, to programs as JSON on standard output.
///
/// Who does not read in time gets less: no line is waited for.
#[derive(Debug)]
pub struct Lines {
    file: String,
    json: bool,
    until: &'static str,
    succeeded: AtomicU64,
    failed: AtomicU64,
    other: AtomicU64,
    left_out: AtomicU64,
}

impl Lines {
    /// Lines about a worker of `file`, which waits `until` something.
    pub fn new(file: String, json: bool, until: &'static str) -> Lines {
        let zero = AtomicU64::default;
        let (succeeded, failed, other, left_out) = (zero(), zero(), zero(), zero());
        Lines { file, json, until, succeeded, failed, other, left_out }
    }

    /// Says how the worker ended.
    pub fn close(&self) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (succeeded, failed, other) =
            (get(&self.succeeded), get(&self.failed), get(&self.other));
        let mut counts = vec![format!("{succeeded} succeeded")];
        counts.extend((failed > 0).then(|| format!("{failed} failed")));
        counts.extend((other > 0).then(|| format!("{other} stopped before their end")));
        self.say(&format!("the worker ends; jobs: {}", counts.join(", ")), || {
            json!({ "event": "closed", "succeeded": succeeded, "failed": failed, "other": other })
        });
    }

    fn say(&self, text: &str, value: impl FnOnce() -> serde_json::Value) {
        let line = match self.json {
            true => json_text(&value()),
            false => {
                let local = clock::local(clock::now_ms());
                let time = local.split(' ').next_back().unwrap_or_default();
                format!("{time} {}", shorten(&sanitize(text), 1000))
            }
        };
        let left_out = self.left_out.load(Ordering::Relaxed);
        let line = match (left_out, self.json) {
            (0, _) => line,
            (n, false) => format!("({n} lines left out)\n{line}"),
            (n, true) => format!("{}\n{line}", json!({ "event": "left_out", "lines": n })),
        };
        let fd = if self.json { libc::STDOUT_FILENO } else { libc::STDERR_FILENO };
        if !takes_a_line(fd) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.left_out.store(0, Ordering::Relaxed);
        // That nobody can be told stops no work.
        let _ = match self.json {
            true => {
                let mut stdout = std::io::stdout().lock();
                writeln!(stdout, "{line}").and_then(|()| stdout.flush())
            }
            false => std::io::stderr().lock().write_all(format!("{line}\n").as_bytes()),
        };
    }

    fn opened(&self, worker: crate::id::WorkerId, slots: usize, room: crate::queue::Room) {
        let s = |n: u64| if n == 1 { "" } else { "s" };
        let (cores, gpus, mib) = (room.cores, room.gpus, room.memory_mib);
        let memory = size(i64::try_from(mib.saturating_mul(1 << 20)).unwrap_or(i64::MAX));
        let text = format!(
            "worker {worker} of {}: {slots} job{} at once on {cores} core{}, {gpus} GPU{}, {memory} of memory; {}",
            self.file,
            s(slots as u64),
            s(cores.into()),
            s(gpus.into()),
            self.until
        );
        self.say(&text, || {
            json!({ "event": "opened", "worker": worker, "db": self.file, "pid": std::process::id(),
                "slots": slots, "cores": cores, "gpus": gpus, "memory_mib": mib })
        });
    }

    fn ended(&self, claimed: &Claimed, state: AttemptState, ending: &Ending, again: bool) {
        let count = match state {
            AttemptState::Succeeded => &self.succeeded,
            AttemptState::Failed if !again => &self.failed,
            _ => &self.other,
        };
        if !(again && state == AttemptState::Failed) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let took = ending.ended_at_ms.zip(ending.started_at_ms).map(|(end, start)| end - start);
        let mut text = format!("job {} {state}", claimed.job);
        if let Some(took) = took {
            text.push_str(&format!(" after {}", clock::duration(took)));
        }
        if let Some(error) = &ending.error {
            text.push_str(&format!(": {error}"));
        }
        if again {
            text.push_str("; it is tried again");
        }
        self.say(&text, || {
            json!({ "event": "ended", "job": claimed.job, "attempt": claimed.attempt, "state": state.as_str(),
                "exit_code": ending.exit_code, "signal": ending.signal, "error": ending.error,
                "duration_s": took.map(|ms| ms as f64 / 1000.0), "again": again })
        });
    }
}

impl Audience for Lines {
    fn hear(&self, news: News<'_>) {
        match news {
            News::Opened { worker, slots, room } => self.opened(worker, slots, room),
            News::Started(claimed) => {
                let mut text = format!("job {} started", claimed.job);
                if claimed.attempt > 1 {
                    text.push_str(&format!(" (attempt {})", claimed.attempt));
                }
                let command = shell_words::join(&claimed.command);
                self.say(&format!("{text}: {}", shorten(&command, 200)), || {
                    json!({ "event": "started", "job": claimed.job, "attempt": claimed.attempt, "run": claimed.run,
                        "experiment": claimed.experiment, "command": claimed.command })
                });
            }
            News::Printed { .. } => {}
            News::Ended { claimed, state, ending, again } => {
                self.ended(claimed, state, ending, again);
            }
            News::Leaving { live } => {
                let text = match live {
                    0 => "stopping".to_owned(),
                    1 => "stopping: one job is asked to end and goes back to the queue".to_owned(),
                    n => format!("stopping: {n} jobs are asked to end and go back to the queue"),
                };
                self.say(&text, || json!({ "event": "leaving", "live": live }));
            }
        }
    }
}

/// Returns whether a short line can be written now without waiting: a pipe has room for a page, a terminal is not stopped.
fn takes_a_line(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd, as told.
    unsafe { libc::poll(&raw mut poll, 1, 0) > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_without_room_takes_no_line() {
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = std::io::pipe().unwrap();
        assert!(takes_a_line(writer.as_raw_fd()));
        writer.write_all(&[0; 65_536]).unwrap();
        assert!(!takes_a_line(writer.as_raw_fd()));
        drop(reader);
        assert!(takes_a_line(writer.as_raw_fd()), "nobody to wait for");
    }
}
