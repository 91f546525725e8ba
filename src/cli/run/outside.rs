//! Says what a search waits for whose points another program proposes.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::quote;
use crate::error::Result;
use crate::id::ExperimentId;
use crate::search::strategy::EXTERNAL;
use crate::spec::Plan;
use crate::store::ReadTx;

/// How long a program that said who it is may think about a point before we say that none is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Its study is open, and no trial waits or is at work.
const IS_DRY: &str =
    "SELECT EXISTS (SELECT 1 FROM study s WHERE s.experiment_id = ?1 AND s.state = 'open'
    AND NOT EXISTS (SELECT 1 FROM trial t WHERE t.study_id = s.id AND t.ended_at_ms IS NULL))";

/// Searches of `mle run` whose points another program proposes, and none is left to try.
const DRY_SEARCHES: &str = "SELECT e.id, e.name, s.settings FROM study s JOIN experiment e ON e.id = s.experiment_id
    WHERE s.state = 'open' AND s.strategy = ?2 AND e.state = 'running' AND e.kind <> 'log' AND e.deleted_at_ms IS NULL
      AND (?1 IS NULL OR e.id = ?1)
      AND NOT EXISTS (SELECT 1 FROM trial t WHERE t.study_id = s.id AND t.state IN ('waiting', 'running'))
    ORDER BY e.id";

/// Whether a search waits for points, and who has been told.
pub(in crate::cli) struct Waiting {
    /// The strategy that the settings name: a program that is about to propose.
    by: Option<String>,
    db: String,
    id: ExperimentId,
    name: String,
    /// Since when nothing was left to do.
    since: Option<Instant>,
    said: bool,
}

impl Waiting {
    /// Returns `None` for a search that proposes its points itself.
    pub fn of(plan: &Plan, db: &Path, id: ExperimentId) -> Option<Waiting> {
        let search = plan.search.as_ref().filter(|search| search.strategy == EXTERNAL)?;
        let by = search.settings.get("by").and_then(Value::as_str).map(str::to_owned);
        let (db, name) = (db.display().to_string(), plan.name.clone());
        Some(Waiting { by, db, id, name, since: None, said: false })
    }

    /// Returns the searches of a file, or that of one experiment, which wait for points just now.
    ///
    /// # Errors
    /// [`crate::Error::Sqlite`].
    pub fn of_file(tx: &ReadTx<'_>, db: &Path, only: Option<ExperimentId>) -> Result<Vec<Waiting>> {
        tx.all(DRY_SEARCHES, rusqlite::params![only, EXTERNAL], |row| {
            let settings: Value =
                serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
            let by = settings.get("by").and_then(Value::as_str).map(str::to_owned);
            let (db, id, name) = (db.display().to_string(), row.get(0)?, row.get(1)?);
            Ok(Waiting { by, db, id, name, since: None, said: false })
        })
    }

    /// Which experiment it is of.
    pub fn experiment(&self) -> (ExperimentId, &str) {
        (self.id, &self.name)
    }

    /// Returns whether it is time to say that it waits: once each time the points have run out.
    pub fn is_news(&mut self, tx: &ReadTx<'_>) -> Result<bool> {
        let is_dry = tx.one(IS_DRY, [self.id], |row| row.get(0))?;
        Ok(self.look(is_dry, Instant::now()))
    }

    fn look(&mut self, is_dry: bool, now: Instant) -> bool {
        if !is_dry {
            // Somebody does propose: from now on a pause to think is no news either.
            if self.said || self.since.is_some() || self.by.is_none() {
                self.by.get_or_insert_default();
            }
            (self.since, self.said) = (None, false);
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let patience = if self.by.is_some() { PATIENCE } else { Duration::ZERO };
        if self.said || now.duration_since(since) < patience {
            return false;
        }
        self.said = true;
        true
    }

    /// Returns the command that proposes points.
    fn command(&self) -> Vec<String> {
        let by = self.by.as_deref().unwrap_or_default();
        let is_known = by.starts_with("optuna.") || by.starts_with("nevergrad.");
        let strategy = if is_known { by } else { "optuna.TPESampler" };
        ["python3", "-m", "mle.integrations", &self.db, &self.id.to_string(), strategy]
            .map(str::to_owned)
            .to_vec()
    }

    /// What people are told.
    pub fn text(&self) -> String {
        let words: Vec<String> = self.command().iter().map(|word| quote(word)).collect();
        let (name, file) = (json!(self.name), json!(self.db));
        format!(
            "waiting for points: the spec says `strategy: external`, so another program proposes them, such as\n  {}\n\
             or one of your own, in Python:\n  mle.Study({name}, db={file}).serve(mle.integrations.OptunaStrategy())",
            words.join(" ")
        )
    }

    /// What programs are told.
    pub fn json(&self) -> Value {
        json!({ "experiment": self.id, "waits_for": "points", "command": self.command() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(by: Option<&str>) -> Waiting {
        Waiting {
            by: by.map(str::to_owned),
            db: "my file.db".into(),
            id: ExperimentId(7),
            name: "a \"b\"".into(),
            since: None,
            said: false,
        }
    }

    #[test]
    fn it_is_said_at_once_and_once() {
        let (mut waiting, begin) = (waiting(None), Instant::now());
        assert!(waiting.look(true, begin));
        assert!(!waiting.look(true, begin + PATIENCE * 9));
    }

    #[test]
    fn who_proposes_may_think_and_then_it_is_said_again() {
        let (mut waiting, begin) = (waiting(None), Instant::now());
        assert!(waiting.look(true, begin));
        assert!(!waiting.look(false, begin));
        assert!(!waiting.look(true, begin));
        assert!(!waiting.look(true, begin + PATIENCE / 2));
        assert!(waiting.look(true, begin + PATIENCE));
        assert!(!waiting.look(true, begin + PATIENCE * 2));
    }

    #[test]
    fn a_program_that_said_who_it_is_is_waited_for() {
        let (mut waiting, begin) = (waiting(Some("optuna.GPSampler")), Instant::now());
        assert!(!waiting.look(true, begin));
        assert!(!waiting.look(false, begin + PATIENCE * 2));
        assert!(!waiting.look(true, begin + PATIENCE * 3));
        assert!(waiting.look(true, begin + PATIENCE * 4));
        let text = waiting.text();
        assert!(
            text.contains("python3 -m mle.integrations 'my file.db' 7 optuna.GPSampler"),
            "{text}"
        );
        assert!(text.contains(r#"mle.Study("a \"b\"", db="my file.db")"#), "{text}");
    }
}
