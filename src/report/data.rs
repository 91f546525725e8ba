//! What a report says, gathered from the file as texts and numbers; how it looks is for others.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::chart;
use crate::clock;
use crate::display::{self, number};
use crate::error::Result;
use crate::id::{ConfigId, ExperimentId, JobId, RunId};
use crate::metric;
use crate::protocol::{self, Detail, Goal, Objective, RunState};
use crate::sql::named;
use crate::store::{ReadTx, Row, named_params};

const TEXT: &str = include_str!("../../sql/report.sql");
const BEST_SMALL: &str = named(TEXT, "best_configs_when_small_is_good");
const BEST_LARGE: &str = named(TEXT, "best_configs_when_large_is_good");
const SEEDS_OF_PLAN: &str = named(TEXT, "seeds_of_plan");
const FAILED_CONFIGS: &str = named(TEXT, "failed_configs");
const COUNT_FAILED: &str = named(TEXT, "count_failed_configs");
const RUNS_OF_COMMANDS: &str = named(TEXT, "runs_of_commands");
const COUNT_SCORES: &str = named(TEXT, "count_scores");
const COUNT_PRUNED_RUNS: &str = named(TEXT, "count_pruned_runs");
const FIRST_CONFIGS: &str = named(TEXT, "first_configs");
const COUNT_RUNS: &str = named(TEXT, "count_runs");
const RUNS_OF_CONFIG: &str = named(TEXT, "runs_of_config");
const METRICS: &str = named(TEXT, "metrics_of_first_runs");

/// The most rows of a table of configs.
const PLACE_MAX: i64 = 50;
/// The most configs that failed in it.
const FAILED_MAX: i64 = 20;
/// The most rows of a table of runs.
const RUN_MAX: i64 = 200;
/// The most lines in a chart: as many as there are colours.
const CURVE_MAX: usize = 8;
/// The most seeds in a line.
const SEED_MAX: i64 = 20;
/// The most charts.
const CHART_MAX: usize = 6;
/// The most points of a line.
const POINT_MAX: usize = 200;

/// A config of a leaderboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// From 1; configs with the same mean share a place.
    pub place: usize,
    /// Which config.
    pub config: ConfigId,
    /// What its runs are called.
    pub name: String,
    /// The mean over seeds.
    pub mean: f64,
    /// The 95 % bootstrap interval of the mean; one seed has none.
    pub interval: Option<(f64, f64)>,
    /// The standard deviation over seeds (population).
    pub std: Option<f64>,
    /// The mean of the middle half.
    pub iqm: Option<f64>,
    /// The median.
    pub median: Option<f64>,
    /// Seeds with a finite value.
    pub seeds: i64,
    /// Seeds that ended without one.
    pub failed: i64,
    /// Of how many seeds it is still to run some, or was not to any more: its mean may be that of a lucky one.
    pub incomplete: Option<i64>,
    /// How long it was trained for its value, where a search decides that.
    pub epochs: Option<i64>,
    /// The config itself.
    pub params: Map<String, Value>,
}

impl Place {
    /// Returns what its value is of: `3`, `2/3` where one of three failed, `1 of 3` where two did not end.
    pub fn seeds_text(&self) -> String {
        match (self.incomplete, self.failed) {
            (Some(planned), 0) => format!("{} of {planned}", self.seeds),
            (Some(planned), failed) => format!("{} of {planned}, {failed} failed", self.seeds),
            (None, 0) => self.seeds.to_string(),
            (None, failed) => format!("{}/{}", self.seeds, self.seeds + failed),
        }
    }

    /// Returns the interval as text, and a dash for the one seed that has none.
    pub fn interval_text(&self) -> String {
        match self.interval {
            Some((low, high)) => format!("[{}, {}]", number(low), number(high)),
            None => "—".into(),
        }
    }
}

/// Returns how many seeds each config of an experiment is to have; 0 where nothing was planned, as for logs.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`crate::Error::Sqlite`].
pub fn seeds_of_plan(tx: &ReadTx, experiment: ExperimentId) -> Result<i64> {
    tx.maybe(SEEDS_OF_PLAN, named_params! {":experiment_id": experiment}, |row| row.get(0))?
        .ok_or_else(|| crate::Error::not_found("experiment", experiment))
}

/// Returns up to `limit` configs of an experiment that have a value, the best first; those of which not all seeds ended
/// come after the others.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn leaderboard(tx: &ReadTx, experiment: ExperimentId, limit: i64) -> Result<Vec<Place>> {
    let objectives = protocol::objectives(tx, experiment)?;
    let is_large_good = objectives.first().is_some_and(|objective| objective.goal == Goal::Max);
    let statement = if is_large_good { BEST_LARGE } else { BEST_SMALL };
    let seeds = seeds_of_plan(tx, experiment)?;
    let read = |least: i64, most: i64, limit: i64| {
        let params = named_params! {
            ":experiment_id": experiment, ":limit": limit, ":least": least, ":most": most,
        };
        tx.all(statement, params, |row| place_of(row, seeds))
    };
    let mut places = read(seeds, i64::MAX, limit)?;
    let rest = limit - i64::try_from(places.len()).unwrap_or(limit);
    if seeds > 0 && rest > 0 {
        places.extend(read(0, seeds - 1, rest)?);
    }
    number_places(&mut places);
    Ok(places)
}

/// Returns how many runs of an experiment a search ended early: they have no place in its leaderboard.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn count_pruned(tx: &ReadTx, experiment: ExperimentId) -> Result<u64> {
    tx.one(COUNT_PRUNED_RUNS, [experiment], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

/// A config without a value, for the end of a leaderboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Failed {
    /// Which config.
    pub config: ConfigId,
    /// What its runs are called.
    pub name: String,
    /// Seeds that ended without a value.
    pub failed: i64,
    /// Why one of them did.
    pub error: String,
    /// What one of them said, where none failed: NaN or an infinity.
    pub said: Option<f64>,
    /// The config itself.
    pub params: Map<String, Value>,
}

impl Failed {
    /// Returns what stands where others have their value.
    pub fn word(&self) -> String {
        self.said.map_or_else(|| "failed".into(), display::number)
    }
}

/// What stands for a reason that nobody gave: the metric was logged, and was no number.
const NO_VALUE: &str = "its value is no finite number";

/// Returns up to `limit` configs of an experiment that have no value because their runs failed; none of an experiment
/// without an objective.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn failed_configs(tx: &ReadTx, experiment: ExperimentId, limit: i64) -> Result<Vec<Failed>> {
    if protocol::objectives(tx, experiment)?.is_empty() {
        return Ok(Vec::new());
    }
    let params = named_params! {":experiment_id": experiment, ":limit": limit};
    tx.all(FAILED_CONFIGS, params, |row| {
        Ok(Failed {
            config: row.get(0)?,
            failed: row.get(1)?,
            params: serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default(),
            name: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            error: row.get::<_, Option<String>>(4)?.unwrap_or_else(|| NO_VALUE.into()),
            said: match row.get(5)? {
                true => None,
                false => Some(row.get::<_, Option<f64>>(6)?.unwrap_or(f64::NAN)),
            },
        })
    })
}

/// The runs of one config of [`commands`].
struct OfConfig {
    config: ConfigId,
    experiment: ExperimentId,
    params: Map<String, Value>,
    /// By seed: the value, or why there is none.
    seeds: BTreeMap<i64, std::result::Result<f64, (String, Option<f64>)>>,
}

/// Returns the leaderboard of all single commands of the file that have an experiment's name and first objective, and
/// those that failed. Of several with one config and seed the latest counts, as in [`protocol::score_config`].
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn commands(
    tx: &ReadTx,
    name: &str,
    objective: &Objective,
) -> Result<(Vec<Place>, Vec<Failed>)> {
    let mut configs: Vec<OfConfig> = Vec::new();
    let of = named_params! {":name": name, ":metric": objective.metric, ":goal": objective.goal};
    tx.each(RUNS_OF_COMMANDS, of, |row| {
        let (experiment, config) = (row.get(0)?, row.get::<_, ConfigId>(1)?);
        let at = configs.iter().position(|it| it.config == config).unwrap_or(configs.len());
        if at == configs.len() {
            let params = serde_json::from_str(row.get_ref(6)?.as_str()?).unwrap_or_default();
            configs.push(OfConfig { config, experiment, params, seeds: BTreeMap::new() });
        }
        let complete = row.get::<_, RunState>(3)? == RunState::Complete;
        let value: Option<f64> = row.get(4)?;
        let error: Option<String> = row.get(5)?;
        let said = complete.then_some(value.unwrap_or(f64::NAN));
        let seed = said
            .filter(|value| value.is_finite())
            .ok_or((error.unwrap_or_else(|| NO_VALUE.into()), said));
        configs[at].experiment = experiment;
        configs[at].seeds.insert(row.get(2)?, seed);
        Ok(())
    })?;
    let (mut places, mut failed) = (Vec::new(), Vec::new());
    for OfConfig { config, experiment, params, seeds } in configs {
        let name = format!("experiment {experiment}");
        let values: Vec<f64> = seeds.values().filter_map(|seed| seed.clone().ok()).collect();
        let without = i64::try_from(seeds.len() - values.len()).unwrap_or(i64::MAX);
        if values.is_empty() {
            let (error, said) = seeds
                .into_values()
                .filter_map(std::result::Result::err)
                .max_by_key(|(_, said)| said.is_none())
                .unwrap_or_default();
            failed.push(Failed { config, name, failed: without, error, said, params });
            continue;
        }
        let score = crate::aggregate::score(&values);
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        places.push(Place {
            place: 0,
            config,
            name,
            mean: score.mean,
            interval: finite(score.low95).zip(finite(score.high95)).filter(|_| values.len() > 1),
            std: finite(score.std),
            iqm: finite(score.iqm),
            median: finite(score.median),
            seeds: i64::try_from(values.len()).unwrap_or(i64::MAX),
            failed: without,
            incomplete: None,
            epochs: None,
            params,
        });
    }
    places.sort_by(|a, b| match objective.goal {
        Goal::Max => b.mean.total_cmp(&a.mean),
        Goal::Min => a.mean.total_cmp(&b.mean),
    });
    number_places(&mut places);
    Ok((places, failed))
}

/// Numbers places from 1; the same mean is the same place, but not for what is complete and what is not.
fn number_places(places: &mut [Place]) {
    for i in 0..places.len() {
        let ties = i > 0
            && places[i].mean == places[i - 1].mean
            && places[i].incomplete.is_some() == places[i - 1].incomplete.is_some();
        places[i].place = if ties { places[i - 1].place } else { i + 1 };
    }
}

fn place_of(row: &Row<'_>, planned: i64) -> rusqlite::Result<Place> {
    let (low, high): (Option<f64>, Option<f64>) = (row.get(2)?, row.get(3)?);
    let seeds: i64 = row.get(7)?;
    Ok(Place {
        place: 0,
        config: row.get(0)?,
        mean: row.get(1)?,
        interval: low.zip(high).filter(|_| seeds > 1),
        std: row.get(4)?,
        iqm: row.get(5)?,
        median: row.get(6)?,
        seeds,
        failed: row.get(8)?,
        incomplete: Some(planned)
            .filter(|planned| row.get(10).is_ok_and(|ended: i64| ended < *planned)),
        params: serde_json::from_str(row.get_ref(9)?.as_str()?).unwrap_or_default(),
        name: row.get::<_, Option<String>>(11)?.unwrap_or_default(),
        epochs: row.get(12)?,
    })
}

/// A row of the leaderboard as text.
#[derive(Debug, Serialize)]
pub(super) struct PlaceRow {
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) mean: String,
    pub(super) interval: String,
    pub(super) seeds: String,
    pub(super) epochs: Option<i64>,
    pub(super) params: Vec<(String, String)>,
    /// Its line in the charts.
    pub(super) curve: Option<usize>,
}

/// A config that failed, as text.
#[derive(Debug, Serialize)]
pub(super) struct FailedRow {
    pub(super) name: String,
    pub(super) word: String,
    pub(super) seeds: String,
    pub(super) error: String,
    pub(super) params: Vec<(String, String)>,
}

/// A row of the table of runs as text.
#[derive(Debug, Serialize)]
pub(super) struct RunRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) seed: i64,
    pub(super) state: String,
    pub(super) value: String,
    pub(super) duration: String,
    pub(super) error: String,
}

/// A chart, and its numbers as text for those who cannot see it.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) svg: String,
    pub(super) ends: Vec<(String, String)>,
}

/// A job that failed.
#[derive(Debug, Serialize)]
pub(super) struct FailedJob {
    pub(super) id: i64,
    pub(super) what: String,
    pub(super) error: String,
    pub(super) output: String,
}

/// How the jobs went.
#[derive(Debug, Serialize)]
pub(super) struct Jobs {
    pub(super) counts: Vec<(String, i64)>,
    pub(super) facts: Vec<(String, String)>,
    pub(super) failed: Vec<FailedJob>,
}

/// All a report says.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) purpose: String,
    pub(super) error: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) facts: Vec<(String, String)>,
    pub(super) objectives: Vec<String>,
    pub(super) metric: String,
    pub(super) places: Vec<PlaceRow>,
    pub(super) places_left_out: i64,
    /// Whether a search decided how long each config was trained.
    pub(super) has_epochs: bool,
    /// What to know of the intervals, when there are any.
    pub(super) legend_of_intervals: Option<&'static str>,
    pub(super) failed: Vec<FailedRow>,
    pub(super) failed_left_out: i64,
    pub(super) search: Option<super::search::Search>,
    pub(super) legend: Vec<String>,
    pub(super) charts: Vec<Chart>,
    pub(super) runs: Vec<RunRow>,
    pub(super) runs_left_out: i64,
    pub(super) jobs: Option<Jobs>,
    pub(super) warnings: Vec<String>,
    pub(super) best: Option<(String, Vec<(String, String)>)>,
    pub(super) notes: Vec<(String, String)>,
    pub(super) rerun: Vec<String>,
    pub(super) made_at: String,
    pub(super) version: &'static str,
}

/// Gathers what a report says, all from one snapshot.
pub(super) fn gather(tx: &ReadTx, id: ExperimentId) -> Result<Data> {
    let detail = protocol::show(tx, id)?;
    let places = leaderboard(tx, id, PLACE_MAX)?;
    let scores: i64 =
        tx.one(COUNT_SCORES, named_params! {":experiment_id": id}, |row| row.get(0))?;
    let failed = failed_configs(tx, id, FAILED_MAX)?;
    let of_experiment = named_params! {":experiment_id": id};
    let failed_all: i64 = tx.one(COUNT_FAILED, of_experiment, |row| row.get(0))?;
    let shown = shown_configs(tx, id, &places)?;
    let summary = &detail.summary;
    let metric = summary.metric.clone().unwrap_or_else(|| "value".into());
    let runs = protocol::list_runs(tx, id, None, RUN_MAX)?;
    Ok(Data {
        id: id.0,
        name: summary.name.clone(),
        state: summary.state.to_string(),
        purpose: summary.purpose.clone(),
        error: summary.error.clone(),
        tags: summary.tags.clone(),
        facts: super::facts::facts(&detail),
        objectives: super::facts::objectives(&detail),
        places: place_rows(&places),
        has_epochs: places.iter().any(|place| place.epochs.is_some()),
        legend_of_intervals: legend_of_intervals(&places),
        places_left_out: scores - i64::try_from(places.len()).unwrap_or(0),
        failed_left_out: match failed.len() {
            0 => 0,
            shown => failed_all - i64::try_from(shown).unwrap_or(0),
        },
        failed: failed.iter().map(failed_row).collect(),
        search: super::search::search(tx, id)?,
        charts: charts(tx, &detail, &shown)?,
        legend: shown.iter().map(|(_, name)| name.clone()).collect(),
        runs_left_out: summary.runs - i64::try_from(runs.len()).unwrap_or(0),
        runs: runs
            .iter()
            .map(|run| run_row(run, !detail.objectives.is_empty(), tx.now_ms))
            .collect(),
        jobs: super::jobs::jobs(tx, id)?,
        warnings: warnings(tx, &detail)?,
        best: places.first().map(|place| (config_name(place), texts(&place.params))),
        notes: (detail.notes.iter())
            .map(|note| {
                (format!("{} {}", clock::local(note.at_ms), note.user_name), note.text.clone())
            })
            .collect(),
        rerun: super::facts::rerun(&detail),
        made_at: clock::local(tx.now_ms),
        version: env!("CARGO_PKG_VERSION"),
        metric,
    })
}

/// The configs that have a line in the charts: the best ones, or the first ones as long as none has a value.
fn shown_configs(
    tx: &ReadTx,
    id: ExperimentId,
    places: &[Place],
) -> Result<Vec<(ConfigId, String)>> {
    if !places.is_empty() {
        let best = places.iter().take(CURVE_MAX);
        return Ok(best.map(|place| (place.config, config_name(place))).collect());
    }
    let limit = i64::try_from(CURVE_MAX).unwrap_or(i64::MAX);
    tx.all(FIRST_CONFIGS, named_params! {":experiment_id": id, ":limit": limit}, |row| {
        let (config, name): (ConfigId, String) = (row.get(0)?, row.get(2)?);
        let name = if name.is_empty() { format!("config {config}") } else { name };
        Ok((config, name))
    })
}

/// Says what the intervals are, and that those of few seeds say little.
fn legend_of_intervals(places: &[Place]) -> Option<&'static str> {
    places.iter().any(|place| place.interval.is_some()).then_some(())?;
    let few = places.iter().any(|place| (2..=5).contains(&place.seeds));
    Some(if few {
        "The interval is a 95 % bootstrap interval of the mean over seeds. Of two to five (few seeds) it is nearly that from \
         the least to the largest value, and the true mean lies outside of it more often than one time in twenty."
    } else {
        "The interval is a 95 % bootstrap interval of the mean over seeds."
    })
}

fn config_name(place: &Place) -> String {
    if place.name.is_empty() { format!("config {}", place.config) } else { place.name.clone() }
}

fn place_rows(places: &[Place]) -> Vec<PlaceRow> {
    let all: Vec<Vec<(String, String)>> = places.iter().map(|place| texts(&place.params)).collect();
    let differs =
        |pair: &(String, String)| all.len() < 2 || !all.iter().all(|them| them.contains(pair));
    let rows = places.iter().zip(&all).enumerate().map(|(i, (place, params))| PlaceRow {
        place: place.place,
        name: config_name(place),
        mean: number(place.mean),
        interval: place.interval_text(),
        seeds: match (place.incomplete, place.failed) {
            (None, failed) if failed > 0 => format!("{} ({failed} failed)", place.seeds),
            _ => place.seeds_text(),
        },
        epochs: place.epochs,
        params: params.iter().filter(|pair| differs(pair)).take(40).cloned().collect(),
        curve: (i < CURVE_MAX).then_some(i),
    });
    rows.collect()
}

fn failed_row(failed: &Failed) -> FailedRow {
    let name = match failed.name.is_empty() {
        true => format!("config {}", failed.config),
        false => failed.name.clone(),
    };
    FailedRow {
        name,
        word: failed.word(),
        seeds: match failed.said {
            None => format!("0 ({} failed)", failed.failed),
            Some(_) => format!("0 of {}", failed.failed),
        },
        error: display::shorten(&failed.error, 200).into_owned(),
        params: texts(&failed.params).into_iter().take(40).collect(),
    }
}

fn texts(params: &Map<String, Value>) -> Vec<(String, String)> {
    display::leaves(params).into_iter().map(|(name, value)| (name, display::param(value))).collect()
}

fn run_row(run: &protocol::Run, is_valued: bool, now_ms: i64) -> RunRow {
    let end = run.ended_at_ms.unwrap_or(now_ms);
    RunRow {
        id: run.id.0,
        name: run.name.clone(),
        seed: run.seed,
        state: run.state.to_string(),
        value: match (run.value, run.state) {
            (Some(value), _) => number(value),
            (None, RunState::Complete) if is_valued => "NaN".into(),
            (None, _) => String::new(),
        },
        duration: run.started_at_ms.map_or(String::new(), |start| clock::duration(end - start)),
        error: display::shorten(run.error.as_deref().unwrap_or_default(), 200).into_owned(),
    }
}

/// A chart for each objective's metric, then for others.
fn charts(tx: &ReadTx, detail: &Detail, configs: &[(ConfigId, String)]) -> Result<Vec<Chart>> {
    let id = detail.summary.id;
    let mut metrics: Vec<String> = detail.objectives.iter().map(|it| it.metric.clone()).collect();
    for name in tx.all(METRICS, named_params! {":experiment_id": id}, |row| row.get(0))? {
        if !metrics.contains(&name) {
            metrics.push(name);
        }
    }
    let runs: Vec<Vec<RunId>> = configs
        .iter()
        .map(|(config, _)| {
            let params =
                named_params! {":experiment_id": id, ":config_id": config, ":limit": SEED_MAX};
            tx.all(RUNS_OF_CONFIG, params, |row| row.get(0))
        })
        .collect::<Result<_>>()?;
    let mut charts = Vec::new();
    for metric in metrics {
        if charts.len() == CHART_MAX {
            break;
        }
        let curves =
            runs.iter().map(|runs| curve(tx, runs, &metric)).collect::<Result<Vec<_>>>()?;
        if curves.iter().all(|curve| curve.x.len() < 2) {
            continue;
        }
        if let Some(svg) = chart::draw(&curves, &format!("{metric} by step")) {
            let ends = configs
                .iter()
                .zip(&curves)
                .filter_map(|((_, name), curve)| Some((name.clone(), number(*curve.mean.last()?))));
            charts.push(Chart { ends: ends.collect(), title: metric, svg });
        }
    }
    Ok(charts)
}

fn curve(tx: &ReadTx, runs: &[RunId], metric: &str) -> Result<chart::Curve> {
    let mut seeds = Vec::new();
    for run in runs {
        if let Some(points) = metric::thin(tx, *run, metric, POINT_MAX)?
            && !points.is_empty()
        {
            let mut points: Vec<(f64, f64)> =
                points.iter().map(|point| (point.step as f64, point.mean)).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            seeds.push(points);
        }
    }
    Ok(chart::over_seeds(&seeds, POINT_MAX))
}

/// What a reader must know before trusting the numbers.
fn warnings(tx: &ReadTx, detail: &Detail) -> Result<Vec<String>> {
    let summary = &detail.summary;
    let mut warnings: Vec<String> = (detail.plan.get("warnings").and_then(Value::as_array))
        .into_iter()
        .flatten()
        .filter_map(|warning| warning.as_str().map(str::to_owned))
        .collect();
    let count = named_params! {":experiment_id": summary.id};
    let (nan, open, pruned, cancelled) = tx.one(COUNT_RUNS, count, |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, i64>(3)?,
        ))
    })?;
    let mut add = |count: i64, text: &str| {
        if count > 0 {
            let runs = display::count(count.unsigned_abs(), "run");
            warnings.push(format!("{runs} {text}"));
        }
    };
    add(summary.runs_failed, "failed: no value");
    if !detail.objectives.is_empty() {
        add(nan, "completed with NaN for a value");
    }
    add(open, "not ended: the numbers will change");
    add(pruned, "pruned early: not in the leaderboard");
    add(cancelled, "cancelled");
    if detail.git_dirty == Some(true) {
        warnings
            .push("the code had changes that were not committed; they are kept in the file".into());
    }
    if detail.environment.contains_key("git_diff_cut") {
        warnings.push("these changes are larger than 8 MiB and were cut".into());
    }
    if summary.deleted_at_ms.is_some() {
        warnings.push("the experiment is deleted; `mle protocol undelete` brings it back".into());
    }
    Ok(warnings)
}

/// A job's id for a sentence.
pub(super) fn job_name(job: JobId, run: Option<(String, i64)>) -> String {
    match run {
        Some((name, seed)) if !name.is_empty() => format!("job {job} ({name}, seed {seed})"),
        Some((_, seed)) => format!("job {job} (seed {seed})"),
        None => format!("job {job}"),
    }
}
