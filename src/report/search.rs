//! What a search found, as pictures: how the best value came about, which parameters matter, and each against the value.

use std::collections::HashMap;

use serde::Serialize;

use super::chart::{self, Axis, Scale};
use crate::analysis::{self, Trial};
use crate::display;
use crate::error::Result;
use crate::id::ExperimentId;
use crate::protocol::Goal;
use crate::search::domain::{Domain, Prior};
use crate::search::space::Param;
use crate::store::ReadTx;
use crate::study;

/// The most dots of a plot.
const DOT_MAX: usize = 1000;
/// The most parameters that have a plot each.
const SLICE_MAX: usize = 12;
/// The most trials that the importance is worked out from.
const IMPORTANCE_MAX: usize = 500;
/// The most trials of a front that have a row.
const FRONT_MAX: usize = 30;
/// The most of the best trials that have a row.
const TOP_MAX: usize = 10;
/// The share of the trials that counts as the best.
const BEST_SHARE: f64 = 0.1;

/// A picture and what it shows.
#[derive(Debug, Serialize)]
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) svg: String,
}

/// The pictures of a search, and the importance as texts for those who cannot see it.
#[derive(Debug, Serialize)]
pub(super) struct Search {
    pub(super) summary: String,
    pub(super) plots: Vec<Plot>,
    pub(super) slices: Vec<Plot>,
    /// Parameter, share of the variance it explains alone, share of what the best have in common.
    pub(super) importance: Vec<(String, String, String)>,
    /// Where there are several objectives the trials of the front; else, where no runs stand on a leaderboard, the best.
    pub(super) table: Option<Table>,
}

/// Some trials, each with its objectives and parameters.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    /// Which they are.
    pub(super) title: &'static str,
    pub(super) metrics: Vec<String>,
    pub(super) rows: Vec<TableRow>,
    /// So many more have no row.
    pub(super) left_out: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct TableRow {
    pub(super) trial: u64,
    pub(super) values: Vec<String>,
    pub(super) params: String,
}

/// Draws the search of an experiment; `None` for other experiments, and as long as no trial has a value.
pub(super) fn search(tx: &ReadTx, id: ExperimentId) -> Result<Option<Search>> {
    let Some(study) = study::of_experiment(tx, id)? else { return Ok(None) };
    let goals = study::objectives(tx, id)?;
    let Some((metric, _)) = goals.first().cloned() else { return Ok(None) };
    let summary = study::summary(tx, study)?;
    let (space, trials) = (study::space(tx, study)?, study::trials(tx, study)?);
    let all: Vec<&Trial> = trials.iter().collect();
    let inside: Vec<&Trial> = (trials.iter())
        .filter(|trial| trial.values().is_some())
        .filter(|trial| study::is_inside(&summary.strategy, &space, &trial.params))
        .collect();
    let mut plots = Vec::new();
    plots.extend(best_so_far(&all, &goals, &metric));
    if plots.is_empty() {
        return Ok(None);
    }
    let front = if goals.len() > 1 { front_of(&all, &goals) } else { Vec::new() };
    if let [(across, _), (up, _)] = &goals[..] {
        plots.extend(trade_off(&all, &front, across, up));
    }
    let importance =
        analysis::importance(&space, &spread(&inside, IMPORTANCE_MAX), &goals, 0, BEST_SHARE);
    let mut order: Vec<&Param> = space.searched().collect();
    let mut texts = Vec::new();
    if let Some(found) = &importance {
        let alone =
            |name: &str| found.names.iter().position(|it| it == name).map(|at| found.alone[at]);
        order.sort_by(|a, b| {
            let (a, b) = (alone(&a.name).unwrap_or(0.0), alone(&b.name).unwrap_or(0.0));
            b.total_cmp(&a)
        });
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let mut bars = Vec::new();
        for param in order.iter().take(20) {
            let Some(at) = found.names.iter().position(|it| *it == param.name) else { continue };
            bars.push((param.name.clone(), found.alone[at], percent(found.alone[at])));
            texts.push((
                param.name.clone(),
                percent(found.alone[at]),
                percent(found.among_best[at]),
            ));
        }
        if let Some(svg) =
            chart::bars(&bars, &format!("how much of {metric} each parameter explains"))
        {
            let title =
                format!("Share of the variance of {metric} that a parameter explains alone");
            plots.push(Plot { title, svg });
        }
    }
    let table = match goals.len() {
        1 if study::is_by_hand(tx, study)? => {
            let best = analysis::ranking(&all, &goals);
            Some(table_of("The best trials", &best, TOP_MAX, &goals))
        }
        1 => None,
        _ => Some(table_of(
            "Trials that no other beats in all objectives",
            &front,
            FRONT_MAX,
            &goals,
        )),
    };
    let slices = order.iter().take(SLICE_MAX);
    Ok(Some(Search {
        summary: format!(
            "{} search, {} of {} trials complete",
            summary.strategy, summary.complete, summary.trials
        ),
        slices: slices.filter_map(|param| slice(param, &inside, &metric)).collect(),
        plots,
        importance: texts,
        table,
    }))
}

/// Returns the trials of the front, the best in the first objective first.
fn front_of<'a>(trials: &[&'a Trial], goals: &[(String, Goal)]) -> Vec<&'a Trial> {
    let by_number: HashMap<u64, &Trial> = trials.iter().map(|it| (it.number, *it)).collect();
    let numbers = analysis::front(trials, goals, None).numbers;
    numbers.iter().filter_map(|number| by_number.get(number).copied()).collect()
}

fn table_of(
    title: &'static str,
    trials: &[&Trial],
    most: usize,
    goals: &[(String, Goal)],
) -> Table {
    let row = |trial: &&Trial| TableRow {
        trial: trial.number,
        values: trial.standing().into_iter().flatten().map(|it| display::number(*it)).collect(),
        params: display::params_short(&trial.params),
    };
    let word = |(metric, goal): &(String, Goal)| format!("{metric} ({})", goal.as_str());
    Table {
        title,
        metrics: goals.iter().map(word).collect(),
        rows: trials.iter().take(most).map(row).collect(),
        left_out: i64::try_from(trials.len().saturating_sub(most)).unwrap_or(i64::MAX),
    }
}

/// Draws two objectives against each other, with a line through the front.
fn trade_off(trials: &[&Trial], front: &[&Trial], across: &str, up: &str) -> Option<Plot> {
    let dot = |trial: &&Trial| match trial.standing()? {
        [x, y] if x.is_finite() && y.is_finite() => Some((*x, *y)),
        _ => None,
    };
    let dots: Vec<(f64, f64)> = trials.iter().filter_map(dot).collect();
    let dots = spread(&dots, DOT_MAX);
    let line: Vec<(f64, f64)> = front.iter().filter_map(dot).collect();
    let all = || dots.iter().chain(&line);
    let x = Axis::across(all().map(|dot| dot.0), Scale::Auto)?;
    let y = Axis::up(all().map(|dot| dot.1), Scale::Auto)?;
    let svg = chart::scatter(&x, &y, &dots, &line, None, across, up);
    Some(Plot {
        title: format!("{across} against {up}; the line joins trials no other beats in both"),
        svg,
    })
}

/// At most so many of them, evenly spread, the last one too.
fn spread<T: Copy>(all: &[T], most: usize) -> Vec<T> {
    if all.len() <= most {
        return all.to_vec();
    }
    (0..most).map(|i| all[(i + 1) * all.len() / most - 1]).collect()
}

fn best_so_far(trials: &[&Trial], goals: &[(String, Goal)], metric: &str) -> Option<Plot> {
    let steps = analysis::history(trials, goals, 0);
    let mut line = Vec::new();
    for step in &steps {
        let (x, Some(best)) = (step.ended as f64, step.best) else { continue };
        // A stair: the old best holds until the trial that improved it.
        if let Some((_, before)) = line.last().copied().filter(|(_, before)| *before != best) {
            line.push((x, before));
            line.push((x, best));
        } else if line.is_empty() || step.ended == steps.len() as u64 {
            line.push((x, best));
        }
    }
    let dots: Vec<(f64, f64)> = (spread(&steps.iter().collect::<Vec<_>>(), DOT_MAX).iter())
        .filter_map(|step| Some((step.ended as f64, step.value?)))
        .collect();
    let values = || dots.iter().chain(&line).map(|dot| dot.1);
    let x = Axis::across(dots.iter().chain(&line).map(|dot| dot.0), Scale::Linear)?;
    let y = Axis::up(values(), Scale::Auto)?;
    let svg = chart::scatter(&x, &y, &dots, &line, None, "trials that ended", metric);
    Some(Plot { title: format!("{metric} of each trial, and the best so far"), svg })
}

fn slice(param: &Param, trials: &[&Trial], metric: &str) -> Option<Plot> {
    let valued = trials.iter().filter_map(|trial| {
        let value = *trial.values()?.first()?;
        Some((trial.params.get(&param.name)?, value)).filter(|(_, value)| value.is_finite())
    });
    let valued: Vec<(&serde_json::Value, f64)> = valued.collect();
    let valued = spread(&valued, DOT_MAX);
    let y = Axis::up(valued.iter().map(|it| it.1), Scale::Auto)?;
    let (x, dots, marks) = match &param.domain {
        Domain::Numeric(numeric) => {
            let dots: Vec<(f64, f64)> =
                valued.iter().filter_map(|(at, value)| Some((at.as_f64()?, *value))).collect();
            let is_log = matches!(numeric.prior, Prior::Log | Prior::Lognormal { .. });
            let scale = if is_log { Scale::Log } else { Scale::Linear };
            let axis = Axis::across(dots.iter().map(|dot| dot.0), scale)?;
            (if numeric.integer { axis.whole() } else { axis }, dots, None)
        }
        Domain::List { choices, .. } => {
            let place = |at: &serde_json::Value| choices.iter().position(|choice| choice == at);
            let dots: Vec<(f64, f64)> = (valued.iter())
                .filter_map(|(at, value)| Some((place(at)? as f64, *value)))
                .collect();
            let most = choices.len().saturating_sub(1) as f64;
            let names: Vec<String> = choices.iter().map(display::param).collect();
            (Axis::across([-0.5, most + 0.5].into_iter(), Scale::Linear)?, dots, Some(names))
        }
        Domain::Fixed(_) => return None,
    };
    if dots.is_empty() {
        return None;
    }
    let svg = chart::scatter(&x, &y, &dots, &[], marks.as_deref(), &param.name, metric);
    Some(Plot { title: format!("{metric} by {}", param.name), svg })
}
