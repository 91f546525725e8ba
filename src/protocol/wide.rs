//! One table an experiment: a view with a row a run, and a column a parameter and a metric.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::Result;
use crate::id::ExperimentId;
use crate::sql::named;
use crate::store::{WriteTx, named_params};

const CONFIGS: &str = named(include_str!("../../sql/protocol.sql"), "configs_of_experiment");
const SCALARS: &str = named(include_str!("../../sql/protocol.sql"), "scalars_of_experiment");
const WIDE_VIEWS: &str = named(include_str!("../../sql/protocol.sql"), "wide_views");
const TEXT_OF_VIEW: &str = named(include_str!("../../sql/protocol.sql"), "text_of_view");

/// The most columns a wide view has.
const COLUMN_MAX: usize = 500;

/// The most wide views in a file: each connection reads all of them when it opens the file.
const VIEW_MAX: usize = 20;

/// How many runs are asked which metrics they log.
const RUN_MAX: i64 = 1000;

/// Returns the name of an experiment's wide view.
pub fn wide_view_name(experiment: ExperimentId) -> String {
    format!("wide_{experiment}")
}

/// Makes the view `wide_<id>` again if it would look different: one row a run, with `run_id`, `config_id`, `seed`,
/// `state`, `value`, a column `p_<name>` for each parameter (nested ones as `p_outer.inner`, arrays as JSON) and a column
/// `m_<name>` with the last value of each scalar metric. Names are those of the file, quoted; one that differs from an
/// earlier one by nothing SQL looks at gets a number. At most 500 columns, parameters first. A file has the 20 views made
/// last; `mle report` makes an older one again.
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
    tx.batch(&format!("DROP VIEW IF EXISTS {name};\n{sql};"))?;
    let views: Vec<String> = tx.all(WIDE_VIEWS, [], |row| row.get(0))?;
    for old in views.iter().rev().skip(VIEW_MAX) {
        tx.batch(&format!("DROP VIEW {}", quoted(old, '"')))?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::RunState;
    use crate::protocol::tests::{config, ended_run, experiment, store};
    use crate::store::{SqlValue, Store};
    use serde_json::json;

    fn wide(store: &Store) -> (Vec<String>, Vec<Vec<SqlValue>>) {
        store.read(|tx| tx.table("SELECT * FROM wide_1 ORDER BY run_id", [])).unwrap()
    }

    #[test]
    fn odd_names_become_columns_with_their_values() {
        let (_folder, mut store) = store();
        let id = experiment(&mut store, "x");
        let params = json!({
            "lr": 0.1, "LR": 2, "it's \"q\"\\\n": "v'", "größe": {"a.b": [1, 2], "c\"": {"d": true}},
            "; DROP TABLE run; --": null, "nul\u{0}": 1, "size": {}, "p": {"a": 1}, "p.a": 2, "$": 3,
        });
        let first = config(&mut store, params);
        let second = config(&mut store, json!({"only": "here"}));
        let run = ended_run(&mut store, id, first, 7, RunState::Complete, Some(0.5));
        ended_run(&mut store, id, second, 8, RunState::Complete, None);
        store
            .write(|tx| {
                tx.batch(
                    "INSERT INTO metric VALUES (1, 'it''s \"m\"'), (2, 'text');
                     INSERT INTO series (run_id, metric_id, kind, last) VALUES (1, 1, 'scalar', 9.5), (1, 2, 'text', NULL);",
                )?;
                refresh_wide_view(tx, id)
            })
            .unwrap();
        assert_eq!(run.0, 1);
        let (names, rows) = wide(&store);
        let got: Vec<(&str, &SqlValue)> = names.iter().map(String::as_str).zip(&rows[0]).collect();
        let text = |text: &str| SqlValue::Text(text.into());
        for (name, value) in [
            ("run_id", SqlValue::Integer(1)),
            ("seed", SqlValue::Integer(7)),
            ("value", SqlValue::Real(0.5)),
            ("p_lr", SqlValue::Real(0.1)),
            ("p_LR_2", SqlValue::Integer(2)),
            ("p_it's \"q\"\\\n", text("v'")),
            ("p_größe.a.b", text("[1,2]")),
            ("p_größe.c\".d", SqlValue::Integer(1)),
            ("p_; DROP TABLE run; --", SqlValue::Null),
            ("p_size", text("{}")),
            ("p_p.a", SqlValue::Integer(1)),
            ("p_p.a_2", SqlValue::Integer(2)),
            ("p_$", SqlValue::Integer(3)),
            ("p_only", SqlValue::Null),
            ("m_it's \"m\"", SqlValue::Real(9.5)),
        ] {
            assert!(got.contains(&(name, &value)), "{name} = {value:?} is not in {got:?}");
        }
        assert_eq!(rows[1][names.iter().position(|name| name == "p_only").unwrap()], text("here"));
        assert!(!names.iter().any(|name| name == "m_text"));
    }

    #[test]
    fn a_file_has_the_latest_views_only() {
        let (_folder, mut store) = store();
        for i in 0..25 {
            let id = experiment(&mut store, &format!("e{i}"));
            store.write(|tx| refresh_wide_view(tx, id)).unwrap();
        }
        let left: Vec<String> = store.read(|tx| tx.all(WIDE_VIEWS, [], |row| row.get(0))).unwrap();
        assert_eq!(left.len(), VIEW_MAX);
        assert_eq!((left[0].as_str(), left[19].as_str()), ("wide_6", "wide_25"));
    }

    #[test]
    fn it_has_a_bound_and_is_made_again_only_when_it_differs() {
        let (_folder, mut store) = store();
        let id = experiment(&mut store, "x");
        store.write(|tx| refresh_wide_view(tx, id)).unwrap();
        assert_eq!(wide(&store).0.len(), 5, "no run yet");
        let many: Map<String, Value> = (0..900).map(|i| (format!("k{i}"), i.into())).collect();
        let config = config(&mut store, many.into());
        ended_run(&mut store, id, config, 0, RunState::Complete, None);
        store.write(|tx| refresh_wide_view(tx, id)).unwrap();
        assert_eq!(wide(&store).0.len(), COLUMN_MAX);
        let version = |store: &Store| -> i64 {
            store.read(|tx| tx.one("PRAGMA schema_version", [], |row| row.get(0))).unwrap()
        };
        let before = version(&store);
        store.write(|tx| refresh_wide_view(tx, id)).unwrap();
        assert_eq!(version(&store), before);
    }
}
