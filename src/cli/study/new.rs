//! `mle study new`.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::{read_space, settings};
use crate::cli::output::{Output, path_json};
use crate::error::{Error, Result};
use crate::id::StudyId;
use crate::protocol::{self, Goal, Provenance};
use crate::spec;
use crate::store::{Open, Store};
use crate::study::{self, NewStudy};

/// Make a study that is asked and told by hand
///
/// Nothing runs: `mle ask` hands out trials, and `mle tell` takes in what came of them. For a search with jobs write a spec
/// for `mle run`.
#[derive(Debug, Clone, Args)]
pub struct New {
    /// Its name
    name: String,
    /// The parameters: a YAML, JSON or TOML file, or JSON itself
    #[arg(long, value_name = "FILE|JSON")]
    space: String,
    /// An expression that each proposal meets, such as `hidden % heads == 0`; may be given several times
    #[arg(long, value_name = "EXPRESSION")]
    constraint: Vec<String>,
    /// The strategy
    #[arg(long, value_name = "NAME", default_value = crate::search::strategy::DEFAULT)]
    strategy: String,
    /// A setting of the strategy; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    setting: Vec<String>,
    /// How many trials to ask for [default: until nothing is left]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    trials: Option<u64>,
    /// What trials are valued by, and whether small or large is good; may be given several times [default: value:min]
    #[arg(long, value_name = "NAME[:min|max]")]
    objective: Vec<String>,
    /// The seed of the strategy's random stream
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many trials will be at work at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    workers: u64,
    /// The most epochs a trial can train, for strategies that stop trials early and go on with the best
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    epochs: Option<u64>,
    /// The epochs that all trials may train together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    epoch_budget: Option<u64>,
    /// Why it is done
    #[arg(long, value_name = "TEXT", default_value = "")]
    purpose: String,
    /// Use the study of this name when there is one already
    #[arg(long)]
    if_missing: bool,
    /// Make one more study of this name when there is one already; the name means the newest
    #[arg(long, conflicts_with = "if_missing")]
    new: bool,
}

impl New {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

pub(super) fn run(args: &New, output: &Output, db: &Path) -> Result<()> {
    spec::check_name(&args.name).map_err(|why| Error::invalid("NAME", why))?;
    let new = NewStudy {
        name: args.name.clone(),
        purpose: args.purpose.clone(),
        space: read_space(&args.space, &args.constraint)?,
        strategy: args.strategy.to_lowercase(),
        settings: settings(&args.setting)?,
        objectives: objectives(&args.objective)?,
        trials: args.trials,
        workers: args.workers,
        seed: args.seed,
        epochs: args.epochs,
        epoch_budget: args.epoch_budget,
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    let argv = crate::cli::words();
    let provenance = Provenance::capture(&cwd, None, &argv);
    let who = protocol::user_name();
    let mut store = Store::open(db, Open::Create)?;
    let (summary, is_new) = store.write(|tx| {
        let known = match args.new {
            true => None,
            false => study::outside::there(tx, Some(&new.name))?.first().copied(),
        };
        if let Some(known) = known.filter(|_| !args.if_missing) {
            let instead = "--if-missing uses it, --new makes one more";
            return Err(name_taken(&new.name, known, instead));
        }
        let study = match known {
            Some(study) => study,
            None => study::new(tx, &new, &provenance, &who)?,
        };
        Ok((study::summary(tx, study)?, known.is_none()))
    })?;
    let text = match is_new {
        true => format!("study {} {} is in {}", summary.id, new.name, db.display()),
        false => format!("study {} {} was there already", summary.id, new.name),
    };
    let value = json!({"study": summary.id, "experiment": summary.experiment, "db": path_json(db), "new": is_new});
    output.done(&crate::display::sanitize(&text), &value)
}

/// Says that a study has the name of a new one, and what to do instead.
pub(super) fn name_taken(name: &str, by: StudyId, instead: &str) -> Error {
    let why = format!("has the name {name} already: {instead}");
    Error::Conflict { what: "study", id: by.to_string(), why }
}

fn objectives(texts: &[String]) -> Result<Vec<(String, Goal)>> {
    if texts.is_empty() {
        return Ok(vec![("value".into(), Goal::Min)]);
    }
    let one = |text: &String| match text.rsplit_once(':') {
        None => Ok((text.clone(), Goal::Min)),
        Some((metric, word)) if spec::goal(word).is_some() => {
            let is_max = spec::goal(word) == Some(spec::Goal::Max);
            Ok((metric.to_owned(), if is_max { Goal::Max } else { Goal::Min }))
        }
        Some((_, other)) => {
            Err(Error::invalid("--objective", format!("\"{other}\" is neither min nor max")))
        }
    };
    let objectives = texts.iter().map(one).collect::<Result<Vec<_>>>()?;
    match objectives.iter().find(|(metric, _)| metric.trim().is_empty()) {
        Some(_) => Err(Error::invalid("--objective", "has no name")),
        None => Ok(objectives),
    }
}
