//! `mle report`: what an experiment was and what came out of it.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::named;
use super::output::Output;
use crate::artifact;
use crate::error::{Error, Result};
use crate::id::ExperimentId;
use crate::protocol;
use crate::report;
use crate::store::{Open, ReadTx, Store};

/// Write the report of an experiment
///
/// Without --out or --print both forms are kept in the file as artifacts `report.md` and `report.html`, in the place of
/// older ones, and the Markdown is printed. The HTML page is one file that needs nothing else.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  mle report 3
  mle report my-search --out report.html
  mle report 3 --format md --print > report.md")]
pub struct Args {
    /// Id, name or uid of the experiment; the newest one when left out
    pub experiment: Option<String>,
    /// Form of what is written or printed; by default as the name of --out ends, or else Markdown
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Write the report to this file
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The same as EXPERIMENT, as the mle-toolbox has it
    #[arg(long = "experiment_id", value_name = "ID", hide = true, conflicts_with_all = ["experiment", "use_last"])]
    pub experiment_id: Option<String>,
    /// The newest experiment, as the mle-toolbox has it: what is meant without it too
    #[arg(long = "use_last_id", hide = true, conflicts_with = "experiment")]
    pub use_last: bool,
    /// Print the report and keep nothing
    #[arg(long)]
    pub print: bool,
}

/// The forms a report has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Markdown
    Md,
    /// One HTML page
    Html,
}

/// Runs the verb.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Io`] of `--out`; those of the store.
pub fn run(args: &Args, output: &Output, db: &Path) -> Result<()> {
    let keeps = args.out.is_none() && !args.print;
    let mut store = Store::open(db, if keeps { Open::Existing } else { Open::ReadOnly })?;
    let (id, report) = store.read(|tx| {
        let word = args.experiment.as_deref().or(args.experiment_id.as_deref());
        let id = find_or_latest(tx, word)?;
        Ok((id, report::render(tx, id)?))
    })?;
    let ends_in_html = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("html") || end.eq_ignore_ascii_case("htm"))
    };
    let by_name =
        if args.out.as_ref().is_some_and(ends_in_html) { Format::Html } else { Format::Md };
    let text = match args.format.unwrap_or(by_name) {
        Format::Md => &report.markdown,
        Format::Html => &report.html,
    };
    if let Some(path) = &args.out {
        super::place::write(path, text.as_bytes(), db)?;
        let path = path.display().to_string();
        let done = format!("wrote the report of experiment {id} to {path}");
        return output.done(&done, &json!({"experiment_id": id, "path": path}));
    }
    if args.print {
        return output.done(text.trim_end(), &json!({"experiment_id": id, "report": text}));
    }
    let prepared = report.prepare();
    let ids = store.write(|tx| {
        let ids = report::store(tx, id, &prepared)?;
        ids.iter().map(|id| artifact::show(tx, *id)).collect::<Result<Vec<_>>>()
    })?;
    let kept: Vec<_> =
        ids.iter().map(|it| json!({"artifact_id": it.id, "name": it.name})).collect();
    output.done(text.trim_end(), &json!({"experiment_id": id, "kept": kept}))
}

/// Finds the experiment a person named, or the newest one.
pub(super) fn find_or_latest(tx: &ReadTx, word: Option<&str>) -> Result<ExperimentId> {
    match word {
        Some(word) => named::find(tx, word),
        None => protocol::latest(tx)?.ok_or_else(|| Error::not_found("experiment", "in this file")),
    }
}
