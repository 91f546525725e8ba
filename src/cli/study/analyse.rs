//! What can be learnt from a study's trials: `mle study best`, `top`, `history`, `importance`, `pareto`, `slice`,
//! `parallel`, `compare` and `advice`.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::show::{is_from_study, json_of_best, json_of_trial, origin, where_it_is};
use crate::analysis::{self, Comparison, Contender, Trial};
use crate::cli::named;
use crate::cli::output::{Output, note, sanitize};
use crate::display::{self, json_number, number};
use crate::error::{Error, Result};
use crate::protocol::Goal;
use crate::search::space::Space;
use crate::study::{self, Summary};

/// Show the best trial; with several objectives one of the front
#[derive(Debug, Clone, Args)]
pub struct Best {
    /// Id, name or uid of the study's experiment
    study: String,
}

/// Rank the trials
///
/// By the objective; with several of them by fronts, and within a front by the first objective.
#[derive(Debug, Clone, Args)]
pub struct Top {
    /// Id, name or uid of the study's experiment
    study: String,
    /// How many to show
    #[arg(short = 'k', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
}

/// Show how the best value came about
#[derive(Debug, Clone, Args)]
pub struct History {
    /// Id, name or uid of the study's experiment
    study: String,
    #[command(flatten)]
    of: Of,
    /// Every trial that ended, not only those that improved
    #[arg(long)]
    all: bool,
}

/// Say which parameters matter
///
/// `alone` is the share of the objective's variance over the whole space that a parameter explains by itself (functional
/// ANOVA on a random forest); `among best` says how much the best trials' values of it differ from those of all trials
/// (PED-ANOVA).
#[derive(Debug, Clone, Args)]
pub struct Importance {
    /// Id, name or uid of the study's experiment
    study: String,
    #[command(flatten)]
    of: Of,
    /// The share of the trials that counts as the best
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    best: f64,
}

/// Show the trials that no other beats in all objectives, and the volume they cover
#[derive(Debug, Clone, Args)]
pub struct Pareto {
    /// Id, name or uid of the study's experiment
    study: String,
    /// What the volume is measured to, a number for each objective [default: a tenth of the range beyond the worst]
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', allow_hyphen_values = true)]
    reference: Vec<f64>,
}

/// Print each parameter's values with the objective: the data of slice plots, as JSON
#[derive(Debug, Clone, Args)]
pub struct Slice {
    /// Id, name or uid of the study's experiment
    study: String,
    #[command(flatten)]
    of: Of,
}

/// Print all trials with a place on each parameter's axis: the data of a plot in parallel coordinates, as JSON
#[derive(Debug, Clone, Args)]
pub struct Parallel {
    /// Id, name or uid of the study's experiment
    study: String,
}

/// Compare studies: how fast each got how far, and how its trials are spread
#[derive(Debug, Clone, Args)]
pub struct Compare {
    /// Ids, names or uids of the studies' experiments
    #[arg(required = true, num_args = 2..)]
    studies: Vec<String>,
    #[command(flatten)]
    of: Of,
}

/// Say what further trials can be expected to bring
///
/// An extrapolation of the last two doublings of the trials: the next is expected to improve the best value as much as the
/// last, times how much less that brought than the one before.
#[derive(Debug, Clone, Args)]
pub struct Advice {
    /// Id, name or uid of the study's experiment
    study: String,
    /// How many further trials
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    more: u64,
    #[command(flatten)]
    of: Of,
}

/// Which objective.
#[derive(Debug, Clone, Args)]
struct Of {
    /// The objective, by its name [default: the first]
    #[arg(long, value_name = "NAME")]
    objective: Option<String>,
}

fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("not a share between 0 and 1".into()),
    }
}

/// Shares of fewer trials are mostly chance.
const FEW_TRIALS: usize = 20;

/// A study as read for an analysis.
struct Read {
    name: String,
    strategy: String,
    goals: Vec<(String, Goal)>,
    space: Space,
    trials: Vec<Trial>,
    /// All studies of the file, where some trials may come from.
    studies: Vec<Summary>,
}

fn read(db: &Path, word: &str) -> Result<Read> {
    let store = crate::metric::open_to_read(db)?;
    store.read(|tx| {
        let id = named::find_study(tx, word)?;
        let summary = study::summary(tx, id)?;
        let trials = study::trials(tx, id)?;
        let has_others = trials.iter().any(|trial| !trial.asked);
        Ok(Read {
            goals: study::objectives(tx, summary.experiment)?,
            name: summary.name,
            strategy: summary.strategy,
            space: study::space(tx, id)?,
            trials,
            studies: if has_others { study::list(tx)? } else { Vec::new() },
        })
    })
}

impl Read {
    fn all(&self) -> Vec<&Trial> {
        self.trials.iter().collect()
    }

    fn objective(&self, of: &Of) -> Result<usize> {
        let Some(name) = &of.objective else { return Ok(0) };
        self.goals.iter().position(|(metric, _)| metric == name).ok_or_else(|| {
            let names: Vec<&str> = self.goals.iter().map(|(metric, _)| metric.as_str()).collect();
            Error::invalid("--objective", format!("\"{name}\" is no objective of the study"))
                .with_hint(format!("its objectives are {}", names.join(", ")))
        })
    }

    /// Those inside the space as it is now: the others have no place in it.
    fn inside(&self) -> Vec<&Trial> {
        self.trials.iter().filter(|trial| self.is_inside(trial)).collect()
    }

    fn is_inside(&self, trial: &Trial) -> bool {
        study::is_inside(&self.strategy, &self.space, &trial.params)
    }
}

pub(super) fn best(args: &Best, output: &Output, db: &Path) -> Result<()> {
    let read = read(db, &args.study)?;
    let best = analysis::ranking(&read.all(), &read.goals).first().copied();
    let best = best.ok_or_else(no_value)?;
    if output.json {
        return output.json(&json_of_best(best, read.is_inside(best)));
    }
    let values: Vec<String> = read
        .goals
        .iter()
        .zip(best.standing().unwrap_or_default())
        .map(|((metric, _), value)| format!("{metric} {}", number(*value)))
        .collect();
    let text = format!(
        "trial {}: {}{} at {}{}",
        best.number,
        values.join(", "),
        epochs(best).map_or_else(String::new, |epochs| {
            format!(" after {}", display::count(epochs, "epoch"))
        }),
        display::params_short(&best.params),
        where_it_is(read.is_inside(best))
    );
    output.line(&sanitize(&text))?;
    if read.goals.len() > 1 {
        let front = analysis::front(&read.all(), &read.goals, None).numbers.len();
        note(&match front {
            1 => "it beats all others in every objective".to_owned(),
            n => format!(
                "one of {n} that no other beats in all objectives; `mle study pareto` shows them"
            ),
        });
    }
    Ok(())
}

fn no_value() -> Error {
    Error::Failed("no trial has a value yet".into())
}

pub(super) fn top(args: &Top, output: &Output, db: &Path) -> Result<()> {
    let read = read(db, &args.study)?;
    let mut best = analysis::ranking(&read.all(), &read.goals);
    best.truncate(usize::try_from(args.top).unwrap_or(usize::MAX));
    print_trials(&read, &best, output)
}

fn print_trials(read: &Read, trials: &[&Trial], output: &Output) -> Result<()> {
    if output.json {
        return output
            .json_array(&trials.iter().map(|trial| json_of_trial(trial)).collect::<Vec<_>>());
    }
    let mut names = vec!["trial"];
    names.extend(read.goals.iter().map(|(metric, _)| metric.as_str()));
    let has_epochs = trials.iter().any(|trial| epochs(trial).is_some());
    if has_epochs {
        names.push("epochs");
    }
    let origins: Vec<Option<String>> =
        trials.iter().map(|trial| origin(trial, &read.studies)).collect();
    let has_origin = origins.iter().any(Option::is_some);
    if has_origin {
        names.push("from");
    }
    names.push("params");
    let rows: Vec<Vec<String>> = trials
        .iter()
        .zip(origins)
        .map(|(trial, origin)| {
            let mut row = vec![trial.number.to_string()];
            row.extend(trial.standing().unwrap_or_default().iter().map(|value| number(*value)));
            if has_epochs {
                row.push(epochs(trial).map_or_else(String::new, |epochs| epochs.to_string()));
            }
            if has_origin {
                row.push(origin.unwrap_or_default());
            }
            row.push(display::shorten(&display::params_short(&trial.params), 500).into_owned());
            row
        })
        .collect();
    output.table(&names, &rows, "no trial has a value yet")
}

/// Returns how long a trial was trained for the value it has, where trials have epochs.
fn epochs(trial: &Trial) -> Option<u64> {
    match (trial.epochs, trial.curve.len()) {
        (None, _) => None,
        (epochs, 0) => epochs,
        (_, n) => Some(n as u64),
    }
}

pub(super) fn history(args: &History, output: &Output, db: &Path) -> Result<()> {
    let read = read(db, &args.study)?;
    let at = read.objective(&args.of)?;
    let mut steps = analysis::history(&read.all(), &read.goals, at);
    if !args.all {
        steps.retain(|step| step.best_number == Some(step.number) && step.value.is_some());
    }
    let maybe = |value: Option<f64>| value.map_or(Value::Null, json_number);
    if output.json {
        let rows: Vec<Value> = steps
            .iter()
            .map(|step| {
                json!({"ended": step.ended, "number": step.number, "value": maybe(step.value),
                       "best": maybe(step.best), "best_number": step.best_number, "ended_at_ms": step.ended_at_ms})
            })
            .collect();
        return output.json_array(&rows);
    }
    let text = |value: Option<f64>| value.map_or_else(String::new, number);
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            vec![
                step.ended.to_string(),
                step.number.to_string(),
                text(step.value),
                text(step.best),
                crate::clock::local(step.ended_at_ms),
            ]
        })
        .collect();
    let metric = read.goals[at].0.as_str();
    output.table(&["ended", "trial", metric, "best", "at"], &rows, "no trial has ended yet")
}

pub(super) fn importance(args: &Importance, output: &Output, db: &Path) -> Result<()> {
    let read = read(db, &args.study)?;
    let at = read.objective(&args.of)?;
    let found = analysis::importance(&read.space, &read.inside(), &read.goals, at, args.best);
    let found = found.ok_or_else(|| {
        Error::Failed("it takes 4 trials with different values inside the space".into())
    })?;
    let mut order: Vec<usize> = (0..found.names.len()).collect();
    order.sort_by(|&a, &b| found.alone[b].total_cmp(&found.alone[a]));
    if output.json {
        let params: Vec<Value> = order
            .iter()
            .map(|&at| {
                json!({"name": found.names[at], "alone": found.alone[at], "among_best": found.among_best[at]})
            })
            .collect();
        let together: Vec<Value> = found
            .together
            .iter()
            .map(|(a, b, share)| json!({"names": [found.names[*a], found.names[*b]], "share": share}))
            .collect();
        return output.json(&json!({
            "objective": read.goals[at].0, "trials": found.trials, "params": params, "together": together,
        }));
    }
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let rows: Vec<Vec<String>> = order
        .iter()
        .map(|&at| {
            vec![found.names[at].clone(), percent(found.alone[at]), percent(found.among_best[at])]
        })
        .collect();
    output.table(&["parameter", "alone", "among best"], &rows, "no parameters")?;
    if found.trials < FEW_TRIALS {
        note(&format!(
            "from {} alone: little can be told from so few",
            display::count(found.trials as u64, "trial")
        ));
    }
    for (a, b, share) in found.together.iter().take(3).filter(|(_, _, share)| *share >= 0.01) {
        let names = format!("{} with {}", found.names[*a], found.names[*b]);
        output.line(&format!("{} {}", sanitize(&names), percent(*share)))?;
    }
    Ok(())
}

pub(super) fn pareto(args: &Pareto, output: &Output, db: &Path) -> Result<()> {
    let read = read(db, &args.study)?;
    if !args.reference.is_empty() && args.reference.len() != read.goals.len() {
        let why = format!(
            "{} numbers, the study has {} objectives",
            args.reference.len(),
            read.goals.len()
        );
        return Err(Error::invalid("--reference", why));
    }
    let reference = (!args.reference.is_empty()).then_some(args.reference.as_slice());
    let all = read.all();
    let front = analysis::front(&all, &read.goals, reference);
    let trials: Vec<&Trial> = front
        .numbers
        .iter()
        .filter_map(|number| all.iter().find(|trial| trial.number == *number).copied())
        .collect();
    if output.json {
        let rows: Vec<Value> = trials.iter().map(|trial| json_of_trial(trial)).collect();
        return output.json(&json!({
            "front": rows, "hypervolume": json_number(front.hypervolume), "reference": front.reference,
        }));
    }
    print_trials(&read, &trials, output)?;
    if !trials.is_empty() {
        let reference: Vec<String> = front.reference.iter().map(|value| number(*value)).collect();
        let volume = number(front.hypervolume);
        output.line(&format!(
            "hypervolume {volume}, up to the reference point ({})",
            reference.join(", ")
        ))?;
    }
    Ok(())
}

pub(super) fn slice(args: &Slice, output: &Output, db: &Path) -> Result<()> {
    let read = read(db, &args.study)?;
    let at = read.objective(&args.of)?;
    output.json(&analysis::slice(&read.space, &read.inside(), at))
}

pub(super) fn parallel(args: &Parallel, output: &Output, db: &Path) -> Result<()> {
    let read = read(db, &args.study)?;
    output.json(&analysis::parallel(&read.space, &read.inside(), &read.goals))
}

pub(super) fn compare(args: &Compare, output: &Output, db: &Path) -> Result<()> {
    let studies = args.studies.iter().map(|word| read(db, word)).collect::<Result<Vec<_>>>()?;
    let at = studies.iter().map(|read| read.objective(&args.of)).collect::<Result<Vec<_>>>()?;
    let goal = |place: usize| studies[place].goals[at[place]].1;
    if let Some(other) = (1..studies.len()).find(|place| goal(*place) != goal(0)) {
        let why = format!("is to be {}imised, that of \"{}\" is not", goal(other), studies[0].name);
        return Err(Error::invalid(format!("the objective of \"{}\"", studies[other].name), why));
    }
    let contenders: Vec<Contender<'_>> = studies
        .iter()
        .zip(&at)
        .map(|(read, at)| Contender { trials: read.all(), goals: &read.goals, at: *at })
        .collect();
    let found = analysis::compare(&contenders, 11);
    if output.json {
        return output.json(&json_of_comparison(&studies, &found));
    }
    let rounds = [1, 5, 10, 25, 50, 100, 250, 1000];
    let longest = found.courses.iter().map(|course| course.regret.len()).max().unwrap_or(0);
    let rounds: Vec<usize> = rounds.into_iter().filter(|round| *round <= longest).collect();
    let titles: Vec<String> = rounds.iter().map(|round| format!("after {round}")).collect();
    let mut names = vec!["study", "trials", "best"];
    names.extend(titles.iter().map(String::as_str));
    let rows: Vec<Vec<String>> = studies
        .iter()
        .zip(&found.courses)
        .map(|(read, course)| {
            let mut row = vec![
                read.name.clone(),
                course.regret.len().to_string(),
                course.best.map_or_else(String::new, number),
            ];
            let regret = |round: &usize| course.regret.get(round - 1).copied().flatten();
            row.extend(rounds.iter().map(|round| regret(round).map_or_else(String::new, number)));
            row
        })
        .collect();
    output.table(&names, &rows, "no studies")?;
    let mut metrics: Vec<&str> = Vec::new();
    for (read, at) in studies.iter().zip(&at) {
        let metric = read.goals[*at].0.as_str();
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    for read in &studies {
        match read.all().iter().filter(|trial| is_from_study(&trial.extra)).count() {
            0 => {}
            count => note(&format!(
                "{} of \"{}\" came from other studies of the file, and count here",
                display::count(count as u64, "trial"),
                sanitize(&read.name)
            )),
        }
    }
    if studies.iter().any(|read| read.goals.len() > 1) {
        note(&format!("by {} alone; --objective names another", sanitize(metrics[0])));
    }
    if metrics.len() > 1 {
        let metrics = metrics.join(", ");
        note(&format!(
            "their objectives have different names ({}) and may not mean the same",
            sanitize(&metrics)
        ));
    }
    output.line("after N: how far the best of the first N trials is from the best of all studies")
}

fn json_of_comparison(studies: &[Read], found: &Comparison) -> Value {
    let maybe = |value: Option<f64>| value.map_or(Value::Null, json_number);
    let rows: Vec<Value> = studies
        .iter()
        .zip(&found.courses)
        .map(|(read, course)| {
            let regret: Vec<Value> = course.regret.iter().map(|value| maybe(*value)).collect();
            json!({"name": read.name, "best": maybe(course.best), "valued": course.valued, "regret": regret,
                   "shares": course.shares})
        })
        .collect();
    json!({"best": maybe(found.best), "thresholds": found.thresholds, "studies": rows})
}

/// Returns in words what further trials are expected to bring.
fn expectation(found: &analysis::Advice, metric: &str) -> String {
    let (more, chance) = (found.more, 100.0 * found.chance);
    match found.expected {
        0.0 => format!(
            "the last half of the trials improved {metric} by nothing; the chance that another {more} improve it is \
             {chance:.0} %"
        ),
        expected => format!(
            "another {} are expected to improve {metric} by {} (chance of any improvement {chance:.0} %)",
            display::count(more, "trial"),
            number(expected)
        ),
    }
}

pub(super) fn advice(args: &Advice, output: &Output, db: &Path) -> Result<()> {
    let read = read(db, &args.study)?;
    let at = read.objective(&args.of)?;
    let (metric, goal) = &read.goals[at];
    let steps = analysis::history(&read.all(), &read.goals, at);
    let found = analysis::advice(&steps, *goal, args.more).ok_or_else(|| {
        let least = analysis::ENDED_MIN;
        Error::Failed(format!(
            "it takes {least} ended trials, and a best value that is finite, to say anything"
        ))
    })?;
    if output.json {
        return output.json(&json!({
            "objective": metric, "more": found.more, "expected": json_number(found.expected), "chance": found.chance,
            "last": json_number(found.last), "before": json_number(found.before), "range": json_number(found.range),
            "stop": found.stop, "early": found.early,
        }));
    }
    output.line(&expectation(&found, &sanitize(metric)))?;
    if read.goals.len() > 1 {
        note(&format!("of {} alone; --objective names another", sanitize(metric)));
    }
    if found.early {
        let least = analysis::STOP_MIN;
        return output
            .line(&format!("go on: with fewer than {least} ended trials that says little"));
    }
    if !found.stop && found.expected == 0.0 {
        return output.line("go on: a search that stands still so early often finds better");
    }
    let share = if found.range > 0.0 { 100.0 * found.expected / found.range } else { 0.0 };
    let verdict = if found.stop { "stop here" } else { "go on" };
    output.line(&format!(
        "{verdict}: that is {share:.1} % of the distance between the best and the median trial"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_not_expected_as_a_number() {
        let found = |expected| analysis::Advice {
            more: 20,
            expected,
            chance: 0.59,
            last: expected,
            before: 0.1,
            range: 1.0,
            stop: true,
            early: false,
        };
        let text = "another 20 trials are expected to improve loss by 0.25 (chance of any improvement 59 %)";
        assert_eq!(expectation(&found(0.25), "loss"), text);
        let text = "the last half of the trials improved loss by nothing; the chance that another 20 improve it is 59 %";
        assert_eq!(expectation(&found(0.0), "loss"), text);
    }
}
