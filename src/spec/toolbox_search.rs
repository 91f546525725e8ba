//! The search block of an mle-toolbox file: its strategy, its budget, and its space in our language.

use super::block::{Block, check_name, whole, wrong};
use super::document::describe;
use super::own::{self, AGGREGATES, RUNS_MAX, check_run_count};
use super::toolbox::{flag, need_block, seeds};
use super::{Aggregate, Goal, Objective, Plan, Search, ValueFrom, configs, space};
use crate::error::{Error, Result};
use crate::search::fidelity::rungs::halving;
use crate::search::strategy::WITH_EPOCHS;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The seed the toolbox uses when nobody configured one.
const SEED: u64 = 42;

/// The search types of the toolbox, and our strategy for each.
const TYPES: [(&str, &str); 8] = [
    ("Random", "random"),
    ("Grid", "grid"),
    ("SMBO", "smbo"),
    ("Nevergrad", "evolution"),
    ("Coordinate", "coordinate"),
    ("Halving", "halving"),
    ("Hyperband", "hyperband"),
    ("PBT", "pbt"),
];

/// Optimizers of Nevergrad, and our strategy for each; `evolution` for all others.
const OPTIMIZERS: [(&str, &str); 11] = [
    ("CMA", "cmaes"),
    ("DiagonalCMA", "cmaes"),
    ("FCMA", "cmaes"),
    ("DE", "de"),
    ("TwoPointsDE", "de"),
    ("LhsDE", "de"),
    ("PSO", "pso"),
    ("RealSpacePSO", "pso"),
    ("OnePlusOne", "one_plus_one"),
    ("NGOpt", "evolution"),
    ("RandomSearch", "random"),
];

/// Fills the parts of a plan that a search decides.
pub fn search(
    block: &Block,
    base: &Map<String, Value>,
    plan: &mut Plan,
    warnings: &mut Vec<String>,
) -> Result<()> {
    block.warn_unknown(&["search_logging", "search_resources", "search_config"], warnings);
    logging(&need_block(block, "search_logging")?, plan, warnings)?;
    let config = need_block(block, "search_config")?;
    config.warn_unknown(
        &["search_type", "search_schedule", "search_params", "search_config"],
        warnings,
    );
    let strategy = strategy(&config)?;
    let schedules = [("sync", true), ("async", false)];
    let sync = config.word("search_schedule", "schedule", &schedules)?.unwrap_or(true);

    let resources = need_block(block, "search_resources")?;
    let trains = match WITH_EPOCHS.contains(&strategy) {
        true => Some(training(&config, &resources, strategy, warnings)?),
        false => None,
    };
    let (trials, batch) = match trains {
        Some(_) => (None, None),
        None => {
            let (trials, batch) = budget(&resources, sync, warnings)?;
            (Some(trials), batch)
        }
    };
    let named = resources.get("num_seeds_per_eval").or(resources.get("random_seeds"));
    plan.seed_default = named.is_none();
    plan.seeds = seeds(&resources, "num_seeds_per_eval", warnings)?.unwrap_or_else(|| vec![0]);
    plan.workers = resources.count("max_running_jobs", 1, 10_000)?;
    check_run_count(&resources, trials.unwrap_or(1), plan.seeds.len())?;

    let (strategy, own) = match config.block("search_config")?.filter(|_| trains.is_none()) {
        Some(settings) => settings_of(&settings, strategy, warnings)?,
        None => (strategy, Map::new()),
    };
    let params = need_block(&config, "search_params")?;
    let space = translate(&params, matches!(strategy, "grid" | "coordinate"), warnings)?;
    let mut targets = targets(&params, &space, base)?;
    let has_section = base.get("train_config").is_some_and(Value::is_object);
    let section = if has_section { "train_config/" } else { "" };
    if trains.is_some() {
        // Where mle-hyperopt's strategies with epochs put what they propose.
        for target in targets.values_mut() {
            *target = match target.rsplit_once('/') {
                Some((section, name)) => format!("{section}/params/{name}"),
                None => format!("params/{target}"),
            };
        }
    }
    configs::check_targets(&params, base, &targets)?;
    let (epochs, settings) =
        trains.map_or((None, own), |(epochs, settings)| (Some(epochs), settings));
    let search = Search {
        constraints: Vec::new(),
        strategy: strategy.into(),
        trials,
        space: Value::Object(space),
        batch,
        settings,
        seed: SEED,
        points: Vec::new(),
        warm_start: Vec::new(),
        targets,
        epochs,
        epochs_key: None,
        extra_key: epochs.map(|_| format!("{section}extra")),
        epoch_budget: None,
        stop: None,
    };
    if epochs.is_some() || !matches!(strategy, "random" | "grid") {
        own::check_search(&config, "search_config", &search, plan.objectives.len())?;
    }
    plan.search = Some(search);
    Ok(())
}

/// Returns the epochs of a full training and the settings of a strategy that decides about them.
///
/// What a batch is, such a strategy knows: a rung, or a turn of its population.
fn training(
    config: &Block,
    resources: &Block,
    strategy: &str,
    warnings: &mut Vec<String>,
) -> Result<(u64, Map<String, Value>)> {
    let counts = ["num_search_batches", "num_evals_per_batch", "num_total_evals"];
    let both = ["num_seeds_per_eval", "random_seeds", "max_running_jobs"];
    resources.warn_unknown(&[counts.as_slice(), &both].concat(), warnings);
    let used = if strategy == "hyperband" { &[][..] } else { &counts[..1] };
    for key in counts.iter().filter(|key| !used.contains(key) && resources.get(key).is_some()) {
        let path = resources.path(key);
        warnings.push(format!("key `{path}` has no effect: the strategy knows its batches"));
    }
    let batches = resources.integer("num_search_batches", 1, RUNS_MAX as i64)?;
    let block = need_block(config, "search_config")?;
    let (needed, known): (&[&str], &[&str]) = match strategy {
        "halving" => (
            &["num_arms", "min_budget"],
            &["min_budget", "num_arms", "halving_coeff", "max_budget"],
        ),
        "hyperband" => (&["max_resource"], &["max_resource", "eta"]),
        _ => (
            &["num_workers", "steps_until_ready"],
            &["num_workers", "steps_until_ready", "explore", "exploit"],
        ),
    };
    block.warn_unknown(known, warnings);
    for key in needed {
        block.need(key)?;
    }
    let mut settings = block.map().clone();
    settings.retain(|key, value| known.contains(&key.as_str()) && !value.is_null());
    let whole = |key: &str| -> Result<u64> {
        Ok(block.integer(key, 1, RUNS_MAX as i64)?.unwrap_or(1).cast_unsigned())
    };
    let epochs = match strategy {
        "halving" => {
            let eta = settings.get("halving_coeff").and_then(Value::as_f64).unwrap_or(2.0);
            if eta <= 1.0 {
                return Err(block.error("halving_coeff", format!("must be above 1, not {eta}")));
            }
            let most = match settings.get("max_budget") {
                Some(_) => Some(whole("max_budget")?),
                None => None,
            };
            let rungs = halving(whole("num_arms")?, whole("min_budget")?, eta, most);
            let last =
                batches.map_or(rungs.len(), |n| usize::try_from(n).unwrap_or(1).min(rungs.len()));
            let epochs = rungs[last - 1].epochs;
            settings.insert("max_budget".into(), epochs.into());
            epochs
        }
        "hyperband" => whole("max_resource")?,
        _ => {
            let turns = batches.ok_or_else(|| {
                let error = resources.error("", "the key `num_search_batches` is missing");
                error.with_hint("say how many turns the population trains")
            })?;
            whole("steps_until_ready")?.saturating_mul(turns.cast_unsigned())
        }
    };
    Ok((epochs, settings))
}

fn strategy(config: &Block) -> Result<&'static str> {
    let name = config.text("search_type")?.unwrap_or("Grid");
    match TYPES.iter().find(|(known, _)| *known == name) {
        Some((_, strategy)) => Ok(strategy),
        None => {
            let known: Vec<&str> = TYPES.iter().map(|(known, _)| *known).collect();
            Err(config.unknown_value("search_type", "search type", name, &known))
        }
    }
}

/// Returns the strategy that the settings of a search without epochs ask for, and those it takes.
fn settings_of(
    block: &Block,
    strategy: &'static str,
    warnings: &mut Vec<String>,
) -> Result<(&'static str, Map<String, Value>)> {
    let known: &[&str] = match strategy {
        "smbo" => &["base_estimator", "acq_function", "n_initial_points"],
        "coordinate" => &["order", "defaults"],
        _ => &[],
    };
    let mut chosen = strategy;
    if strategy == "evolution"
        && let Some(name) = block.text("optimizer")?
    {
        match OPTIMIZERS.iter().find(|(known, _)| *known == name) {
            Some((_, ours)) => chosen = ours,
            None => warnings.push(format!(
                "key `{}`: the optimizer `{name}` is not known, `evolution` chooses one",
                block.path("optimizer")
            )),
        }
    }
    // How many trials there are, and how many at once, is said under `search_resources`.
    let idle = ["budget_size", "num_workers"];
    for key in block.map().keys().map(String::as_str) {
        let of_nevergrad = strategy == "evolution" && (key == "optimizer" || idle.contains(&key));
        if !known.contains(&key) && !of_nevergrad {
            let path = block.path(key);
            warnings.push(format!("key `{path}` has no effect with the strategy `{chosen}`"));
        }
    }
    let mut settings = block.map().clone();
    settings.retain(|key, value| known.contains(&key.as_str()) && !value.is_null());
    Ok((chosen, settings))
}

fn logging(block: &Block, plan: &mut Plan, warnings: &mut Vec<String>) -> Result<()> {
    let idle = ["reload_log", "no_results_logging"];
    block.warn_unknown(
        &["max_objective", "aggregate_seeds", "problem_type", "eval_metrics", idle[0], idle[1]],
        warnings,
    );
    for key in idle {
        if flag(block, key)?.unwrap_or(false) {
            let path = block.path(key);
            warnings.push(format!("key `{path}` has no effect: every trial is kept in the file"));
        }
    }
    let maximise = flag(block, "max_objective")?.unwrap_or(true);
    let goal = if maximise { Goal::Max } else { Goal::Min };
    let types = [("final", ValueFrom::Last), ("best", ValueFrom::Best), ("mean", ValueFrom::Mean)];
    let from = block.word("problem_type", "problem type", &types)?.unwrap_or(ValueFrom::Last);
    plan.aggregate =
        block.word("aggregate_seeds", "aggregate", &AGGREGATES)?.unwrap_or(Aggregate::Mean);
    let metrics = match block.need("eval_metrics")? {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if metrics.is_empty() {
        return Err(block.error("eval_metrics", "the list of metrics is empty"));
    }
    for metric in metrics {
        let Value::String(metric) = metric else {
            let path = block.path("eval_metrics");
            return Err(wrong(block.origin(), &path, "names of metrics", metric));
        };
        check_name(metric).map_err(|why| block.error("eval_metrics", why))?;
        if plan.objectives.iter().any(|known| known.metric == *metric) {
            let why = format!("the metric `{metric}` is given twice");
            return Err(block.error("eval_metrics", why));
        }
        plan.objectives.push(Objective { metric: metric.clone(), goal, from });
    }
    Ok(())
}

/// Returns how many trials there are, and how many of them are asked for together.
fn budget(block: &Block, sync: bool, warnings: &mut Vec<String>) -> Result<(u64, Option<u64>)> {
    let ours = if sync {
        ["num_search_batches", "num_evals_per_batch"].as_slice()
    } else {
        ["num_total_evals"].as_slice()
    };
    let all = ["num_search_batches", "num_evals_per_batch", "num_total_evals"];
    let both = ["num_seeds_per_eval", "random_seeds", "max_running_jobs"];
    block.warn_unknown(&[all.as_slice(), &both].concat(), warnings);
    let schedule = if sync { "sync" } else { "async" };
    for key in all.iter().filter(|key| !ours.contains(key) && block.get(key).is_some()) {
        let path = block.path(key);
        warnings.push(format!("key `{path}` has no effect with the schedule `{schedule}`"));
    }
    let most = RUNS_MAX as i64;
    for key in ours {
        block.need(key).map_err(|error| {
            error.with_hint(format!("the schedule `{schedule}` needs: {}", ours.join(", ")))
        })?;
    }
    if !sync {
        let trials = block.integer("num_total_evals", 1, most)?.unwrap_or(1);
        return Ok((trials.cast_unsigned(), None));
    }
    let batches = block.integer("num_search_batches", 1, most)?.unwrap_or(1).cast_unsigned();
    let key = "num_evals_per_batch";
    let Some(Value::Array(sizes)) = block.get(key) else {
        let size = block.integer(key, 1, most)?.unwrap_or(1).cast_unsigned();
        return Ok((batches.saturating_mul(size), Some(size)));
    };
    let size =
        |size: &Value| whole(size).filter(|size| (1..=most).contains(size)).map(i64::cast_unsigned);
    let sizes: Option<Vec<u64>> = sizes.iter().map(size).collect();
    let sizes = sizes.filter(|sizes| sizes.len() as u64 == batches).ok_or_else(|| {
        block.error(key, format!("must be a number, or a list of {batches}, one for each batch"))
    })?;
    let largest = sizes.iter().copied().max();
    if sizes.iter().any(|size| Some(*size) != largest) {
        let why = "has sizes that differ: batches are as large as the largest, the sum stays";
        warnings.push(format!("key `{}` {why}", block.path(key)));
    }
    Ok((sizes.iter().sum(), largest))
}

/// Returns the space in our language.
fn translate(params: &Block, grid: bool, warnings: &mut Vec<String>) -> Result<Map<String, Value>> {
    params.only(&["real", "integer", "categorical"])?;
    let mut space = Map::new();
    for kind in params.map().keys() {
        let Some(block) = params.block(kind)? else { continue };
        for (name, value) in block.map() {
            if space.contains_key(name) {
                let why = format!("the parameter `{name}` is described twice");
                return Err(block.error("", why));
            }
            let parameter = match kind.as_str() {
                "categorical" => categorical(&block, name, value, warnings)?,
                _ => {
                    let path = block.path(name);
                    let block = Block::new(block.origin(), path, value)?;
                    numeric(&block, kind, grid, warnings)?
                }
            };
            space.insert(name.clone(), parameter);
        }
    }
    // Whatever slipped through above is caught by the rules of our own language.
    space::normalise(params.origin(), &params.path(""), &Value::Object(space))
}

fn categorical(
    block: &Block,
    name: &str,
    value: &Value,
    warnings: &mut Vec<String>,
) -> Result<Value> {
    let given = match value {
        Value::Array(choices) => choices.as_slice(),
        Value::Null | Value::Object(_) => {
            return Err(wrong(block.origin(), &block.path(name), "a list of choices", value));
        }
        value => std::slice::from_ref(value),
    };
    let mut seen = std::collections::HashSet::new();
    let new = |choice: &&Value| seen.insert(space::same_number(choice));
    let choices: Vec<Value> = given.iter().filter(new).cloned().collect();
    if choices.len() < given.len() {
        warnings.push(format!("key `{}` names a choice twice: it counts once", block.path(name)));
    }
    Ok(space::pairs([("type", "categorical".into()), ("choices", Value::Array(choices))]))
}

fn numeric(block: &Block, kind: &str, grid: bool, warnings: &mut Vec<String>) -> Result<Value> {
    block.warn_unknown(&["begin", "end", "bins", "prior"], warnings);
    let (low, high) = (number(block, "begin", kind)?, number(block, "end", kind)?);
    let [low_x, high_x] = [&low, &high].map(|x| x.as_f64().unwrap_or(f64::NAN));
    if low_x > high_x {
        return Err(block.error("", format!("begin must not be above end, not {low} and {high}")));
    }
    let bins = block.integer("bins", 1, 1_000_000)?;
    let priors = [("uniform", "uniform"), ("log-uniform", "log")];
    let prior = block.word("prior", "prior", &priors)?.unwrap_or("uniform");
    if low_x == high_x || (grid && bins == Some(1)) {
        return Ok(space::pairs([("type", "fixed".into()), ("value", low)]));
    }
    let mut idle = |key: &str, why: &str| {
        if block.get(key).is_some() {
            warnings.push(format!("key `{}` has no effect {why}", block.path(key)));
        }
    };
    if grid {
        idle("prior", "in a grid: its values are evenly spaced");
        let mut out = parameter(kind, low, high, "uniform");
        match bins {
            Some(bins) => out["bins"] = bins.into(),
            None if kind == "real" => {
                let error = block.error("", "the key `bins` is missing");
                return Err(error.with_hint("a grid needs `bins` for a real parameter"));
            }
            None => {}
        }
        return Ok(out);
    }
    idle("bins", "outside a grid");
    if prior == "log" && low_x <= 0.0 {
        let why = format!("must be above 0 for the prior `log-uniform`, not {low}");
        return Err(block.error("begin", why));
    }
    Ok(parameter(kind, low, high, prior))
}

fn parameter(kind: &str, low: Value, high: Value, prior: &str) -> Value {
    space::pairs([("type", kind.into()), ("low", low), ("high", high), ("prior", prior.into())])
}

/// Returns a bound; digits in quotes are read too, as they were there.
fn number(block: &Block, key: &str, kind: &str) -> Result<Value> {
    let value = block.need(key)?;
    let error = |expected: &str| wrong(block.origin(), &block.path(key), expected, value);
    let number = match value {
        Value::Number(_) => value.clone(),
        Value::String(text) => {
            let number = text.trim().parse::<f64>().ok().filter(|x| x.is_finite());
            Value::from(number.ok_or_else(|| error("a finite number"))?)
        }
        _ => return Err(error("a number")),
    };
    if kind == "integer" {
        return Ok(whole(&number).ok_or_else(|| error("a whole number"))?.into());
    }
    Ok(number)
}

/// Returns where in the config each parameter goes.
fn targets(
    params: &Block,
    space: &Map<String, Value>,
    base: &Map<String, Value>,
) -> Result<BTreeMap<String, String>> {
    let mut targets: BTreeMap<String, String> = BTreeMap::new();
    for name in space.keys() {
        let target = target(params, name, base)?;
        let inside = |a: &str, b: &str| {
            a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'))
        };
        let other =
            targets.iter().find(|(_, other)| inside(&target, other) || inside(other, &target));
        if let Some((other, _)) = other {
            let why = format!("the parameters `{other}` and `{name}` set the same key `{target}`");
            return Err(params.error("", why));
        }
        targets.insert(name.clone(), target);
    }
    Ok(targets)
}

fn target(params: &Block, name: &str, base: &Map<String, Value>) -> Result<String, Error> {
    let Some((section, rest)) = name.split_once(':') else {
        let has_section = base.get("train_config").is_some_and(Value::is_object);
        return Ok(if has_section { format!("train_config/{name}") } else { name.into() });
    };
    let key = format!("{section}_config");
    if ["train", "model"].contains(&section) || base.contains_key(&key) {
        space::check_parameter_name(rest).map_err(|why| params.error("", why))?;
        return Ok(format!("{key}/{rest}"));
    }
    let text = describe(&Value::String(name.into()));
    let error = params.error("", format!("{text} names the unknown section `{section}`"));
    Err(error.with_hint(format!(
        "sections are `train` and `model`, or `{section}` with `{key}` in the base config"
    )))
}
