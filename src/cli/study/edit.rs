//! `mle study space`, `add`, `warm-start`, `refine`, `pause`, `resume` and `extend`.

use std::path::Path;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{NO_PAIR, document, pairs};
use crate::cli::ask::number;
use crate::cli::named;
use crate::cli::output::{Output, note};
use crate::display::count;
use crate::error::{Error, Result};
use crate::id::StudyId;
use crate::protocol;
use crate::search::space::{Param, Space};
use crate::store::{Open, Store, WriteTx};
use crate::study::{self, Added, Point, Told};

/// Show a study's space, or replace it
///
/// Trials outside a new space stay in the file and are kept out of the model. Trials at work go on.
#[derive(Debug, Clone, Args)]
pub struct SpaceArgs {
    /// Id, name or uid of the study's experiment
    study: String,
    /// The new parameters: a YAML, JSON or TOML file, or JSON itself
    #[arg(long, value_name = "FILE|JSON")]
    set: Option<String>,
    /// An expression that each proposal meets, with --set; may be given several times [default: those the study has]
    #[arg(long, value_name = "EXPRESSION", requires = "set")]
    constraint: Vec<String>,
    /// Drop the constraints that the study has, with --set
    #[arg(long, requires = "set", conflicts_with = "constraint")]
    no_constraints: bool,
}

/// Add points by hand: known ones with their value, others to be tried next
#[derive(Debug, Clone, Args)]
pub struct Add {
    /// Id, name or uid of the study's experiment
    study: String,
    /// The point's parameters
    #[arg(value_name = "NAME=VALUE", required_unless_present = "file", conflicts_with = "file")]
    params: Vec<String>,
    /// Its value, one for each objective; without any it is handed out by the next ask
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, conflicts_with = "file")]
    value: Vec<String>,
    /// It is known to fail
    #[arg(long, conflicts_with_all = ["value", "file"])]
    failed: bool,
    /// A file with a list of points, each `{params: {…}, value: 0.3}` or with `values: [0.3, 12]`, `failed: true`, or none
    #[arg(long, value_name = "FILE|JSON")]
    file: Option<String>,
    /// Leave out points that do not fit instead of refusing all
    #[arg(long)]
    skip: bool,
}

/// Take over the trials of another study of the file
///
/// Those that ended and lie in this study's space; again it takes over only what is new.
#[derive(Debug, Clone, Args)]
pub struct WarmStart {
    /// Id, name or uid of the study's experiment
    study: String,
    /// The study to take trials from, named in the same way
    from: String,
}

/// Narrow the space to the box around the best trials
#[derive(Debug, Clone, Args)]
pub struct Refine {
    /// Id, name or uid of the study's experiment
    study: String,
    /// Around how many of the best
    #[arg(short = 'k', long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..))]
    top: u32,
}

/// Let a study ask for nothing; trials at work go on
#[derive(Debug, Clone, Args)]
pub struct Pause {
    /// Id, name or uid of the study's experiment
    study: String,
}

/// Let a paused study ask again
#[derive(Debug, Clone, Args)]
pub struct Resume {
    /// Id, name or uid of the study's experiment
    study: String,
}

/// Let a study ask for further trials, also when it is over
#[derive(Debug, Clone, Args)]
pub struct Extend {
    /// Id, name or uid of the study's experiment
    study: String,
    /// How many more
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    trials: u64,
}

/// Finds a study and changes it in one transaction.
fn change<T>(
    db: &Path,
    word: &str,
    body: impl FnOnce(&WriteTx<'_>, StudyId, &str) -> Result<T>,
) -> Result<T> {
    let who = protocol::user_name();
    let mut store = Store::open(db, Open::Existing)?;
    store.write(|tx| {
        let study = named::find_study(tx, word)?;
        body(tx, study, &who)
    })
}

pub(super) fn space(args: &SpaceArgs, output: &Output, db: &Path) -> Result<()> {
    let Some(text) = &args.set else {
        let store = crate::metric::open_to_read(db)?;
        let space = store.read(|tx| study::space(tx, named::find_study(tx, &args.study)?))?;
        return print_space(&space, output);
    };
    let document = document(text)?;
    let (inside, outside, gone, new) = change(db, &args.study, |tx, study, who| {
        let old = study::space(tx, study)?;
        let space = Space::parse(&document)?;
        let space = match (args.constraint.is_empty(), args.no_constraints) {
            (true, false) => space
                .with_constraints(old.constraints().into_iter().map(str::to_owned).collect())
                .map_err(|error| {
                    error.with_hint(
                        "--constraint replaces those of the study, --no-constraints drops them",
                    )
                })?,
            _ => space.with_constraints(args.constraint.clone())?,
        };
        let params = old.params().iter().filter(|param| space.param(&param.name).is_none());
        let gone: Vec<String> = params.map(|param| param.name.clone()).collect();
        let is_new = |param: &&Param| old.param(&param.name).is_none() && param.missing.is_none();
        let params = space.params().iter().filter(is_new);
        let new: Vec<String> = params.map(|param| param.name.clone()).collect();
        let (inside, outside) = study::set_space(tx, study, &space, who)?;
        Ok((inside, outside, gone, new))
    })?;
    if !gone.is_empty() {
        note(&format!("no parameter any more: {}", crate::display::sanitize(&gone.join(", "))));
    }
    if outside > 0 && !new.is_empty() {
        note(&format!(
            "trials without a new parameter are outside, unless it says what they count as having: {}",
            crate::display::sanitize(&format!("{}: {{…, missing: VALUE}}", new.join(", ")))
        ));
    }
    let are = if inside == 1 { "is" } else { "are" };
    let trials = count(inside, "trial");
    let text = format!("{trials} {are} inside the new space, {outside} outside");
    output.done(&text, &json!({"inside": inside, "outside": outside}))
}

fn print_space(space: &Space, output: &Output) -> Result<()> {
    if output.json {
        let value = json!({"space": space.to_json(), "constraints": space.constraints(),
                           "size": space.size().map(|size| size.to_string())});
        return output.json(&value);
    }
    let rows: Vec<Vec<String>> = space
        .describe()
        .into_iter()
        .map(|row| vec![row.name, row.kind.to_owned(), row.range])
        .collect();
    output.table(&["parameter", "type", "values"], &rows, "no parameters")?;
    space
        .constraints()
        .iter()
        .try_for_each(|text| output.line(&format!("constraint {}", crate::display::sanitize(text))))
}

pub(super) fn add(args: &Add, output: &Output, db: &Path) -> Result<()> {
    let from_file = args.file.as_ref().map(|file| points(&document(file)?)).transpose()?;
    let told = told(args)?;
    let added = change(db, &args.study, |tx, study, who| {
        let points = match from_file {
            Some(points) => points,
            None => {
                let params = params(&args.params, &study::space(tx, study)?)?;
                let extra = json!({"source": "hand"});
                vec![Point { params, told, curve: Vec::new(), extra, times: None }]
            }
        };
        study::add(tx, study, &points, !args.skip, who)
    })?;
    print_added(&added, output)
}

/// Returns what the options say of a point.
fn told(args: &Add) -> Result<Option<Told>> {
    let values = args.value.iter().map(|text| number("--value", text));
    let values = values.collect::<Result<Vec<f64>>>()?;
    Ok(match (args.failed, values.is_empty()) {
        (true, _) => Some(Told::Failed),
        (_, true) => None,
        _ => Some(Told::Complete(values)),
    })
}

/// Reads `NAME=VALUE` texts. Names and values may have a `=` of their own: a parameter of the space is meant, the one with
/// the longest name, and otherwise all up to the last `=`.
fn params(texts: &[String], space: &Space) -> Result<Map<String, Value>> {
    let split = |text: &String| {
        let known = |at: &usize| space.param(&text[..*at]).is_some();
        let mut places = text.match_indices('=').map(|(at, _)| at).rev();
        let at = places.clone().find(known).or(places.next());
        let at = at.ok_or_else(|| Error::invalid(text.as_str(), NO_PAIR))?;
        Ok((text[..at].to_owned(), text[at + 1..].to_owned()))
    };
    pairs(texts.iter().map(split))
}

/// Reads a list of points.
fn points(list: &Value) -> Result<Vec<Point>> {
    let Value::Array(list) = list else {
        return Err(Error::invalid("points", "are no list")
            .with_hint("write [{\"params\": {…}, \"value\": 0.3}, …]"));
    };
    list.iter().enumerate().map(|(at, entry)| point(entry, at)).collect()
}

/// What a point of a list may have.
const POINT_KEYS: [&str; 4] = ["params", "value", "values", "failed"];

fn point(entry: &Value, at: usize) -> Result<Point> {
    let bad = |why: &str| Error::invalid(format!("point {at}"), why);
    let keys = entry.as_object().into_iter().flat_map(Map::keys);
    if let Some(key) = keys.into_iter().find(|key| !POINT_KEYS.contains(&key.as_str())) {
        return Err(crate::words::unknown(&format!("a key of point {at}"), key, &POINT_KEYS));
    }
    if entry.get("failed").is_some_and(|failed| !failed.is_boolean()) {
        return Err(bad("has a `failed` that is neither true nor false"));
    }
    let params: Map<String, Value> =
        entry["params"].as_object().cloned().ok_or_else(|| bad("has no params"))?;
    let list = match (entry.get("values"), entry.get("value")) {
        (Some(Value::Array(list)), None) => Some(list.clone()),
        (None, Some(value)) => Some(vec![value.clone()]),
        (None, None) => None,
        _ => return Err(bad("has values that are no list, or both value and values")),
    };
    let values = list.map(|list| {
        let numbers = list
            .iter()
            .map(|value| study::number(value).ok_or_else(|| bad("has a value that is no number")));
        numbers.collect::<Result<Vec<f64>>>()
    });
    let told = match (entry["failed"].as_bool(), values.transpose()?) {
        (Some(true), Some(_)) => return Err(bad("has a value, and failed")),
        (Some(true), None) => Some(Told::Failed),
        (_, Some(values)) => Some(Told::Complete(values)),
        _ => None,
    };
    Ok(Point { params, told, curve: Vec::new(), extra: json!({"source": "hand"}), times: None })
}

/// Points left out whose reasons are shown.
const SHOWN: usize = 5;

pub(super) fn print_added(added: &Added, output: &Output) -> Result<()> {
    let left_out: Vec<Value> =
        added.left_out.iter().map(|(at, why)| json!({"point": at, "why": why})).collect();
    if output.json {
        return output.json(&json!({"numbers": added.numbers, "left_out": left_out}));
    }
    for (at, why) in added.left_out.iter().take(SHOWN) {
        note(&format!("left out point {at}: {}", crate::display::sanitize(why)));
    }
    if added.left_out.len() > SHOWN {
        let more = added.left_out.len() - SHOWN;
        note(&format!("and {more} more; `--json` has the reasons of all"));
    }
    let left_out = match added.left_out.len() {
        0 => String::new(),
        n => format!(", left out {n}"),
    };
    output.line(&format!("added {}{left_out}", count(added.numbers.len() as u64, "trial")))
}

pub(super) fn warm_start(args: &WarmStart, output: &Output, db: &Path) -> Result<()> {
    let added = change(db, &args.study, |tx, study, who| {
        let from = named::find_study(tx, &args.from)?;
        study::warm_start(tx, study, from, who)
    })?;
    print_added(&added, output)
}

pub(super) fn refine(args: &Refine, output: &Output, db: &Path) -> Result<()> {
    let k = usize::try_from(args.top).unwrap_or(usize::MAX);
    let (space, inside, all) = change(db, &args.study, |tx, study, who| {
        let space = study::refine(tx, study, k, who)?;
        let trials = study::trials(tx, study)?;
        let inside = trials.iter().filter(|trial| space.contains(&trial.params)).count();
        Ok((space, inside, trials.len()))
    })?;
    print_space(&space, output)?;
    if !output.json {
        note(&format!(
            "{inside} of {} are inside; a larger -k leaves more room",
            count(all as u64, "trial")
        ));
    }
    Ok(())
}

pub(super) fn pause(args: &Pause, output: &Output, db: &Path) -> Result<()> {
    let changed = change(db, &args.study, study::pause)?;
    let text = if changed { "paused" } else { "was paused already" };
    output.done(text, &json!({"state": "paused", "changed": changed}))
}

pub(super) fn resume(args: &Resume, output: &Output, db: &Path) -> Result<()> {
    let changed = change(db, &args.study, study::resume)?;
    let text = if changed { "goes on" } else { "was not paused" };
    output.done(text, &json!({"state": "open", "changed": changed}))
}

pub(super) fn extend(args: &Extend, output: &Output, db: &Path) -> Result<()> {
    let max = change(db, &args.study, |tx, study, who| study::extend(tx, study, args.trials, who))?;
    output.done(&format!("may ask for {max} trials in all"), &json!({"trials": max}))
}
