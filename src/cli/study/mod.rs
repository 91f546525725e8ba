//! `mle study`: searches, those of `mle run` and those that are asked and told by hand.

mod analyse;
mod edit;
mod exchange;
mod new;
mod show;
mod table;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Map, Value};

use super::input;
use super::output::Output;
use super::place;
use crate::error::{Error, Result};
use crate::search::space::Space;
use crate::spec;
pub(super) use show::{orphans_of, stand_of_searches};

/// Make, edit, analyse and check searches
///
/// A study is named by its experiment's id, name (the latest of that name) or the first four or more characters of its uid.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  mle study new toy --space space.yaml --trials 50 --objective loss:min
  mle study show toy
  mle study top toy -k 5
  mle study replay toy")]
pub struct Args {
    /// What to do; by default list
    #[command(subcommand)]
    what: Option<What>,
}

/// What can be done with studies.
#[derive(Debug, Clone, Subcommand)]
enum What {
    New(new::New),
    List(show::List),
    Show(show::Show),
    Space(edit::SpaceArgs),
    Add(edit::Add),
    WarmStart(edit::WarmStart),
    Refine(edit::Refine),
    Pause(edit::Pause),
    Resume(edit::Resume),
    Extend(edit::Extend),
    Replay(show::ReplayArgs),
    Best(analyse::Best),
    Top(analyse::Top),
    History(analyse::History),
    Importance(analyse::Importance),
    Pareto(analyse::Pareto),
    Slice(analyse::Slice),
    Parallel(analyse::Parallel),
    Compare(analyse::Compare),
    Advice(analyse::Advice),
    Export(exchange::Export),
    Import(exchange::Import),
    Configs(exchange::Configs),
}

impl Args {
    /// The file that is made when none is there.
    pub(super) fn makes(&self) -> Option<PathBuf> {
        match &self.what {
            Some(What::New(new)) => Some(place::db_of(new.name())),
            Some(What::Import(import)) => import.makes(),
            _ => None,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`]; [`Error::Invalid`]; [`Error::Failed`] when a replay finds a difference; those
/// of the store.
pub fn run(args: &Args, output: &Output, db: &Path) -> Result<()> {
    match &args.what {
        None => show::list(output, db),
        Some(What::New(args)) => new::run(args, output, db),
        Some(What::List(_)) => show::list(output, db),
        Some(What::Show(args)) => show::show(args, output, db),
        Some(What::Space(args)) => edit::space(args, output, db),
        Some(What::Add(args)) => edit::add(args, output, db),
        Some(What::WarmStart(args)) => edit::warm_start(args, output, db),
        Some(What::Refine(args)) => edit::refine(args, output, db),
        Some(What::Pause(args)) => edit::pause(args, output, db),
        Some(What::Resume(args)) => edit::resume(args, output, db),
        Some(What::Extend(args)) => edit::extend(args, output, db),
        Some(What::Replay(args)) => show::replay(args, output, db),
        Some(What::Best(args)) => analyse::best(args, output, db),
        Some(What::Top(args)) => analyse::top(args, output, db),
        Some(What::History(args)) => analyse::history(args, output, db),
        Some(What::Importance(args)) => analyse::importance(args, output, db),
        Some(What::Pareto(args)) => analyse::pareto(args, output, db),
        Some(What::Slice(args)) => analyse::slice(args, output, db),
        Some(What::Parallel(args)) => analyse::parallel(args, output, db),
        Some(What::Compare(args)) => analyse::compare(args, output, db),
        Some(What::Advice(args)) => analyse::advice(args, output, db),
        Some(What::Export(args)) => exchange::export(args, output, db),
        Some(What::Import(args)) => exchange::import(args, output, db),
        Some(What::Configs(args)) => exchange::configs(args, output, db),
    }
}

/// Reads a space from a file, or from the text itself when that begins like JSON.
fn read_space(text: &str, constraints: &[String]) -> Result<Space> {
    let document = document(text)?;
    Space::parse(&document)?.with_constraints(constraints.to_vec())
}

/// Reads a file, or the text itself when that begins like JSON.
fn document(text: &str) -> Result<Value> {
    if text.trim().is_empty() {
        let error = Error::invalid("the argument", "is empty");
        return Err(error.with_hint("name a YAML, JSON or TOML file, or write JSON itself"));
    }
    if text.trim_start().starts_with(['{', '[']) {
        return spec::value(text, "the argument");
    }
    spec::value(&input::document(Path::new(text))?, text)
}

const NO_PAIR: &str = "is not of the form NAME=VALUE";

/// Reads settings: the name is what stands before the first `=`.
fn settings(texts: &[String]) -> Result<Map<String, Value>> {
    pairs(texts.iter().map(|text| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::invalid(text.as_str(), NO_PAIR)),
    }))
}

/// Reads names with their values; what is no JSON is a text.
fn pairs(texts: impl Iterator<Item = Result<(String, String)>>) -> Result<Map<String, Value>> {
    let mut pairs = Map::new();
    for pair in texts {
        let (name, value) = pair?;
        let value = serde_json::from_str(&value).unwrap_or_else(|_| value.into());
        if pairs.insert(name.clone(), value).is_some() {
            return Err(Error::invalid(name, "is given twice"));
        }
    }
    Ok(pairs)
}
