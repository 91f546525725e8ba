//! The command line of a spec in our language, and what its placeholders can be filled with.

use super::block::{Block, suggest, wrong};
use super::document::describe;
use super::{Files, Launch, NamedConfig, Plan, template};
use crate::error::Result;
use serde_json::Value;

/// Reads `command` or `script` with `args`; exactly one of the two must be there.
pub fn read(block: &Block, cwd: Option<&str>, files: &dyn Files) -> Result<Launch> {
    match (block.get("command"), block.filled_text("script")?) {
        (Some(_), Some(_)) => Err(block
            .error("", "`command` and `script` exclude each other")
            .with_hint("keep `command` for a line of your own, `script` for -config, -seed flags")),
        (None, None) => Err(block
            .error("", "there is neither `command` nor `script`")
            .with_hint("say what to run, such as `command: python3 train.py --seed {seed}`")),
        (Some(_), None) if block.get("args").is_some() => Err(block
            .error("args", "only goes with `script`")
            .with_hint("write the arguments into the command")),
        (Some(value), None) => words(block, value).map(Launch::Template),
        (None, Some(script)) => {
            script_exists(block, "script", script, cwd, files)?;
            Ok(Launch::Script { script: script.into(), args: args(block, "args")? })
        }
    }
}

/// Refuses a script that is not there.
pub fn script_exists(
    block: &Block,
    key: &str,
    script: &str,
    cwd: Option<&str>,
    files: &dyn Files,
) -> Result<()> {
    let path = match cwd {
        Some(cwd) if !script.starts_with('/') => format!("{}/{script}", cwd.trim_end_matches('/')),
        _ => script.to_owned(),
    };
    if files.is_file(&path) {
        return Ok(());
    }
    let error = block.error(key, format!("there is no file `{path}`"));
    Err(error.with_hint(format!("relative paths start at {}", files.folder())))
}

fn words(block: &Block, value: &Value) -> Result<Vec<String>> {
    let words = match value {
        Value::String(text) => shell_words::split(text).map_err(|_| {
            let error = block.error("command", "a quote is not closed");
            error.with_hint("a list of words needs no quoting: [python3, train.py]")
        })?,
        Value::Array(list) => {
            let scalar = |(i, word): (usize, &Value)| match word {
                Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(template::to_text(word)),
                other => {
                    let path = block.path(&format!("command.{i}"));
                    Err(wrong(block.origin(), &path, "a word", other))
                }
            };
            list.iter().enumerate().map(scalar).collect::<Result<_>>()?
        }
        other => {
            let expected = "a text or a list of words";
            return Err(wrong(block.origin(), &block.path("command"), expected, other));
        }
    };
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(block.error("command", "the command is empty"));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(block.error("command", "holds a NUL character"));
    }
    Ok(words)
}

/// Reads a mapping of flags and their values.
pub fn args(block: &Block, key: &str) -> Result<Vec<(String, String)>> {
    block.block(key)?.map_or(Ok(Vec::new()), |args| pairs(&args))
}

/// Returns the flags of a mapping in its order.
pub fn pairs(args: &Block) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (name, value) in args.map() {
        pairs.push((name.clone(), scalar_text(args, name, value)?));
        if name.trim().is_empty() || name.contains(['\0', '\n']) {
            return Err(args.error("", format!("{name:?} cannot be the name of a flag")));
        }
    }
    Ok(pairs)
}

/// Returns a scalar as text.
pub fn scalar_text(block: &Block, key: &str, value: &Value) -> Result<String> {
    match value {
        Value::String(text) if text.contains('\0') => {
            Err(block.error(key, "holds a NUL character"))
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(template::to_text(value)),
        other => {
            let why = format!("must be a text, a number or a boolean, not {}", describe(other));
            Err(block.error(key, why))
        }
    }
}

/// Checks the placeholders of a command against what the runs will have, and warns of parameters nobody reads.
///
/// Sets whether the seed is on the command line.
pub fn check(block: &Block, plan: &mut Plan) -> Result<()> {
    let Launch::Template(words) = &plan.launch else { return Ok(()) };
    let names = template::placeholders(words).map_err(|why| block.error("command", why))?;
    let has = |name: &str| names.iter().any(|used| used == name);
    for name in names.iter().filter(|name| !template::RESERVED.contains(&name.as_str())) {
        match &plan.search {
            Some(_) => check_searched(block, plan, name)?,
            None => check_listed(block, &plan.configs, name)?,
        }
    }
    plan.pass_seed = has("seed");
    if !plan.pass_seed && plan.seeds.len() > 1 {
        plan.warnings.push(format!(
            "the command has no {{seed}}: its {} runs of a config differ only in the environment variable MLE_SEED",
            plan.seeds.len()
        ));
    }
    if let Some(Value::Object(space)) = plan.search.as_ref().map(|search| &search.space) {
        for reserved in template::RESERVED {
            if space.contains_key(reserved) && has(reserved) {
                let why =
                    format!("{{{reserved}}} means the run's own {reserved}, not the parameter");
                return Err(block
                    .error("command", why)
                    .with_hint("give the parameter another name"));
            }
        }
        let key = plan.search.as_ref().and_then(|search| search.epochs_key.as_ref());
        let told = ["sh_num_total_iters", "pbt_num_total_iters"];
        let told = told.iter().copied().chain(key.map(String::as_str)).any(has);
        // Where all train in full until they are stopped, the command may know how long that is.
        let trains_in_full = plan.search.as_ref().is_some_and(|search| {
            search.settings.get("style").and_then(|style| style.as_str()) == Some("stop")
        });
        if let Some(key) = key.filter(|_| !told && !has("config") && !trains_in_full) {
            plan.warnings.push(format!(
                "the command reads neither {{{key}}} nor {{config}}: nobody tells it how many epochs to train"
            ));
        }
        if !has("config") {
            let inside = |name: &str, used: &str| {
                name == used || name.strip_prefix(used).is_some_and(|rest| rest.starts_with('/'))
            };
            let unused = space.keys().filter(|name| !names.iter().any(|used| inside(name, used)));
            let unused: Vec<String> = unused.map(|name| format!("{{{name}}}")).collect();
            if !unused.is_empty() {
                plan.warnings.push(format!(
                    "the command has neither {} nor {{config}}: it must read MLE_PARAMS to know what is searched",
                    unused.join(", ")
                ));
            }
        }
    }
    Ok(())
}

fn check_searched(block: &Block, plan: &Plan, name: &str) -> Result<()> {
    let space = plan.search.as_ref().and_then(|search| search.space.as_object());
    let in_base = template::lookup(&plan.base, name).is_some()
        || plan.search.as_ref().is_some_and(|search| search.sets(name));
    if let Some(parameter) = space.and_then(|space| space.get(name)) {
        if parameter.get("when").is_some() && !in_base {
            let why = format!("the parameter `{name}` is not there in every trial");
            return Err(block.error("command", why).with_hint(format!(
                "give `{name}` a value under `base`, or read the file {{config}} instead"
            )));
        }
        return Ok(());
    }
    let searched = space.into_iter().flat_map(|space| space.keys().cloned());
    let sections = searched.clone().any(|known| known.starts_with(&format!("{name}/")));
    if in_base || sections {
        return Ok(());
    }
    unknown(block, name, searched.chain(template::names(&plan.base)).collect())
}

fn check_listed(block: &Block, configs: &[NamedConfig], name: &str) -> Result<()> {
    let lacks = |config: &&NamedConfig| template::lookup(&config.params, name).is_none();
    let Some(config) = configs.iter().find(lacks) else { return Ok(()) };
    if configs.iter().any(|config| !lacks(&config)) {
        let why = format!("the config `{}` has no value for {{{name}}}", config.name);
        return Err(block
            .error("command", why)
            .with_hint(format!("give `{name}` a value there, or one for all under `base`")));
    }
    unknown(block, name, template::names(&config.params))
}

fn unknown(block: &Block, name: &str, mut known: Vec<String>) -> Result<()> {
    known.truncate(50);
    let known: Vec<&str> = known.iter().map(String::as_str).chain(template::RESERVED).collect();
    let shown = super::document::shorten(name);
    let error = block.error("command", format!("unknown placeholder {{{shown}}}"));
    let braces = "; write {{ and }} for braces that are meant literally";
    Err(error.with_hint(format!("{}{braces}", suggest(name, &known))))
}
