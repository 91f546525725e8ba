//! Configs: all inputs of a run except the seed, found by content.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::ConfigId;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

const FIND_CONFIG: &str = named(include_str!("../../sql/protocol.sql"), "find_config");
const ADD_CONFIG: &str = named(include_str!("../../sql/protocol.sql"), "add_config");
const PARAMS: &str = named(include_str!("../../sql/protocol.sql"), "params_of_config");

/// Finds the config of this content, or adds it. The order of keys does not tell configs apart; the first one to come
/// decides in which order they are shown.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn add_config(tx: &WriteTx, params: &Map<String, Value>) -> Result<ConfigId> {
    let hash = blake3::hash(canonical(params).as_bytes()).to_hex();
    let hash = hash.as_str();
    if let Some(id) = tx.maybe(FIND_CONFIG, named_params! {":hash": hash}, |row| row.get(0))? {
        return Ok(id);
    }
    let text = serde_json::to_string(params).expect("JSON with text keys can be written");
    tx.insert(ADD_CONFIG, named_params! {":hash": hash, ":params": text}).map(ConfigId)
}

/// Returns a config's content, its keys in the order the user wrote them.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Sqlite`].
pub fn params_of_config(tx: &ReadTx, config: ConfigId) -> Result<Map<String, Value>> {
    let text: String = tx
        .maybe(PARAMS, named_params! {":id": config}, |row| row.get(0))?
        .ok_or_else(|| Error::not_found("config", config))?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// Returns the JSON that a config's hash is made of: no spaces, the keys of each object in the order of their bytes.
pub fn canonical(params: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_object(&mut text, params);
    text
}

fn write_object(text: &mut String, object: &Map<String, Value>) {
    let mut keys: Vec<&String> = object.keys().collect();
    keys.sort_unstable();
    text.push('{');
    for (i, key) in keys.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push(':');
        write_value(text, &object[key]);
    }
    text.push('}');
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Object(object) => write_object(text, object),
        Value::Array(values) => {
            text.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write_value(text, value);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter_but_that_of_values_does() {
        let a = json!({"b": {"y": [1, {"q": 1, "p": 2}], "x": "é\"\n"}, "a": 1.0});
        let b = json!({"a": 1.0, "b": {"x": "é\"\n", "y": [1, {"p": 2, "q": 1}]}});
        let text = canonical(a.as_object().unwrap());
        assert_eq!(text, canonical(b.as_object().unwrap()));
        assert_eq!(text, r#"{"a":1.0,"b":{"x":"é\"\n","y":[1,{"p":2,"q":1}]}}"#);
    }
}
