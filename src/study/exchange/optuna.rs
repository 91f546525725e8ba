//! Studies of Optuna, out of its SQLite file.
//!
//! # Source
//! The tables of Optuna's storage since 3.0 (`optuna.storages._rdb.models`), and the names of its distributions since
//! 1.0. Checked with files made by Optuna 5.0.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::protocol::Goal;
use crate::search::domain::same;
use crate::search::space::Space;
use crate::store::{SqlValue, Stranger};
use crate::study::ask::Told;
use crate::study::edit::Point;

/// What a file says of a study.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name there.
    pub name: String,
    /// Whether small or large values are good, for each objective.
    pub goals: Vec<Goal>,
    /// Its trials that ended.
    pub points: Vec<Point>,
    /// Its parameters as JSON of a space, in the order in which they were first asked for.
    pub space: Map<String, Value>,
}

impl Found {
    /// Returns the space of its parameters. A parameter that some trials lack becomes conditional on the first list whose
    /// values tell the trials with it from those without.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are no parameters.
    pub fn space(&self) -> Result<Space> {
        Space::parse(&Value::Object(self.space.clone()))
    }
}

/// Reads the study of this name, or the only one.
///
/// # Errors
/// [`Error::WrongFile`] when it is no file of Optuna; [`Error::NotFound`]; [`Error::Invalid`] when there are several.
pub fn read(file: &Stranger, name: Option<&str>) -> Result<Found> {
    check(file)?;
    let (id, name) = choose(file, name)?;
    let goals = file
        .rows(
            "SELECT direction FROM study_directions WHERE study_id = ?1 ORDER BY objective",
            [id],
        )?
        .iter()
        .map(|row| if text(&row[0]) == "MAXIMIZE" { Goal::Max } else { Goal::Min })
        .collect();
    let mut params: HashMap<i64, Map<String, Value>> = HashMap::new();
    let mut space = Map::new();
    let sql = "SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json
               FROM trial_params p JOIN trials t ON t.trial_id = p.trial_id
               WHERE t.study_id = ?1 AND t.state IN ('COMPLETE', 'PRUNED', 'FAIL') ORDER BY p.param_id";
    for row in file.rows(sql, [id])? {
        let (trial, name) = (whole(&row[0]), text(&row[1]).to_owned());
        let distribution: Value = serde_json::from_str(text(&row[3])).unwrap_or_default();
        let (value, domain) = parameter(&name, real(&row[2]), &distribution)?;
        params.entry(trial).or_default().insert(name.clone(), value);
        // Ranges may have moved on the way: the latest counts.
        space.insert(name, domain);
    }
    let values = per_trial(file, id, "trial_values", "value", "value_type", "objective")?;
    let curves = per_trial(
        file,
        id,
        "trial_intermediate_values",
        "intermediate_value",
        "intermediate_value_type",
        "step",
    )?;
    let has_times = file.has("trials", &["datetime_start", "datetime_complete"]);
    let times = if has_times { "datetime_start, datetime_complete" } else { "NULL, NULL" };
    let sql = &format!(
        "SELECT trial_id, number, state, {times} FROM trials
               WHERE study_id = ?1 AND state IN ('COMPLETE', 'PRUNED', 'FAIL') ORDER BY number, trial_id"
    );
    let mut points = Vec::new();
    for row in file.rows(sql, [id])? {
        let trial = whole(&row[0]);
        let told = match text(&row[2]) {
            "COMPLETE" => Told::Complete(values.get(&trial).cloned().unwrap_or_default()),
            "PRUNED" => Told::Pruned,
            _ => Told::Failed,
        };
        points.push(Point {
            params: params.remove(&trial).unwrap_or_default(),
            told: Some(told),
            curve: curves.get(&trial).cloned().unwrap_or_default(),
            extra: json!({"source": "optuna", "study": name, "number": whole(&row[1])}),
            times: local_ms(text(&row[3])).zip(local_ms(text(&row[4]))),
        });
    }
    conditions(&mut space, &points);
    Ok(Found { name, goals, points, space })
}

/// Reads a time as Optuna writes it: that of the clock on the wall, without a zone.
fn local_ms(text: &str) -> Option<i64> {
    let at = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(at.and_local_timezone(chrono::Local).earliest()?.timestamp_millis())
}

/// What is read of a file.
const TABLES: [(&str, &[&str]); 6] = [
    ("studies", &["study_id", "study_name"]),
    ("study_directions", &["study_id", "direction", "objective"]),
    ("trials", &["trial_id", "study_id", "number", "state"]),
    ("trial_params", &["param_id", "trial_id", "param_name", "param_value", "distribution_json"]),
    ("trial_values", &["trial_id", "value", "objective"]),
    ("trial_intermediate_values", &["trial_id", "step", "intermediate_value"]),
];

fn check(file: &Stranger) -> Result<()> {
    if file.is_ours() {
        let hint =
            "`mle study warm-start STUDY FROM` takes over the trials of another study of one file";
        return Err(file.wrong("is a file of mle, not of Optuna", hint));
    }
    match TABLES.iter().find(|(table, columns)| !file.has(table, columns)) {
        None => Ok(()),
        Some((table, columns)) => Err(file.wrong(
            "is no file of Optuna",
            format!("it has no table {table} with {}", columns.join(", ")),
        )),
    }
}

fn choose(file: &Stranger, wanted: Option<&str>) -> Result<(i64, String)> {
    let all: Vec<(i64, String)> = file
        .rows("SELECT study_id, study_name FROM studies ORDER BY study_id", [])?
        .iter()
        .map(|row| (whole(&row[0]), text(&row[1]).to_owned()))
        .collect();
    let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
    match (wanted, all.as_slice()) {
        (Some(wanted), _) => match names.iter().position(|name| *name == wanted) {
            Some(at) => Ok(all[at].clone()),
            None => {
                Err(Error::invalid("--name", format!("there is no study \"{wanted}\" in the file"))
                    .with_hint(format!("its studies are {}", names.join(", "))))
            }
        },
        (None, [one]) => Ok(one.clone()),
        (None, []) => Err(Error::invalid("the file", "has no study")),
        (None, _) => Err(Error::invalid("--name", "which study of the file is meant?")
            .with_hint(format!("its studies are {}", names.join(", ")))),
    }
}

/// Returns the numbers of each trial in order, of a table with a column that says which are not finite.
fn per_trial(
    file: &Stranger,
    study: i64,
    table: &str,
    value: &str,
    kind: &str,
    order: &str,
) -> Result<BTreeMap<i64, Vec<f64>>> {
    // Names are ours; the column of kinds came with 3.0.
    let kind = if file.has(table, &[kind]) { format!("v.{kind}") } else { "'FINITE'".into() };
    let sql = format!(
        "SELECT v.trial_id, v.{value}, {kind} FROM {table} v JOIN trials t ON t.trial_id = v.trial_id
         WHERE t.study_id = ?1 ORDER BY v.trial_id, v.{order}"
    );
    let mut all: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for row in file.rows(&sql, [study])? {
        let value = match text(&row[2]) {
            "INF_POS" => f64::INFINITY,
            "INF_NEG" => f64::NEG_INFINITY,
            "NAN" => f64::NAN,
            _ => real(&row[1]),
        };
        all.entry(whole(&row[0])).or_default().push(value);
    }
    Ok(all)
}

/// Returns a parameter's value, and its entry in a space.
fn parameter(name: &str, internal: f64, distribution: &Value) -> Result<(Value, Value)> {
    let of = &distribution["attributes"];
    let kind = distribution["name"].as_str().unwrap_or_default();
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| {
        entry.insert(key.to_owned(), value);
    };
    if kind == "CategoricalDistribution" {
        let choices = of["choices"].as_array().cloned().unwrap_or_default();
        let value = choices.get(internal as usize).cloned();
        let value = value.ok_or_else(|| {
            Error::invalid(format!("parameter {name}"), format!("has no choice {internal}"))
        })?;
        put("type", "categorical".into());
        put("choices", Value::Array(choices));
        return Ok((value, Value::Object(entry)));
    }
    let integer = match kind {
        "FloatDistribution"
        | "UniformDistribution"
        | "LogUniformDistribution"
        | "DiscreteUniformDistribution" => false,
        "IntDistribution" | "IntUniformDistribution" | "IntLogUniformDistribution" => true,
        other => {
            let why = format!("its distribution \"{other}\" is not known");
            return Err(Error::invalid(format!("parameter {name}"), why));
        }
    };
    let number = |x: f64| if integer { Value::from(x.round() as i64) } else { json!(x) };
    put("type", if integer { "integer" } else { "real" }.into());
    for key in ["low", "high"] {
        put(key, number(of[key].as_f64().unwrap_or(internal)));
    }
    if of["log"].as_bool().unwrap_or(kind.contains("LogUniform")) {
        put("prior", "log".into());
    }
    let step = of["step"].as_f64().or(of["q"].as_f64());
    if let Some(step) = step.filter(|step| !integer || *step != 1.0) {
        put("step", number(step));
    }
    Ok((number(internal), Value::Object(entry)))
}

/// Makes parameters that some trials lack conditional, where a list tells which.
fn conditions(space: &mut Map<String, Value>, points: &[Point]) {
    let names: Vec<String> = space.keys().cloned().collect();
    // Trials that failed early may lack anything.
    let full: Vec<&Map<String, Value>> = points
        .iter()
        .filter(|point| matches!(point.told, Some(Told::Complete(_))))
        .map(|point| &point.params)
        .collect();
    for name in &names {
        if full.iter().all(|params| params.contains_key(name)) {
            continue;
        }
        let parent = names.iter().find_map(|parent| {
            let is_list = space[parent]["type"] == "categorical" && parent != name;
            let everywhere = full.iter().all(|params| params.contains_key(parent));
            if !is_list || !everywhere {
                return None;
            }
            let values = |with: bool| -> Vec<&Value> {
                let some = full.iter().filter(|params| params.contains_key(name) == with);
                some.map(|params| &params[parent]).collect()
            };
            let (with, without) = (values(true), values(false));
            let told_apart = !with.iter().any(|a| without.iter().any(|b| same(a, b)));
            let mut distinct: Vec<Value> = Vec::new();
            for value in with {
                if !distinct.iter().any(|known| same(known, value)) {
                    distinct.push(value.clone());
                }
            }
            (told_apart && !distinct.is_empty()).then(|| (parent.clone(), distinct))
        });
        if let Some((parent, values)) = parent {
            space[name]["when"] = json!({ parent: values });
        }
    }
}

fn text(value: &SqlValue) -> &str {
    match value {
        SqlValue::Text(text) => text,
        _ => "",
    }
}

fn whole(value: &SqlValue) -> i64 {
    match value {
        SqlValue::Integer(value) => *value,
        SqlValue::Real(value) => *value as i64,
        _ => 0,
    }
}

fn real(value: &SqlValue) -> f64 {
    match value {
        SqlValue::Integer(value) => *value as f64,
        SqlValue::Real(value) => *value,
        _ => f64::NAN,
    }
}
