//! How a running experiment looks: a bar on a terminal, plain lines in a pipe, JSON lines for programs.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use unicode_width::UnicodeWidthStr;

use crate::cli::output::{Output, note, terminal_width_of};
use crate::clock;
use crate::display::{number, sanitize, sanitize_lines};
use crate::error::Result;
use crate::id::ExperimentId;
use crate::store::ReadTx;

use super::outside::Waiting;

/// How far an experiment is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    pub state: String,
    pub runs: u64,
    pub ended: u64,
    pub failed: u64,
    pub running: u64,
    /// The best mean of the configs of which all seeds ended; while there is none, of those with the most.
    pub best: Option<f64>,
    /// Seeds that ended of that config, where it is not all of them.
    pub best_seeds: Option<i64>,
    /// Seeds each config is to have; 0 when nothing was planned.
    pub seeds: i64,
    pub metric: Option<String>,
    /// Its study asks for nothing until somebody lets it.
    pub is_search_paused: bool,
    /// The number of a trial that `mle ask` took, where nothing else is left to do but to wait for its value.
    pub taken: Option<u64>,
    /// Runs there will be: known for fixed sets, and for searches with a limit.
    pub expected: Option<u64>,
}

const COUNTS: &str = "SELECT e.state,
    (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id),
    (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id AND r.state NOT IN ('waiting', 'running')),
    (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id AND r.state = 'failed'),
    (SELECT coalesce(sum(n), 0) FROM run_count r WHERE r.experiment_id = e.id AND r.state = 'running'),
    o.metric, o.goal,
    (SELECT (s.trial_max + coalesce(json_array_length(e.plan, '$.search.points'), 0)) * json_array_length(s.seeds)
     FROM study s WHERE s.experiment_id = e.id AND s.state = 'open'),
    EXISTS (SELECT 1 FROM study s WHERE s.experiment_id = e.id AND s.state = 'open' AND s.trial_max IS NULL),
    CASE WHEN e.state = 'running' AND NOT EXISTS (SELECT 1 FROM run_count r WHERE r.experiment_id = e.id AND r.n > 0
                                                  AND r.state IN ('waiting', 'running'))
    THEN (SELECT min(t.number) FROM study s JOIN trial t ON t.study_id = s.id
          WHERE s.experiment_id = e.id AND s.state <> 'closed' AND s.state <> 'paused' AND t.state = 'running' AND t.in_queue = 0) END,
    EXISTS (SELECT 1 FROM study s WHERE s.experiment_id = e.id AND s.state = 'paused')
FROM experiment e LEFT JOIN objective o ON o.experiment_id = e.id AND o.position = 0 WHERE e.id = ?1";

const BEST_SMALL: &str = "SELECT mean, n + failed + late FROM score
    WHERE experiment_id = ?1 AND mean IS NOT NULL AND n + failed + late >= ?2 ORDER BY mean LIMIT 1";
const BEST_LARGE: &str = "SELECT mean, n + failed + late FROM score
    WHERE experiment_id = ?1 AND mean IS NOT NULL AND n + failed + late >= ?2 ORDER BY mean DESC LIMIT 1";
const MOST_SEEDS: &str =
    "SELECT max(n + failed + late) FROM score WHERE experiment_id = ?1 AND mean IS NOT NULL";

/// Returns the best mean so far and, where its config is not complete, how many of its seeds ended. One lucky seed of three
/// does not count as long as another config has all three.
fn best(
    tx: &ReadTx<'_>,
    id: ExperimentId,
    is_large_good: bool,
    seeds: i64,
) -> Result<Option<(f64, Option<i64>)>> {
    let sql = if is_large_good { BEST_LARGE } else { BEST_SMALL };
    let of = |least: i64| -> Result<Option<(f64, i64)>> {
        tx.maybe(sql, rusqlite::params![id, least], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    if let Some((mean, _)) = of(seeds)? {
        return Ok(Some((mean, None)));
    }
    let most: Option<i64> = tx.one(MOST_SEEDS, [id], |row| row.get(0))?;
    let found = most.map(of).transpose()?.flatten();
    Ok(found.map(|(mean, ended)| (mean, Some(ended))))
}

pub(super) fn snapshot(tx: &ReadTx<'_>, id: ExperimentId, seeds: i64) -> Result<Snapshot> {
    let (mut snapshot, is_large_good) = tx.one(COUNTS, [id], |row| {
        let runs: u64 = row.get::<_, i64>(1)?.unsigned_abs();
        let goal: Option<String> = row.get(6)?;
        let planned: Option<i64> = row.get(7)?;
        let endless: bool = row.get(8)?;
        let snapshot = Snapshot {
            state: row.get(0)?,
            runs,
            ended: row.get::<_, i64>(2)?.unsigned_abs(),
            failed: row.get::<_, i64>(3)?.unsigned_abs(),
            running: row.get::<_, i64>(4)?.unsigned_abs(),
            metric: row.get(5)?,
            best: None,
            best_seeds: None,
            seeds,
            is_search_paused: row.get(10)?,
            taken: row.get::<_, Option<i64>>(9)?.map(i64::unsigned_abs),
            expected: if endless {
                None
            } else {
                Some(planned.map_or(runs, |max| runs.max(max.unsigned_abs())))
            },
        };
        Ok((snapshot, goal.as_deref() == Some("max")))
    })?;
    if let Some((mean, ended)) = best(tx, id, is_large_good, seeds)? {
        (snapshot.best, snapshot.best_seeds) = (Some(mean), ended);
    }
    Ok(snapshot)
}

/// So many runs that all failed are no accident.
const ALL_FAIL: u64 = 5;

/// Returns the job of the run that failed last, and why it failed.
fn last_failure(tx: &ReadTx<'_>, id: ExperimentId) -> Result<Option<(i64, String)>> {
    const SQL: &str = "SELECT j.id, coalesce(r.error, j.error, '') FROM run r JOIN job j ON j.run_id = r.id
        WHERE r.experiment_id = ?1 AND r.state = 'failed' ORDER BY r.ended_at_ms DESC, r.id DESC LIMIT 1";
    tx.maybe(SQL, [id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The bar where there is room.
const BAR_WIDTH: usize = 27;
/// Below this there is none.
const BAR_MIN: usize = 4;

/// Returns how wide the bar is beside a text of some width; 0 where only the text has room.
fn bar_width(terminal: usize, text: usize) -> usize {
    // The spinner and a blank, two brackets and a blank; the last column stays free, or some terminals begin a line.
    let room = terminal.saturating_sub(text + 6);
    if room < BAR_MIN { 0 } else { room.min(BAR_WIDTH) }
}

fn style(width: usize, color: bool) -> Option<ProgressStyle> {
    // What has no room even so is cut.
    let template = match (width, color) {
        (0, true) => "{spinner:.blue} {wide_msg}".to_owned(),
        (0, false) => "{spinner} {wide_msg}".to_owned(),
        (_, true) => format!("{{spinner:.blue}} [{{bar:{width}.magenta/dim}}] {{wide_msg}}"),
        (_, false) => format!("{{spinner}} [{{bar:{width}}}] {{wide_msg}}"),
    };
    Some(ProgressStyle::with_template(&template).ok()?.progress_chars("━╸ "))
}

pub(super) struct Progress<'a> {
    output: &'a Output,
    id: ExperimentId,
    /// What a command needs to mean this file.
    db_flag: String,
    bar: Option<ProgressBar>,
    /// How wide it is as it is styled now.
    bar_width: Option<usize>,
    started: Instant,
    at_start: Option<u64>,
    /// Nothing is shown: what the jobs print is.
    silent: bool,
    waiting: Option<Waiting>,
    last: Option<Snapshot>,
    said: Option<Instant>,
    /// It was said that all runs fail.
    has_warned: bool,
}

impl<'a> Progress<'a> {
    pub fn new(
        output: &'a Output,
        db: &Path,
        id: ExperimentId,
        of_command: bool,
        waiting: Option<Waiting>,
    ) -> Self {
        let silent = of_command && !output.json;
        let bar = (!output.json && !silent && std::io::stderr().is_terminal()).then(|| {
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10))
        });
        let (bar_width, at_start, last, said) = (None, None, None, None);
        let started = Instant::now();
        let db_flag = crate::cli::db_flag(db);
        Progress {
            output,
            id,
            db_flag,
            bar,
            bar_width,
            started,
            at_start,
            silent,
            waiting,
            last,
            said,
            has_warned: false,
        }
    }

    pub fn show(&mut self, now: &Snapshot) {
        if self.silent {
            return;
        }
        let at_start = *self.at_start.get_or_insert(now.ended);
        let mut parts = Vec::new();
        if let (Some(best), Some(metric)) = (now.best, &now.metric) {
            let of = match now.best_seeds {
                Some(ended) => format!(" ({ended} of {} seeds)", now.seeds),
                None => String::new(),
            };
            parts.push(format!("best {} {}{of}", sanitize(metric), number(best)));
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
        let (id, db_flag) = (self.id, &self.db_flag);
        if now.state == "paused" {
            parts.push(format!("paused: `mle resume {id}{db_flag}` lets it go on"));
        } else if now.is_search_paused {
            parts.push(format!(
                "its search is paused: `mle study resume {id}{db_flag}` lets it ask"
            ));
        }
        if let Some(trial) = now.taken {
            parts.push(format!(
                "waits for trial {trial}, which `mle ask` took: `mle tell {id} {trial} …{db_flag}`",
            ));
        }
        let message = parts.join(" · ");
        if let Some(bar) = &self.bar {
            let all = now.expected.unwrap_or(now.runs).max(1);
            let percent = now.ended * 100 / all;
            let text = format!("{}/{all} runs {percent:>3}%  {message}", now.ended);
            let terminal = terminal_width_of(libc::STDERR_FILENO);
            let width = bar_width(terminal.into(), text.width());
            if self.bar_width != Some(width)
                && let Some(style) = style(width, self.output.color)
            {
                bar.set_style(style);
                self.bar_width = Some(width);
            }
            bar.set_length(all);
            bar.set_position(now.ended);
            bar.set_message(text);
            bar.tick();
            return;
        }
        let changed = self.last.as_ref().is_none_or(|last| {
            (last.ended, &last.state, last.taken, last.is_search_paused)
                != (now.ended, &now.state, now.taken, now.is_search_paused)
        });
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
                    "best_seeds": now.best_seeds, "seeds": now.seeds, "waits_for_trial": now.taken,
                    "elapsed_s": elapsed.as_secs_f64() })
                .to_string(),
            );
        } else {
            note(&format!("{}/{of} runs · {message}", now.ended));
        }
    }

    /// Says what is news beside the progress: that all runs fail, or that the search waits for points of another program.
    pub fn look(&mut self, tx: &ReadTx<'_>, now: &Snapshot) -> Result<()> {
        if !self.silent && !self.has_warned && now.failed >= ALL_FAIL && now.failed == now.ended {
            self.has_warned = true;
            if let Some((job, error)) = last_failure(tx, self.id)? {
                let (n, db_flag) = (now.failed, &self.db_flag);
                let text = format!(
                    "all {n} runs so far failed, the last one: {error}; `mle logs {job}{db_flag}` has more, Ctrl-C stops"
                );
                self.note(&text);
            }
        }
        let Some(waiting) = self.waiting.as_mut().filter(|_| now.state == "running") else {
            return Ok(());
        };
        if !waiting.is_news(tx)? {
            return Ok(());
        }
        match self.output.json {
            true => drop(self.output.json(&waiting.json())),
            false => {
                let text = waiting.text();
                self.note(&text);
            }
        }
        Ok(())
    }

    /// Says something beside the bar.
    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(&sanitize_lines(text))),
            None => note(&sanitize_lines(text)),
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_has_the_room_that_the_text_leaves() {
        for (terminal, text, wanted) in [
            (200, 40, 27),
            (80, 47, 27),
            (80, 52, 22),
            (80, 70, 4),
            (80, 71, 0),
            (80, 300, 0),
            (0, 5, 0),
        ] {
            let width = bar_width(terminal, text);
            assert_eq!(width, wanted, "{terminal} {text}");
            assert!(width == 0 || "s [] ".len() + width + text < terminal);
            assert!(style(width, true).is_some() && style(width, false).is_some());
        }
    }

    #[test]
    fn one_lucky_seed_does_not_lead() {
        let (_folder, mut store) = crate::protocol::tests::store();
        let id = crate::protocol::tests::experiment(&mut store, "x");
        let score = |store: &mut crate::store::Store, config: i64, n: i64, late: i64, mean: f64| {
            store
                .write(|tx| {
                    tx.run("INSERT OR IGNORE INTO config (id, hash, params) VALUES (?1, hex(randomblob(16)), '{}')", [config])?;
                    tx.run(
                        "INSERT OR REPLACE INTO score (experiment_id, config_id, n, failed, late, mean) VALUES (?1, ?2, ?3, 0, ?4, ?5)",
                        rusqlite::params![id, config, n, late, mean],
                    )
                })
                .unwrap();
        };
        let look =
            |store: &crate::store::Store, large| store.read(|tx| best(tx, id, large, 3)).unwrap();
        assert_eq!(look(&store, false), None);
        score(&mut store, 1, 1, 0, 0.1);
        assert_eq!(look(&store, false), Some((0.1, Some(1))));
        score(&mut store, 2, 2, 0, 0.5);
        assert_eq!(look(&store, false), Some((0.5, Some(2))));
        score(&mut store, 3, 3, 0, 0.7);
        score(&mut store, 4, 2, 1, 0.8);
        assert_eq!(look(&store, false), Some((0.7, None)));
        assert_eq!(look(&store, true), Some((0.8, None)));
        score(&mut store, 1, 3, 0, 0.2);
        assert_eq!(look(&store, false), Some((0.2, None)));
    }
}
