//! One table an experiment: a view with a row a run, and a column a parameter and a metric.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::Result;
use crate::id::ExperimentId;
use crate::sql::named;
use crate::store::{WriteTx, named_params};

const CONFIGS: &str = named(include_str!("../../sql/protocol.sql"), "configs_of_experiment");
const SCALARS: &str = named(include_str!("../../sql/protocol.sql"), "scalars_of_experiment");
const TEXT_OF_VIEW: &str = named(include_str!("../../sql/protocol.sql"), "text_of_view");

/// The most columns a wide view has.
const COLUMN_MAX: usize = 500;

/// How many runs are asked which metrics they log.
const RUN_MAX: i64 = 1000;

/// Returns the name of an experiment's wide view.
pub fn wide_view_name(experiment: ExperimentId) -> String {
    format!("wide_{experiment}")
}

/// Makes the view `wide_<id>` again if it would look different: one row a run, with `run_id`, `config_id`, `seed`,
/// `state`, `value`, a column `p_<name>` for each parameter (nested ones as `p_outer.inner`, arrays as JSON) and a column
/// `m_<name>` with the last value of each scalar metric. Names are those of the file, quoted; one that differs from an
/// earlier one by nothing SQL looks at gets a number. At most 500 columns, parameters first.
///
/// # Errors
/// [`crate::Error::Sqlite`].
pub fn refresh_wide_view(tx: &WriteTx, experiment: ExperimentId) -> Result<()> {
    let name = wide_view_name(experiment);
    let sql = view_text(tx, experiment)?;
    let now: Option<String> =
        tx.maybe(TEXT_OF_VIEW, named_params! {":name": name}, |row| row.get(0))?;
    // A new schema makes every connection prepare its statements again, so only when there is something new.
    if now.as_deref() == Some(sql.as_str()) {
        return Ok(());
    }
    tx.batch(&format!("DROP VIEW IF EXISTS {name};\n{sql};"))
}

fn view_text(tx: &WriteTx, experiment: ExperimentId) -> Result<String> {
    let mut columns = Columns::new(["run_id", "config_id", "seed", "state", "value"]);
    tx.each(CONFIGS, named_params! {":experiment_id": experiment}, |row| {
        if !columns.is_full()
            && let Ok(params) = serde_json::from_str(row.get_ref(1)?.as_str()?)
        {
            columns.add_params(&params, &mut Vec::new());
        }
        Ok(())
    })?;
    let scalars = named_params! {":experiment_id": experiment, ":runs": RUN_MAX};
    tx.each(SCALARS, scalars, |row| {
        let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
        columns.add(
            &format!("m_{name}"),
            format!("(SELECT s.last FROM series s WHERE s.run_id = r.id AND s.metric_id = {id})"),
        );
        Ok(())
    })?;
    let mut sql = format!(
        "CREATE VIEW {} AS\nSELECT r.id AS run_id, r.config_id, r.seed, r.state, r.value",
        wide_view_name(experiment)
    );
    for (name, expression) in &columns.list {
        sql.push_str(&format!(",\n       {expression} AS {}", quoted(name, '"')));
    }
    sql.push_str(&format!(
        "\nFROM run r\nJOIN config c ON c.id = r.config_id\nWHERE r.experiment_id = {experiment}"
    ));
    Ok(sql)
}

/// The columns found so far.
struct Columns {
    taken: HashSet<String>,
    paths: HashSet<Vec<String>>,
    list: Vec<(String, String)>,
    max: usize,
}

impl Columns {
    fn new<const N: usize>(fixed: [&str; N]) -> Columns {
        Columns {
            taken: fixed.iter().map(|name| (*name).to_owned()).collect(),
            paths: HashSet::new(),
            list: Vec::new(),
            max: COLUMN_MAX - N,
        }
    }

    fn is_full(&self) -> bool {
        self.list.len() >= self.max
    }

    /// Adds a column for each leaf of `params`.
    fn add_params(&mut self, params: &Map<String, Value>, path: &mut Vec<String>) {
        for (key, value) in params {
            path.push(key.clone());
            match value {
                Value::Object(inner) if !inner.is_empty() && path.len() < 20 => {
                    self.add_params(inner, path);
                }
                _ => self.add_path(path),
            }
            path.pop();
        }
    }

    fn add_path(&mut self, path: &[String]) {
        if self.is_full() || self.paths.contains(path) {
            return;
        }
        self.paths.insert(path.to_vec());
        if let Some(expression) = value_at(path) {
            self.add(&format!("p_{}", path.join(".")), expression);
        }
    }

    fn add(&mut self, name: &str, expression: String) {
        if self.is_full() {
            return;
        }
        // A statement ends at its first zero byte.
        let name = name.replace('\0', "\u{fffd}");
        let mut unique = name.clone();
        let mut number = 2;
        while !self.taken.insert(unique.to_lowercase()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        self.list.push((unique, expression));
    }
}

/// The expression for a value of `c.params`. A key that a JSON path cannot hold is looked for among all keys.
fn value_at(path: &[String]) -> Option<String> {
    if path.iter().any(|key| key.contains('\0')) {
        return None;
    }
    let plain = |key: &String| !key.contains(['"', '\\']) && !key.contains(char::is_control);
    if path.iter().all(plain) {
        let keys: String = path.iter().map(|key| format!(".\"{key}\"")).collect();
        return Some(format!("json_extract(c.params, {})", quoted(&format!("${keys}"), '\'')));
    }
    let mut object = "c.params".to_owned();
    for key in path {
        object =
            format!("(SELECT value FROM json_each({object}) WHERE key = {})", quoted(key, '\''));
    }
    Some(object)
}

fn quoted(text: &str, mark: char) -> String {
    let doubled = format!("{mark}{mark}");
    format!("{mark}{}{mark}", text.replace(mark, &doubled))
}
