//! `mle logs`: what a job printed.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::cli::output::{Output, note};
use crate::daemon;
use crate::display::sanitize_lines;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::store::Watch;

/// Print what a job wrote to stdout and stderr
///
/// Control codes are shown, not obeyed; --raw writes the bytes as they are. Of a long output its start and its end are
/// kept, and the cut is marked.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  mle logs 17\n  mle logs 17 -f\n  mle logs 17 --stderr --attempt 1"
)]
pub struct LogsArgs {
    /// The job
    #[arg(value_name = "JOB")]
    job: i64,
    /// Follow a running job until it ends
    #[arg(short, long)]
    follow: bool,
    /// Only stderr
    #[arg(long, conflicts_with = "stdout")]
    stderr: bool,
    /// Only stdout
    #[arg(long)]
    stdout: bool,
    /// This attempt [default: the last]
    #[arg(long, value_name = "N")]
    attempt: Option<i64>,
    /// Write the bytes as they are
    #[arg(long)]
    raw: bool,
}

const PIECES: &str = "SELECT stream, offset, bytes FROM output
    WHERE job_id = ?1 AND attempt = ?2 AND (?3 IS NULL OR stream = ?3) ORDER BY at_ms, stream DESC, offset";
const JOB: &str = "SELECT state, attempt FROM job WHERE id = ?1";

/// Prints it.
///
/// # Errors
/// [`Error::NotFound`]; what opening the file returns.
pub fn run(args: &LogsArgs, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let stream = if args.stderr {
        Some("stderr")
    } else if args.stdout {
        Some("stdout")
    } else {
        None
    };
    let watch = Watch::new(db);
    let stop = daemon::stop_on_signals()?;
    let mut shown: std::collections::HashMap<(i64, String), i64> = std::collections::HashMap::new();
    let mut told = None;
    loop {
        let (state, attempt, pieces) = store.read(|tx| {
            let (state, last): (String, i64) = tx
                .maybe(JOB, [args.job], |row| Ok((row.get(0)?, row.get(1)?)))?
                .ok_or_else(|| Error::not_found("job", JobId(args.job)))?;
            let attempt = args.attempt.unwrap_or(last);
            let pieces: Vec<(String, i64, Vec<u8>)> =
                tx.all(PIECES, rusqlite::params![args.job, attempt, stream], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
            Ok((state, attempt, pieces))
        })?;
        if told.is_some_and(|told| told != attempt) && !output.json {
            note(&format!("— attempt {attempt} —"));
        }
        told = Some(attempt);
        let mut out = std::io::stdout().lock();
        for (name, offset, bytes) in pieces {
            let end = offset + bytes.len() as i64;
            let from = shown.entry((attempt, name.clone())).or_insert(0);
            if end <= *from {
                continue;
            }
            let skip = usize::try_from(*from - offset).unwrap_or(0);
            let gap = offset - *from;
            *from = end;
            let text = &bytes[skip.min(bytes.len())..];
            let result = if output.json {
                let line = serde_json::json!({ "job": args.job, "attempt": attempt, "stream": name, "offset": offset,
                    "text": String::from_utf8_lossy(text) });
                writeln!(out, "{line}")
            } else {
                let cut = if gap > 0 {
                    format!("\n[… {gap} bytes of {name} left out …]\n")
                } else {
                    String::new()
                };
                out.write_all(cut.as_bytes()).and_then(|()| {
                    if args.raw {
                        out.write_all(text)
                    } else {
                        out.write_all(sanitize_lines(&String::from_utf8_lossy(text)).as_bytes())
                    }
                })
            };
            if let Some(end) = ended(result) {
                return end;
            }
        }
        if let Some(end) = ended(out.flush()) {
            return end;
        }
        drop(out);
        let over = matches!(state.as_str(), "succeeded" | "failed" | "cancelled");
        if !args.follow || over || args.attempt.is_some() {
            return Ok(());
        }
        if stop.now.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        watch.wait(Duration::from_millis(500));
    }
}

/// What following ends with when a piece could not be written: quietly when the reader went away, as `| head` does.
fn ended(written: std::io::Result<()>) -> Option<Result<()>> {
    let error = written.err()?;
    Some(match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Error::io("standard output", error)),
    })
}
