//! `mle artifact`: files in the file.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::named;
use super::output::{Output, sanitize};
use super::report::find_or_latest;
use crate::artifact::{
    self, Artifact, ArtifactKind, INSIDE_MAX_BYTES, NewArtifact, Owner, Prepared,
};
use crate::clock;
use crate::display::{number, size};
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::protocol;
use crate::store::{Open, Store};

/// Keep files in the file, list them, and get them back
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  mle artifact add model.pt --kind checkpoint --step 100 --run 7
  mle artifact list --run 7
  mle artifact get model.pt --out best.pt")]
pub struct Args {
    /// What to do; by default list
    #[command(subcommand)]
    pub what: Option<What>,
}

/// What can be done with artifacts.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Keep a file
    ///
    /// Its bytes are stored once, however often they are added. A file larger than 64 MiB stays where it is, and only its
    /// path and hash are kept.
    Add(Add),
    /// List artifacts, the newest first
    List(List),
    /// Write an artifact to a file
    ///
    /// Without --out it is written below the current folder under its own name, and never over another file.
    Get(Get),
}

/// The flags of `mle artifact add`.
#[derive(Debug, Clone, clap::Args)]
pub struct Add {
    /// The file to keep
    pub file: PathBuf,
    /// What it is for: file, figure, checkpoint, extra, report, code or config
    #[arg(long, default_value = "file")]
    pub kind: ArtifactKind,
    /// Its name; by default that of the file
    #[arg(long)]
    pub name: Option<String>,
    /// Where on the step axis it was made
    #[arg(long)]
    pub step: Option<i64>,
    /// The run it belongs to
    #[arg(long, env = "MLE_RUN", value_name = "RUN")]
    pub run: Option<i64>,
    /// The attempt that made it
    #[arg(long, env = "MLE_ATTEMPT", value_name = "N", hide = true)]
    pub attempt: Option<i64>,
    /// The experiment it belongs to, when it belongs to no run
    #[arg(long, value_name = "EXPERIMENT")]
    pub experiment: Option<String>,
    /// Keep larger files than this outside [bytes]
    #[arg(long, value_name = "BYTES", default_value_t = INSIDE_MAX_BYTES)]
    pub inside_max: u64,
}

/// The flags of `mle artifact list`.
#[derive(Debug, Clone, clap::Args)]
pub struct List {
    /// Only those of this run
    #[arg(long, value_name = "RUN")]
    pub run: Option<i64>,
    /// Only those of this experiment and its runs
    #[arg(long, value_name = "EXPERIMENT")]
    pub experiment: Option<String>,
    /// How many to show
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// The flags of `mle artifact get`.
#[derive(Debug, Clone, clap::Args)]
pub struct Get {
    /// Id or name; of a name the latest
    pub artifact: String,
    /// Write it to this file, over another one if need be; `-` prints it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Io`]; those of the store.
pub fn run(args: &Args, output: &Output, db: &Path) -> Result<()> {
    match &args.what {
        Some(What::Add(args)) => add(args, output, db),
        Some(What::Get(args)) => get(args, output, db),
        Some(What::List(args)) => list(args, output, db),
        None => list(&List { run: None, experiment: None, limit: 100 }, output, db),
    }
}

fn add(args: &Add, output: &Output, db: &Path) -> Result<()> {
    let file_name = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = args.name.clone().or(file_name).unwrap_or_default();
    if args.run.is_none() && args.experiment.is_none() {
        return Err(Error::invalid("mle artifact add", "neither a run nor an experiment is given")
            .with_hint("name one with --run or --experiment; inside a job MLE_RUN does"));
    }
    let prepared = Prepared::from_file(&args.file, args.inside_max)?;
    let mut store = Store::open(db, Open::Existing)?;
    let id = store.write(|tx| {
        // An experiment that is named is meant, whatever run the environment names.
        let owner = match (&args.experiment, args.run) {
            (Some(word), _) => Owner::Experiment(named::find(tx, word)?),
            (None, run) => Owner::Run(protocol::find_run(tx, RunId(run.unwrap_or_default()))?),
        };
        let attempt = args.attempt.filter(|_| matches!(owner, Owner::Run(_)));
        let new =
            NewArtifact { attempt, step: args.step, ..NewArtifact::new(owner, &name, args.kind) };
        artifact::add(tx, &new, &prepared)
    })?;
    let place = if prepared.outside().is_some() { " outside the file" } else { "" };
    let bytes = size(i64::try_from(prepared.size_bytes).unwrap_or(i64::MAX));
    output.done(
        &format!("kept {} as artifact {id} ({bytes}{place})", sanitize(&name)),
        &json!({"artifact_id": id, "name": name, "hash": prepared.hash, "size_bytes": prepared.size_bytes}),
    )
}

fn list(args: &List, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let limit = i64::from(args.limit);
    let found = store.read(|tx| match (args.run, &args.experiment) {
        (Some(run), _) => artifact::list_of_run(tx, protocol::find_run(tx, RunId(run))?, limit),
        (None, Some(word)) => {
            artifact::list_of_experiment(tx, find_or_latest(tx, Some(word))?, limit)
        }
        (None, None) => artifact::list(tx, None, limit),
    })?;
    if output.json {
        return output.json_array(&found.iter().map(json_of).collect::<Vec<_>>());
    }
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let names = ["id", "of", "name", "kind", "role", "step", "value", "size", "added"];
    output.table(&names, &rows, "no artifacts")
}

fn row(it: &Artifact) -> Vec<String> {
    let of = match it.owner {
        Owner::Experiment(id) => format!("experiment {id}"),
        Owner::Run(id) => format!("run {id}"),
    };
    vec![
        it.id.to_string(),
        of,
        it.name.clone(),
        it.kind.to_string(),
        it.role.map(|role| role.to_string()).unwrap_or_default(),
        it.step.map(|step| step.to_string()).unwrap_or_default(),
        it.value.map(number).unwrap_or_default(),
        format!("{}{}", size(it.size_bytes), if it.path.is_some() { " (outside)" } else { "" }),
        clock::local(it.created_at_ms),
    ]
}

fn json_of(it: &Artifact) -> serde_json::Value {
    let (experiment, run) = match it.owner {
        Owner::Experiment(id) => (Some(id), None),
        Owner::Run(id) => (None, Some(id)),
    };
    json!({
        "id": it.id, "uid": it.uid, "experiment_id": experiment, "run_id": run, "attempt": it.attempt,
        "name": it.name, "kind": it.kind.as_str(), "role": it.role.map(|role| role.as_str()), "step": it.step,
        "value": it.value.map(crate::display::json_number), "size_bytes": it.size_bytes, "hash": it.hash,
        "path": it.path, "created_at_ms": it.created_at_ms,
    })
}

fn get(args: &Get, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let found = store.read(|tx| artifact::find(tx, &args.artifact))?;
    let path = match &args.out {
        Some(path) if path.as_os_str() == "-" => {
            if !std::io::stdout().is_terminal() {
                return output.stream(|mut out| {
                    store.read(|tx| artifact::read(tx, found.id, &mut out)).map(drop)
                });
            }
            let mut bytes = Vec::new();
            store.read(|tx| artifact::read(tx, found.id, &mut bytes))?;
            return output.raw(&bytes);
        }
        Some(path) => {
            store.read(|tx| artifact::export_to(tx, found.id, path, true))?;
            path.clone()
        }
        None => store.read(|tx| artifact::export(tx, found.id, Path::new(".")))?,
    };
    let path = path.display().to_string();
    let done = format!("wrote {} ({})", sanitize(&path), size(found.size_bytes));
    output.done(&done, &json!({"artifact_id": found.id, "path": path}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tests::{experiment, store};

    const JSON: Output = Output { json: true, color: false };

    #[test]
    fn a_file_goes_in_and_comes_out() {
        let (folder, mut store) = store();
        experiment(&mut store, "x");
        let db = store.path().to_owned();
        let file = folder.path().join("a b.txt");
        std::fs::write(&file, "hello").unwrap();
        let mut args = Add {
            file: file.clone(),
            kind: ArtifactKind::File,
            name: Some("../näme".into()),
            step: Some(3),
            run: None,
            attempt: None,
            experiment: None,
            inside_max: 9,
        };
        assert!(matches!(add(&args, &JSON, &db), Err(Error::Invalid { .. })), "of nothing");
        args.run = Some(5);
        assert!(matches!(add(&args, &JSON, &db), Err(Error::NotFound { .. })));
        args.experiment = Some("x".into());
        add(&args, &JSON, &db).unwrap();
        let out = folder.path().join("out");
        get(&Get { artifact: "../näme".into(), out: Some(out.clone()) }, &JSON, &db).unwrap();
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "hello");
        let missing = Get { artifact: "nothing".into(), out: Some(out) };
        assert!(matches!(get(&missing, &JSON, &db), Err(Error::NotFound { .. })));
        list(&List { run: None, experiment: Some("x".into()), limit: 5 }, &JSON, &db).unwrap();
    }
}
