//! How a running experiment looks: a bar on a terminal, plain lines in a pipe, JSON lines for programs.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::{Output, note};
use crate::clock;
use crate::display::number;
use crate::error::Result;
use crate::id::ExperimentId;
use crate::store::ReadTx;

/// How far an experiment is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    pub state: String,
    pub runs: u64,
    pub ended: u64,
    pub failed: u64,
    pub running: u64,
    pub best: Option<f64>,
    pub metric: Option<String>,
    /// Runs there will be: known for fixed sets, and for searches with a limit.
    pub expected: Option<u64>,
}

const COUNTS: &str = "SELECT e.state,
    (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id),
    (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id AND r.state NOT IN ('waiting', 'running')),
    (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id AND r.state = 'failed'),
    (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id AND r.state = 'running'),
    o.metric, o.goal,
    (SELECT s.trial_max * json_array_length(s.seeds) FROM study s WHERE s.experiment_id = e.id AND s.state = 'open'),
    EXISTS (SELECT 1 FROM study s WHERE s.experiment_id = e.id AND s.state = 'open' AND s.trial_max IS NULL),
    (SELECT min(mean) FROM score WHERE experiment_id = e.id),
    (SELECT max(mean) FROM score WHERE experiment_id = e.id)
FROM experiment e LEFT JOIN objective o ON o.experiment_id = e.id AND o.position = 0 WHERE e.id = ?1";

pub(super) fn snapshot(tx: &ReadTx<'_>, id: ExperimentId) -> Result<Snapshot> {
    tx.one(COUNTS, [id], |row| {
        let runs: u64 = row.get::<_, i64>(1)?.unsigned_abs();
        let goal: Option<String> = row.get(6)?;
        let planned: Option<i64> = row.get(7)?;
        let endless: bool = row.get(8)?;
        Ok(Snapshot {
            state: row.get(0)?,
            runs,
            ended: row.get::<_, i64>(2)?.unsigned_abs(),
            failed: row.get::<_, i64>(3)?.unsigned_abs(),
            running: row.get::<_, i64>(4)?.unsigned_abs(),
            metric: row.get(5)?,
            best: if goal.as_deref() == Some("max") { row.get(10)? } else { row.get(9)? },
            expected: if endless {
                None
            } else {
                Some(planned.map_or(runs, |max| runs.max(max.unsigned_abs())))
            },
        })
    })
}

pub(super) struct Progress<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    started: Instant,
    at_start: Option<u64>,
    /// Nothing is shown: what the jobs print is.
    silent: bool,
    last: Option<Snapshot>,
    said: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub fn new(output: &'a Output, of_command: bool) -> Self {
        let silent = of_command && !output.json;
        let bar = (!output.json && !silent && std::io::stderr().is_terminal()).then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
            let template = if output.color {
                "{spinner:.blue} [{bar:27.magenta/dim}] {pos}/{len} runs {percent:>3}%  {msg}"
            } else {
                "{spinner} [{bar:27}] {pos}/{len} runs {percent:>3}%  {msg}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar
        });
        let (at_start, last, said) = (None, None, None);
        Progress { output, bar, started: Instant::now(), at_start, silent, last, said }
    }

    pub fn show(&mut self, now: &Snapshot) {
        if self.silent {
            return;
        }
        let at_start = *self.at_start.get_or_insert(now.ended);
        let mut parts = Vec::new();
        if let (Some(best), Some(metric)) = (now.best, &now.metric) {
            parts.push(format!("best {metric} {}", number(best)));
        }
        if now.failed > 0 {
            parts.push(format!("{} failed", now.failed));
        }
        let elapsed = self.started.elapsed();
        parts.push(clock::duration(i64::try_from(elapsed.as_millis() / 100 * 100).unwrap_or(0)));
        let done = now.ended.saturating_sub(at_start);
        if let Some(expected) = now.expected
            && done >= 2
            && expected > now.ended
        {
            let left = elapsed.mul_f64((expected - now.ended) as f64 / done as f64);
            parts.push(format!(
                "{} left",
                clock::duration(i64::try_from(left.as_millis()).unwrap_or(0))
            ));
        }
        let message = parts.join(" · ");
        if let Some(bar) = &self.bar {
            bar.set_length(now.expected.unwrap_or(now.runs).max(1));
            bar.set_position(now.ended);
            bar.set_message(message);
            bar.tick();
            return;
        }
        let changed = self
            .last
            .as_ref()
            .is_none_or(|last| last.ended != now.ended || last.state != now.state);
        let due = self.said.is_none_or(|at| at.elapsed() >= Duration::from_secs(1));
        if !changed || !due {
            return;
        }
        self.said = Some(Instant::now());
        self.last = Some(now.clone());
        let of = now.expected.map_or_else(|| "?".into(), |expected| expected.to_string());
        if self.output.json {
            // That nobody can be told stops no work; the end says whether standard output could be written.
            let _ = self.output.line(
                &serde_json::json!({ "state": now.state, "runs": now.runs, "ended": now.ended, "failed": now.failed,
                    "running": now.running, "expected": now.expected, "best": now.best, "metric": now.metric,
                    "elapsed_s": elapsed.as_secs_f64() })
                .to_string(),
            );
        } else {
            note(&format!("{}/{of} runs · {message}", now.ended));
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
