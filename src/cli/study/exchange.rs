//! `mle study export`, `import` and `configs`: searches of other programs.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::edit::print_added;
use super::new::name_taken;
use super::table;
use crate::cli::input;
use crate::cli::named;
use crate::cli::output::{Output, path_json};
use crate::cli::place;
use crate::display::count;
use crate::error::{Error, Result};
use crate::protocol::{self, Goal, Provenance};
use crate::search::space::nest;
use crate::spec;
use crate::store::{Open, Store, Stranger};
use crate::study::{self, NewStudy, Point, optuna, peer};

/// Write a study's trials as a table, or as a search log of another program
///
/// The table has all trials, a column for each objective and each parameter; a log of mle-hyperopt those with finite values.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// Id, name or uid of the study's experiment
    study: String,
    /// `csv`, or whose log [default: csv where the file's name ends in .csv, else mle-hyperopt]
    #[arg(long = "as", value_name = "FORMAT", value_parser = ["csv", "mle-hyperopt"])]
    format: Option<String>,
    /// The file; of a log of mle-hyperopt .yaml or .json; without it YAML is printed, or JSON with --json
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Take over trials from another program's file
///
/// A search log of mle-hyperopt (YAML or JSON), or a file of Optuna (SQLite). What does not lie in the study's space is left
/// out. With --new a study of this name is made first, with the parameters and objectives of an Optuna study.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// Id, name or uid of the study's experiment; with --new the name of a new study
    study: String,
    /// The file
    file: PathBuf,
    /// Which study of an Optuna file with several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Make the study
    #[arg(long)]
    new: bool,
    /// The strategy of a new study
    #[arg(long, value_name = "NAME", default_value = crate::search::strategy::DEFAULT, requires = "new")]
    strategy: String,
}

/// Write each trial's config as a file `eval_<n>.yaml`
#[derive(Debug, Clone, Args)]
pub struct Configs {
    /// Id, name or uid of the study's experiment
    study: String,
    /// The folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only those of the best trials
    #[arg(short = 'k', long, value_name = "N")]
    top: Option<usize>,
    /// yaml or json
    #[arg(long = "as", value_name = "FORMAT", value_parser = ["yaml", "json"], default_value = "yaml")]
    format: String,
}

impl Import {
    pub(super) fn makes(&self) -> Option<PathBuf> {
        self.new.then(|| place::db_of(&self.study))
    }
}

pub(super) fn export(args: &Export, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let (trials, objectives, space) = store.read(|tx| {
        let study = named::find_study(tx, &args.study)?;
        let objectives = study::objectives(tx, study::experiment(tx, study)?)?;
        Ok((study::trials(tx, study)?, objectives, study::space(tx, study)?))
    })?;
    let end = args.out.as_ref().and_then(|out| out.extension()?.to_str());
    let end = end.map(str::to_ascii_lowercase);
    if args.format.as_deref().map_or(end.as_deref() == Some("csv"), |format| format == "csv") {
        let metrics: Vec<&str> = objectives.iter().map(|(metric, _)| metric.as_str()).collect();
        let text = table::csv(&trials, &metrics, &space);
        let Some(out) = &args.out else { return output.raw(text.as_bytes()) };
        place::write(out, text.as_bytes(), db)?;
        let done = format!("wrote {} to {}", count(trials.len() as u64, "trial"), out.display());
        let done_json = json!({"trials": trials.len(), "left_out": 0, "file": path_json(out)});
        return output.done(&done, &done_json);
    }
    let (records, left_out) = peer::records(&trials);
    let Some(out) = &args.out else {
        let text = if output.json { peer::json_text(&records) } else { peer::yaml(&records)? };
        return output.raw(text.as_bytes());
    };
    let text = match end.as_deref() {
        Some("json") => peer::json_text(&records),
        Some("yaml" | "yml") => peer::yaml(&records)?,
        _ => {
            let why = format!("{} ends neither in .yaml nor in .json nor in .csv", out.display());
            return Err(Error::invalid("--out", why));
        }
    };
    place::write(out, text.as_bytes(), db)?;
    let more = match left_out {
        0 => String::new(),
        n => format!(", left out {n} without a finite value"),
    };
    let text = format!("wrote {} to {}{more}", count(records.len() as u64, "trial"), out.display());
    output.done(
        &text,
        &json!({"trials": records.len(), "left_out": left_out, "file": path_json(out)}),
    )
}

/// What a file of another program holds.
enum Found {
    Log(Vec<Point>),
    Optuna(optuna::Found),
}

fn read(file: &Path, name: Option<&str>) -> Result<Found> {
    use std::io::Read;
    let mut start = [0; 16];
    let size = std::fs::File::open(file)
        .and_then(|mut file| file.read(&mut start))
        .map_err(|error| Error::io(file, error))?;
    if start[..size].starts_with(b"SQLite format 3") {
        return Ok(Found::Optuna(optuna::read(&Stranger::open(file)?, name)?));
    }
    let text = input::document(file)?;
    let origin = file.display().to_string();
    // Python writes NaN and Infinity, which are no JSON.
    let log = match spec::value(&text, &origin) {
        Err(_) if origin.ends_with(".json") => spec::value(&python_numbers(&text), &origin)?,
        log => log?,
    };
    peer::points(&log, &origin).map(Found::Log)
}

/// Puts quotes around the numbers that Python writes and JSON does not know. They stand after a colon, a comma or a
/// bracket, never inside a text: there they would be quoted, and texts with them are cut out first.
fn python_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.push('"');
        }
        match at % 2 {
            0 => out.push_str(
                &part
                    .replace("-Infinity", "\u{1}")
                    .replace("Infinity", "\"inf\"")
                    .replace('\u{1}', "\"-inf\"")
                    .replace("NaN", "\"nan\""),
            ),
            _ => out.push_str(part),
        }
    }
    out
}

pub(super) fn import(args: &Import, output: &Output, db: &Path) -> Result<()> {
    let found = read(&args.file, args.name.as_deref())?;
    let who = protocol::user_name();
    let new = match (&found, args.new) {
        (Found::Optuna(found), true) => Some(new_of(args, found)?),
        (Found::Log(_), true) => {
            return Err(Error::invalid("--new", "a log does not say what the space is")
                .with_hint("make the study with `mle study new`, and import into it"));
        }
        (_, false) => None,
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    let argv = crate::cli::words();
    let provenance = Provenance::capture(&cwd, None, &argv);
    let how = if args.new { Open::Create } else { Open::Existing };
    let mut store = Store::open(db, how)?;
    let added = store.write(|tx| {
        let study = match &new {
            Some(new) => {
                if let Some(known) = study::outside::there(tx, Some(&new.name))?.first() {
                    let instead = "without --new it takes the trials in";
                    return Err(name_taken(&new.name, *known, instead));
                }
                study::new(tx, new, &provenance, &who)?
            }
            None => named::find_study(tx, &args.study)?,
        };
        let points = match &found {
            Found::Log(points) => points,
            Found::Optuna(found) => {
                check_goals(found, &study::objectives(tx, study::experiment(tx, study)?)?)?;
                &found.points
            }
        };
        study::add(tx, study, points, false, &who)
    })?;
    print_added(&added, output)
}

fn check_goals(found: &optuna::Found, objectives: &[(String, Goal)]) -> Result<()> {
    let own: Vec<Goal> = objectives.iter().map(|(_, goal)| *goal).collect();
    match own == found.goals {
        true => Ok(()),
        false => {
            let words = |goals: &[Goal]| {
                goals.iter().map(|goal| goal.as_str()).collect::<Vec<_>>().join(", ")
            };
            let why =
                format!("has the objectives {}, the study {}", words(&found.goals), words(&own));
            Err(Error::invalid(format!("Optuna's study \"{}\"", found.name), why))
        }
    }
}

fn new_of(args: &Import, found: &optuna::Found) -> Result<NewStudy> {
    let name =
        |at: usize| if found.goals.len() == 1 { "value".into() } else { format!("value_{at}") };
    Ok(NewStudy {
        name: args.study.clone(),
        purpose: String::new(),
        space: found.space()?,
        strategy: args.strategy.to_lowercase(),
        settings: serde_json::Map::new(),
        objectives: found.goals.iter().enumerate().map(|(at, goal)| (name(at), *goal)).collect(),
        trials: None,
        workers: 1,
        seed: 0,
        epochs: None,
        epoch_budget: None,
    })
}

pub(super) fn configs(args: &Configs, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let (trials, objectives) = store.read(|tx| {
        let study = named::find_study(tx, &args.study)?;
        let objectives = study::objectives(tx, study::experiment(tx, study)?)?;
        Ok((study::trials(tx, study)?, objectives))
    })?;
    let mut some: Vec<&crate::analysis::Trial> = trials.iter().collect();
    if let Some(top) = args.top {
        some = crate::analysis::ranking(&some, &objectives);
        some.truncate(top);
    }
    std::fs::create_dir_all(&args.out).map_err(|error| Error::io(&args.out, error))?;
    for trial in &some {
        let path = args.out.join(format!("eval_{}.{}", trial.number, args.format));
        let config = serde_json::Value::Object(nest(&trial.params));
        let text = match args.format.as_str() {
            "json" => format!("{config:#}\n"),
            _ => serde_saphyr::to_string(&config)
                .map_err(|error| Error::invalid(path.display().to_string(), error.to_string()))?,
        };
        place::write(&path, text.as_bytes(), db)?;
    }
    let text = format!("wrote {} to {}", count(some.len() as u64, "config"), args.out.display());
    output.done(&text, &json!({"configs": some.len(), "folder": path_json(&args.out)}))
}
