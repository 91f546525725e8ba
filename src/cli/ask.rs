//! `mle ask` and `mle tell`: a search for programs in any language, through the file.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::named;
use super::output::{Output, note, sanitize};
use crate::display;
use crate::error::{Error, Result};
use crate::id::StudyId;
use crate::protocol::{self, Aggregate, Goal, Objective, ValueFrom};
use crate::search::strategy::EXTERNAL;
use crate::store::{Open, Store};
use crate::study::memory::AT_ONCE;
use crate::study::{self, Answer, Memory, Nothing, Told, Wanted};

/// Ask a study what to try next
///
/// Prints trials, each with its number and parameters; they are at work from now on, until they are told. Any number of
/// processes may ask at once. No trials and a word on standard error mean that nothing is left, or that a trial at work
/// must be told first.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  mle study new toy --space '{\"lr\": {\"type\": \"real\", \"low\": 0, \"high\": 1}}' --trials 20
  mle ask toy -n 4 --json
  mle tell toy 0 value=0.3")]
pub struct AskArgs {
    /// Id, name or uid of the study's experiment
    #[arg(value_name = "STUDY")]
    study: String,
    /// How many trials
    #[arg(short, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    n: u64,
}

/// Tell a study how a trial ended
///
/// With a value for each objective, by its name or, where there is one, as `value`; or with --failed or --pruned. With
/// --curve alone the value is the curve's last one (of a race over seeds, their mean). A trial ends once: telling it again
/// changes nothing and ends with code 2.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  mle tell toy 0 value=0.3
  mle tell toy 1 loss=0.3 latency=12
  mle tell toy 2 --curve 0.9,0.7,0.5
  mle tell toy 3 --failed")]
pub struct TellArgs {
    /// Id, name or uid of the study's experiment
    #[arg(value_name = "STUDY")]
    study: String,
    /// The trial's number
    #[arg(value_name = "TRIAL")]
    trial: u64,
    /// The objectives
    #[arg(value_name = "NAME=NUMBER", required_unless_present_any = ["failed", "pruned", "curve"])]
    values: Vec<String>,
    /// The first objective after each epoch so far
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_hyphen_values = true)]
    curve: Vec<String>,
    /// It gave no value
    #[arg(long, conflicts_with_all = ["values", "pruned"])]
    failed: bool,
    /// It was stopped early
    #[arg(long, conflicts_with = "values")]
    pruned: bool,
}

/// Runs `mle ask`.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`]; [`Error::Invalid`]; those of the store.
pub fn ask(args: &AskArgs, output: &Output, db: &Path) -> Result<()> {
    let who = protocol::user_name();
    let mut store = Store::open(db, Open::Existing)?;
    let (study, is_external, has_jobs) = store.read(|tx| {
        let study = named::find_study(tx, &args.study)?;
        let is_external = study::summary(tx, study)?.strategy == EXTERNAL;
        Ok((study, is_external, !study::is_by_hand(tx, study)?))
    })?;
    study::asked_for(args.n)?;
    let mut memory = Memory::default();
    let mut answer = Answer { trials: Vec::new(), nothing: None };
    let mut missing = None;
    while answer.nothing.is_none() && (answer.trials.len() as u64) < args.n {
        let left = args.n - answer.trials.len() as u64;
        match ask_some(&mut store, &mut memory, study, left, &who) {
            Ok(more) => {
                answer.trials.extend(more.trials);
                answer.nothing = more.nothing;
            }
            Err(error) if answer.trials.is_empty() => return Err(error),
            // Those that are at work by now must be heard of.
            Err(error) => {
                missing = Some(error);
                break;
            }
        }
    }
    print_answer(&answer, is_external, output)?;
    if has_jobs && !answer.trials.is_empty() {
        let study = sanitize(&args.study);
        note(&format!(
            "jobs do the trials of {study}, but none does these: they wait for `mle tell {study} NUMBER …`"
        ));
    }
    if let Some(error) = missing {
        note(&format!(
            "asked for {} more in vain: {}",
            args.n - answer.trials.len() as u64,
            sanitize(&error.to_string())
        ));
    }
    Ok(())
}

/// Asks for some of the trials in a transaction that holds others up for a moment only: slow proposals are worked out before
/// it, one a transaction.
fn ask_some(
    store: &mut Store,
    memory: &mut Memory,
    study: StudyId,
    left: u64,
    who: &str,
) -> Result<Answer> {
    let n = store.read(|tx| {
        study::prepare(tx, memory, study)?;
        let points = study::points_to_try(tx, study, AT_ONCE)?.len() as u64;
        Ok(if points > 0 { points } else { memory.at_once() })
    })?;
    memory.write(store, |tx, memory| study::ask(tx, memory, study, n.min(left), who))
}

fn print_answer(answer: &Answer, is_external: bool, output: &Output) -> Result<()> {
    if output.json {
        return output.json(&json_of(answer));
    }
    for trial in &answer.trials {
        let epochs =
            trial.epochs.map_or_else(String::new, |epochs| format!(" (to epoch {epochs})"));
        let from = trial.from.map_or_else(String::new, |from| {
            format!(" from trial {} after epoch {}", from.number, from.epochs)
        });
        let params = display::params(&trial.params);
        output.line(&format!("{} {}{epochs}{from}", trial.number, sanitize(&params)))?;
    }
    match answer.nothing {
        Some(Nothing::Exhausted) => note("nothing is left to ask for"),
        Some(Nothing::Wait) if is_external => {
            note(
                "no point is there: those of this study come from another program, or from `mle study add`",
            );
        }
        Some(Nothing::Wait) => note("nothing more before a trial at work is told"),
        None => {}
    }
    Ok(())
}

fn json_of(answer: &Answer) -> Value {
    let trial = |trial: &Wanted| {
        let mut value = json!({"number": trial.number, "params": trial.params});
        if let Some(epochs) = trial.epochs {
            value["epochs"] = epochs.into();
            value["resumed"] = trial.resumed.into();
        }
        if let Some(from) = trial.from {
            value["from"] = json!({"number": from.number, "epochs": from.epochs});
        }
        value
    };
    json!({
        "trials": answer.trials.iter().map(trial).collect::<Vec<_>>(),
        "exhausted": answer.nothing == Some(Nothing::Exhausted), "wait": answer.nothing == Some(Nothing::Wait),
    })
}

/// Runs `mle tell`.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`]; [`Error::Invalid`]; those of the store.
pub fn tell(args: &TellArgs, output: &Output, db: &Path) -> Result<()> {
    let who = protocol::user_name();
    let curve =
        args.curve.iter().map(|text| number("--curve", text)).collect::<Result<Vec<_>>>()?;
    let mut store = Store::open(db, Open::Existing)?;
    store.write(|tx| {
        let study = named::find_study(tx, &args.study)?;
        let told = match (args.failed, args.pruned) {
            (true, _) => Told::Failed,
            (_, true) => Told::Pruned,
            _ => {
                let experiment = study::experiment(tx, study)?;
                let objectives = study::objectives(tx, experiment)?;
                Told::Complete(if args.values.is_empty() {
                    let races = study::summary(tx, study)?.strategy == "racing";
                    vec![value_of_curve(&curve, &protocol::objectives(tx, experiment)?, races)?]
                } else {
                    values(&args.values, &objectives)?
                })
            }
        };
        if !curve.is_empty() {
            let known = study::legs(tx, study, args.trial)?;
            check_curve(args.trial, &known, curve.len(), matches!(told, Told::Complete(_)))?;
        }
        study::tell(tx, study, args.trial, &told, &curve, &who)
    })?;
    let state = match (args.failed, args.pruned) {
        (true, _) => "failed",
        (_, true) => "pruned",
        _ => "complete",
    };
    let text = format!("trial {} is {state}", args.trial);
    output.done(&text, &json!({"number": args.trial, "state": state}))
}

/// Refuses a curve that is not what was asked for: rules that compare trials take each value as that of its epoch.
fn check_curve(trial: u64, asked: &study::Legs, told: usize, is_complete: bool) -> Result<()> {
    let Some(epochs) = asked.epochs.and_then(|epochs| usize::try_from(epochs).ok()) else {
        return Ok(());
    };
    let what = if asked.are_seeds { "seeds" } else { "epochs" };
    let before = match asked.known {
        0 => String::new(),
        known => format!(", the {known} that were told before among them"),
    };
    let refuse = |why: String, hint: &str| {
        Err(Error::invalid("--curve", format!("has {told} values, {why}{before}")).with_hint(hint))
    };
    if told > epochs {
        let why = format!("trial {trial} was to reach {epochs} {what}");
        return refuse(why, "leave out what goes beyond");
    }
    if is_complete && told < epochs {
        let why = format!("trial {trial} was asked for {epochs}, one for each of its {what}");
        return refuse(why, "tell it with --pruned when it stopped early, or give the value alone");
    }
    Ok(())
}

/// Returns what a trial is worth of which only the curve is told: its last value, or the best or the mean one where the
/// objective says so. Of a race over seeds, where it has a value for each seed, the mean.
fn value_of_curve(curve: &[f64], objectives: &[Objective], races: bool) -> Result<f64> {
    let objective = match objectives {
        [] => None,
        [one] => Some(one),
        several => {
            let names: Vec<&str> = several.iter().map(|it| it.metric.as_str()).collect();
            return Err(Error::invalid("--curve", "is of the first objective alone")
                .with_hint(format!("give a value for each of {}", names.join(", "))));
        }
    };
    if races && objective.is_some_and(|it| it.aggregate != Aggregate::Mean) {
        return Err(Error::invalid(
            "--curve",
            "alone is the mean of the seeds, and the study wants another value",
        )
        .with_hint("give the value too, as value=0.5"));
    }
    // NaN are left out, as in what a run is valued by.
    let numbers = || curve.iter().copied().filter(|value| !value.is_nan());
    let from = objective.map_or(ValueFrom::Last, |it| it.value_from);
    let is_large_good = objective.is_some_and(|it| it.goal == Goal::Max);
    Ok(match from {
        _ if races => numbers().sum::<f64>() / numbers().count() as f64,
        ValueFrom::Mean => numbers().sum::<f64>() / numbers().count() as f64,
        ValueFrom::Last => curve.last().copied().unwrap_or(f64::NAN),
        ValueFrom::Best if is_large_good => numbers().reduce(f64::max).unwrap_or(f64::NAN),
        ValueFrom::Best => numbers().reduce(f64::min).unwrap_or(f64::NAN),
    })
}

/// Reads `NAME=NUMBER` texts as one number for each objective, in the study's order.
pub(super) fn values(texts: &[String], objectives: &[(String, Goal)]) -> Result<Vec<f64>> {
    let mut values: Vec<Option<f64>> = vec![None; objectives.len()];
    for text in texts {
        let (name, value) = match text.rsplit_once('=') {
            Some(pair) => pair,
            // Of one objective there is no doubt.
            None if objectives.len() == 1 => ("value", text.as_str()),
            None => return Err(Error::invalid(text.as_str(), "is not of the form NAME=NUMBER")),
        };
        let at = objectives.iter().position(|(metric, _)| metric == name);
        let at = at.or((name == "value" && objectives.len() == 1).then_some(0));
        let Some(at) = at else {
            let names: Vec<&str> = objectives.iter().map(|(metric, _)| metric.as_str()).collect();
            return Err(Error::invalid(name, "is no objective of the study")
                .with_hint(format!("its objectives are {}", names.join(", "))));
        };
        if values[at].replace(number(name, value)?).is_some() {
            return Err(Error::invalid(name, "is given twice"));
        }
    }
    let missing = values.iter().position(Option::is_none);
    match missing {
        Some(at) => Err(Error::invalid(objectives[at].0.as_str(), "has no value")),
        None => Ok(values.into_iter().flatten().collect()),
    }
}

/// Reads a number as people write it.
pub(super) fn number(what: &str, text: &str) -> Result<f64> {
    match study::number(&Value::from(text)) {
        None => Err(Error::invalid(what, format!("\"{text}\" is no number"))),
        Some(number) if number.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) => {
            let why = format!("\"{text}\" is beyond all numbers, the largest is 1.8e308");
            Err(Error::invalid(what, why).with_hint("write inf where infinity is meant"))
        }
        Some(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_alone_has_the_value_that_the_objective_says() {
        let objective = |from, goal| Objective {
            metric: "m".into(),
            goal,
            value_from: from,
            aggregate: Aggregate::Mean,
        };
        let curve = [0.9, 0.25, f64::NAN, 0.5];
        let of = |from, goal| value_of_curve(&curve, &[objective(from, goal)], false).unwrap();
        assert_eq!(of(ValueFrom::Last, Goal::Max), 0.5);
        assert_eq!(of(ValueFrom::Best, Goal::Min), 0.25);
        assert_eq!(of(ValueFrom::Best, Goal::Max), 0.9);
        assert!((of(ValueFrom::Mean, Goal::Min) - 0.55).abs() < 1e-12);
        assert!(value_of_curve(&curve[..3], &[], false).unwrap().is_nan());
        let last = objective(ValueFrom::Last, Goal::Min);
        assert_eq!(value_of_curve(&[1.0, 3.0], std::slice::from_ref(&last), true).unwrap(), 2.0);
        let two = value_of_curve(&curve, &[last.clone(), last.clone()], false);
        assert_eq!(two.unwrap_err().to_string(), "--curve: is of the first objective alone");
        let median = Objective { aggregate: Aggregate::P50, ..last };
        assert!(value_of_curve(&curve, &[median], true).is_err());
    }
}
