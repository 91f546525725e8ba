//! How the jobs of an experiment went, and the last words of those that failed.

use super::data::{FailedJob, Jobs, job_name};
use crate::clock;
use crate::display;
use crate::error::Result;
use crate::id::{ExperimentId, JobId};
use crate::sql::named;
use crate::store::{ReadTx, named_params};

const TEXT: &str = include_str!("../../sql/report.sql");
const COUNT_JOBS: &str = named(TEXT, "count_jobs");
const SUM_ATTEMPTS: &str = named(TEXT, "sum_attempts");
const FAILED_JOBS: &str = named(TEXT, "failed_jobs");
const LAST_OUTPUT: &str = named(TEXT, "last_output");

/// How many failed jobs are shown.
const FAILED_MAX: i64 = 10;
/// How many lines of their output.
const LINE_MAX: usize = 8;

/// Returns `None` for an experiment without jobs.
pub(super) fn jobs(tx: &ReadTx, id: ExperimentId) -> Result<Option<Jobs>> {
    let of_experiment = named_params! {":experiment_id": id};
    let counts: Vec<(String, i64)> =
        tx.all(COUNT_JOBS, of_experiment, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if counts.is_empty() {
        return Ok(None);
    }
    let facts = tx.one(SUM_ATTEMPTS, of_experiment, |row| {
        let n = |i| row.get::<_, i64>(i);
        let mut facts = vec![
            ("attempts".to_owned(), n(0)?.to_string()),
            ("wall time of all".to_owned(), clock::duration(n(3)?)),
            ("CPU time of all".to_owned(), clock::duration(n(4)?)),
        ];
        if let Some(kib) = row.get::<_, Option<i64>>(5)? {
            facts.push(("most memory of one".to_owned(), display::size(kib.saturating_mul(1024))));
        }
        for (count, what) in [(n(1)?, "preempted"), (n(2)?, "lost")] {
            if count > 0 {
                facts.push((format!("attempts {what}"), count.to_string()));
            }
        }
        Ok(facts)
    })?;
    let params = named_params! {":experiment_id": id, ":limit": FAILED_MAX};
    let failed = tx.all(FAILED_JOBS, params, |row| {
        let run = row.get::<_, Option<String>>(2)?.zip(row.get::<_, Option<i64>>(3)?);
        let exit = match (row.get::<_, Option<i64>>(5)?, row.get::<_, Option<i64>>(6)?) {
            (_, Some(signal)) => Some(format!("ended by signal {signal}")),
            (Some(code), None) => Some(format!("exit code {code}")),
            (None, None) => None,
        };
        let said: Option<String> = row.get(7)?;
        let (job, attempt): (JobId, i64) = (row.get(0)?, row.get(4)?);
        Ok((job, attempt, job_name(job, run), said.or(exit).unwrap_or_default()))
    })?;
    let failed = failed
        .into_iter()
        .map(|(job, attempt, what, error)| {
            let error = display::shorten(&error, 1000).into_owned();
            Ok(FailedJob { id: job.0, what, error, output: last_lines(tx, job, attempt)? })
        })
        .collect::<Result<_>>()?;
    Ok(Some(Jobs { counts, facts, failed }))
}

/// The end of what a job wrote to stderr, or else to stdout.
fn last_lines(tx: &ReadTx, job: JobId, attempt: i64) -> Result<String> {
    for stream in ["stderr", "stdout"] {
        let params = named_params! {":job_id": job, ":attempt": attempt, ":stream": stream};
        let bytes: Option<Vec<u8>> = tx.maybe(LAST_OUTPUT, params, |row| row.get(0))?;
        let text = tail(&bytes.unwrap_or_default());
        if !text.is_empty() {
            return Ok(text);
        }
    }
    Ok(String::new())
}

/// The last lines that say something, each cut.
pub(super) fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(16 << 10);
    let text = String::from_utf8_lossy(&bytes[from..]);
    // A progress bar writes many times over one line: the last is what was seen.
    let seen = |line: &str| {
        let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
        display::shorten(last, 300).into_owned()
    };
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .map(seen)
        .filter(|line| !line.trim().is_empty())
        .take(LINE_MAX)
        .collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_last_lines_are_what_was_seen() {
        let text = b"a\n10%\r20%\r\nError: x\xff\n\n  \n";
        assert_eq!(tail(text), "a\n20%\nError: x\u{fffd}");
        let many: String = (0..50).map(|i| format!("{i}\n")).collect();
        assert_eq!(tail(many.as_bytes()).lines().count(), 8);
        assert!(tail("é".repeat(20_000).as_bytes()).chars().count() <= 300);
    }
}
