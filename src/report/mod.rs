//! Reports: what an experiment was and what came out of it, as Markdown and as one HTML page that needs nothing else.
//!
//! [`render`] reads one snapshot, [`Report::prepare`] compresses, [`store`] keeps both as artifacts of the experiment,
//! in the place of older ones. Nothing in the file is trusted: text is escaped for where it goes, and the page allows
//! itself no script and nothing from elsewhere.

mod chart;
mod data;
mod facts;
mod html;
mod jobs;
mod markdown;
mod search;

use crate::artifact::{self, ArtifactKind, NewArtifact, Owner, Prepared};
use crate::error::Result;
use crate::id::{ArtifactId, ExperimentId};
use crate::protocol;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

pub use data::{Failed, Place, commands, count_pruned, failed_configs, leaderboard, seeds_of_plan};
pub(crate) use facts::{facts, objectives};

const REPORTS: &str = named(include_str!("../../sql/report.sql"), "reports_of_experiment");

/// The names the two have as artifacts.
pub const NAMES: [&str; 2] = ["report.md", "report.html"];

/// A report in both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For terminals, repositories and notebooks.
    pub markdown: String,
    /// For browsers: one file, with its charts.
    pub html: String,
}

impl Report {
    /// Hashes and compresses both, before a transaction.
    pub fn prepare(&self) -> [Prepared; 2] {
        [&self.markdown, &self.html].map(|text| Prepared::from_bytes(text.as_bytes()))
    }
}

/// Writes the report of an experiment as it is now.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`crate::Error::Sqlite`].
pub fn render(tx: &ReadTx, experiment: ExperimentId) -> Result<Report> {
    let data = data::gather(tx, experiment)?;
    Ok(Report { markdown: markdown::render(&data), html: html::render(&data) })
}

/// Keeps a report in the file instead of older ones, and brings the experiment's wide view up to date.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn store(
    tx: &WriteTx,
    experiment: ExperimentId,
    prepared: &[Prepared; 2],
) -> Result<[ArtifactId; 2]> {
    let mut ids = [ArtifactId(0); 2];
    for ((id, name), prepared) in ids.iter_mut().zip(NAMES).zip(prepared) {
        let of_name = named_params! {":experiment_id": experiment, ":name": name};
        let old: Vec<ArtifactId> = tx.all(REPORTS, of_name, |row| row.get(0))?;
        let new = NewArtifact::new(Owner::Experiment(experiment), name, ArtifactKind::Report);
        *id = artifact::add(tx, &new, prepared)?;
        for old in old {
            artifact::replace(tx, old)?;
        }
    }
    protocol::refresh_wide_view(tx, experiment)?;
    Ok(ids)
}

#[cfg(test)]
mod tests;
