//! Config files: reading them, and naming the configs after them.

use super::block::{Block, check_name};
use super::document;
use super::{Files, NamedConfig, template};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// More configs in one experiment than anybody lists.
pub const CONFIGS_MAX: usize = 100_000;
/// More than all configs of one experiment take together, as JSON.
const TOTAL_MAX_BYTES: usize = 256 << 20;

/// Reads a config file named at a key of a spec.
pub fn load(block: &Block, key: &str, path: &str, files: &dyn Files) -> Result<NamedConfig> {
    if path.trim().is_empty() {
        return Err(block.error(key, "the file name is empty"));
    }
    let text = files.read(path).map_err(|error| {
        let error = block.error(key, format!("cannot read the config file `{path}`: {error}"));
        error.with_hint(near(path, files))
    })?;
    let params = document::read(&text, path).map_err(|error| {
        explain(error, &format!("{} of {} names this file", block.path(key), block.origin()))
    })?;
    let name = stem(path).to_owned();
    check_name(&name).map_err(|why| block.error(key, why))?;
    Ok(NamedConfig { name, params, source: Some(path.into()) })
}

/// Returns the hint for a file that is missing: the other spelling of its extension, or where we looked.
pub fn near(path: &str, files: &dyn Files) -> String {
    let others = [(".yaml", ".yml"), (".yml", ".yaml"), (".yaml", ".json"), (".json", ".yaml")];
    let other = others
        .iter()
        .filter_map(|(ours, other)| path.strip_suffix(ours).map(|stem| format!("{stem}{other}")));
    match other.into_iter().find(|other| files.is_file(other)) {
        Some(other) => format!("there is `{other}`"),
        None => format!("relative paths start at {}", files.folder()),
    }
}

fn explain(error: Error, text: &str) -> Error {
    match error.hint() {
        Some(_) => error,
        None => error.with_hint(text),
    }
}

/// Returns a file's name without its folder and its last extension.
pub fn stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// Reads a list of configs: file names, and where `inline` allows it mappings, named `config_1` by their place.
pub fn list(block: &Block, key: &str, inline: bool, files: &dyn Files) -> Result<Vec<NamedConfig>> {
    let values = match block.need(key)? {
        Value::Array(values) => values.as_slice(),
        value @ (Value::String(_) | Value::Object(_)) => std::slice::from_ref(value),
        other => {
            return Err(super::block::wrong(block.origin(), &block.path(key), "a list", other));
        }
    };
    if values.is_empty() {
        return Err(block.error(key, "the list of configs is empty"));
    }
    if values.len() > CONFIGS_MAX {
        let why = format!("{} configs, more than {CONFIGS_MAX}", values.len());
        return Err(block.error(key, why));
    }
    let mut configs: Vec<NamedConfig> = Vec::with_capacity(values.len());
    for (i, value) in values.iter().enumerate() {
        let place = format!("{key}.{i}");
        configs.push(match value {
            Value::String(path) => {
                if configs.iter().any(|config| config.source.as_ref() == Some(path)) {
                    return Err(block.error(&place, format!("the file `{path}` is listed twice")));
                }
                load(block, &place, path, files)?
            }
            Value::Object(params) if inline => {
                let name = format!("config_{}", i + 1);
                NamedConfig { name, params: params.clone(), source: None }
            }
            other => {
                let expected = if inline { "a file name or a mapping" } else { "a file name" };
                let path = block.path(&place);
                return Err(super::block::wrong(block.origin(), &path, expected, other));
            }
        });
    }
    make_unique(&mut configs);
    Ok(configs)
}

/// Makes names differ: equal stems get their folder in front, and what is still equal a number behind.
fn make_unique(configs: &mut [NamedConfig]) {
    let stems = counts(configs);
    for config in configs.iter_mut().filter(|config| stems[&config.name] > 1) {
        let folder = config.source.as_deref().and_then(|path| path.rsplit_once('/'));
        let folder = folder.and_then(|(folders, _)| folders.rsplit('/').next());
        if let Some(folder) = folder.filter(|folder| !folder.is_empty()) {
            config.name = format!("{folder}_{}", config.name);
        }
    }
    let all = counts(configs);
    let mut taken: HashMap<String, usize> = HashMap::new();
    for config in configs {
        let first = config.name.clone();
        while taken.contains_key(&config.name)
            || (config.name != first && all.contains_key(&config.name))
        {
            let n = taken.entry(first.clone()).or_insert(1);
            *n += 1;
            config.name = format!("{first}_{n}");
        }
        taken.insert(config.name.clone(), 1);
    }
}

fn counts(configs: &[NamedConfig]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for config in configs {
        *counts.entry(config.name.clone()).or_default() += 1;
    }
    counts
}

/// Reads a base config: a file name, or where `inline` allows it a mapping. Returns its name, if it has one.
pub fn base(
    block: &Block,
    key: &str,
    files: &dyn Files,
) -> Result<(Map<String, Value>, Option<String>)> {
    match block.get(key) {
        None => Ok((Map::new(), None)),
        Some(Value::Object(map)) => Ok((map.clone(), None)),
        Some(Value::String(path)) => {
            let config = load(block, key, path, files)?;
            Ok((config.params, Some(config.name)))
        }
        Some(other) => {
            let expected = "a file name or a mapping";
            Err(super::block::wrong(block.origin(), &block.path(key), expected, other))
        }
    }
}

/// Lays each config on the base.
pub fn lay_on(block: &Block, base: &Map<String, Value>, configs: &mut [NamedConfig]) -> Result<()> {
    let size = Value::Object(base.clone()).to_string().len();
    if size.saturating_mul(configs.len()) > TOTAL_MAX_BYTES {
        let why = format!("{} configs with a base of {size} bytes are too much", configs.len());
        return Err(block.error("base", why));
    }
    for config in configs {
        config.params = template::merge(base, &config.params);
    }
    Ok(())
}

/// Refuses parameters that would have to go inside a plain value of the base.
pub fn check_targets(
    block: &Block,
    base: &Map<String, Value>,
    targets: &BTreeMap<String, String>,
) -> Result<()> {
    for (name, target) in targets {
        let above = target.match_indices('/').map(|(at, _)| &target[..at]);
        for section in above {
            if template::lookup(base, section).is_some_and(|value| !value.is_object()) {
                let why = format!("`{section}` is a plain value in the base config");
                return Err(block.error(name, why));
            }
        }
    }
    Ok(())
}

/// Warns of numbers JSON has no place for: a script is handed their names.
pub fn warn_not_finite(name: &str, config: &Map<String, Value>, warnings: &mut Vec<String>) {
    for path in template::names(config) {
        let text = template::lookup(config, &path).and_then(Value::as_str).unwrap_or_default();
        if [".nan", ".inf", "-.inf"].contains(&text) {
            warnings.push(format!("`{path}` in `{name}` reaches the script as the text {text:?}"));
        }
    }
}
