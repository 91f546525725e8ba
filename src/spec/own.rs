//! Our own spec language: short, strict, and the same in YAML, JSON and TOML.

use super::block::{Block, check_name, whole, wrong};
use super::plan::GOALS;
use super::{
    Activate, Aggregate, Files, Goal, KNOWN_STRATEGIES, Kind, NamedConfig, Objective, Plan,
    Processing, Resources, Search, ValueFrom,
};
use super::{configs, launch, space, template, units};
use crate::error::{Error, Result};
use crate::search::history::History;
use crate::search::space::Space;
use crate::search::stopper::{STOPPERS, stopper};
use crate::search::strategy::{EXTERNAL, RACING, Setup, WITH_EPOCHS, epoch_settings, strategy};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// More seeds than one config is run with.
pub const SEEDS_MAX: usize = 100_000;
/// More runs, or trials, than one experiment has.
pub const RUNS_MAX: u64 = 1_000_000;

const KEYS: [&str; 24] = [
    "name",
    "purpose",
    "project",
    "command",
    "script",
    "args",
    "seeds",
    "metric",
    "aggregate",
    "search",
    "configs",
    "base",
    "resources",
    "retries",
    "priority",
    "grace",
    "workers",
    "env",
    "cwd",
    "conda",
    "venv",
    "before",
    "after",
    "report",
];

/// How values of several seeds can become one.
pub const AGGREGATES: [(&str, Aggregate); 6] = [
    ("mean", Aggregate::Mean),
    ("p10", Aggregate::P10),
    ("p25", Aggregate::P25),
    ("p50", Aggregate::P50),
    ("p75", Aggregate::P75),
    ("p90", Aggregate::P90),
];

/// Reads a spec in our language.
pub fn plan(document: &Map<String, Value>, origin: &str, files: &dyn Files) -> Result<Plan> {
    let top = Block::top(origin, document);
    top.only(&KEYS)?;
    let cwd = top.filled_text("cwd")?;
    if let Some(cwd) = cwd.filter(|cwd| !files.is_dir(cwd)) {
        let error = top.error("cwd", format!("there is no directory `{cwd}`"));
        return Err(error.with_hint(format!("relative paths start at {}", files.folder())));
    }
    let name = match top.name("name")? {
        Some(name) => name.to_owned(),
        None => default_name(origin),
    };
    let mut plan = Plan::new(&name, Kind::SingleConfig, launch::read(&top, cwd, files)?);
    plan.cwd = cwd.map(str::to_owned);
    plan.purpose = top.text("purpose")?.unwrap_or_default().into();
    if let Some(project) = top.name("project")? {
        plan.project = project.into();
    }
    if let Some(seeds) = seeds(&top, "seeds")? {
        plan.seeds = seeds;
        plan.seed_default = false;
    }
    plan.objectives = objectives(&top)?;
    plan.aggregate = top.word("aggregate", "aggregate", &AGGREGATES)?.unwrap_or(Aggregate::Mean);
    runs(&top, &mut plan, files)?;
    plan.resources = top.block("resources")?.map_or(Ok(Resources::default()), resources)?;
    plan.retries = top.count("retries", 0, 1000)?.unwrap_or(0);
    plan.priority = top.integer("priority", -1_000_000, 1_000_000)?.unwrap_or(0);
    let grace = top.get("grace").map(units::time_ms).transpose();
    plan.grace_ms = grace.map_err(|why| top.error("grace", why))?;
    plan.workers = top.count("workers", 1, 10_000)?;
    plan.env = env(&top)?;
    plan.activate = activate(&top)?;
    for (key, slot) in [("before", &mut plan.before), ("after", &mut plan.after)] {
        let block = top.block(key)?;
        *slot = block.map(|block| processing(&block, cwd, &plan.activate, files)).transpose()?;
    }
    plan.report = top.boolean("report")?.unwrap_or(false);
    launch::check(&top, &mut plan)?;
    plan.warn_not_finite();
    Ok(plan)
}

/// Returns the experiment's name when the spec gives none: that of its file.
pub fn default_name(origin: &str) -> String {
    let stem = configs::stem(origin);
    if check_name(stem).is_ok() { stem.into() } else { "experiment".into() }
}

/// Reads what is run: a search, a list of configs, or one config.
fn runs(top: &Block, plan: &mut Plan, files: &dyn Files) -> Result<()> {
    let (base, base_name) = configs::base(top, "base", files)?;
    plan.base_source = top.get("base").and_then(Value::as_str).map(str::to_owned);
    if let Some(block) = top.block("search")? {
        if top.get("configs").is_some() {
            return Err(top.error("", "`search` and `configs` exclude each other").with_hint(
                "a search proposes the configs itself; what they share goes under `base`",
            ));
        }
        plan.kind = Kind::HyperparameterSearch;
        let search = search(&block, plan.seeds.len() as u64)?;
        let compares = search.decides_epochs() || search.races();
        if plan.objectives.is_empty() && (compares || search.stop.is_some()) {
            let who = if compares { &search.strategy } else { "stop" };
            let error = top.error("", format!("`{who}` compares trials, and there is no `metric`"));
            return Err(error.with_hint("name what the script reports, such as `metric: loss`"));
        }
        check_search(&block, "settings", &search, plan.objectives.len())?;
        if let [first, _, ..] = plan.objectives.as_slice()
            && (search.decides_epochs() || search.stop.is_some())
        {
            let who = if search.decides_epochs() { &search.strategy } else { "stop" };
            plan.warnings.push(format!(
                "`{who}` ends trials by `{}` alone: what is good in another objective may be ended too",
                first.metric
            ));
        }
        configs::check_targets(&block, &base, &search.targets)?;
        plan.search = Some(search);
        if plan.objectives.is_empty() {
            let why = "there is no `metric`: no trial of the search can be called the best";
            plan.warnings.push(why.into());
        }
        plan.base = base;
        let trials = plan.search.as_ref().and_then(|search| search.trials).unwrap_or(1);
        return check_run_count(top, trials, plan.seeds.len());
    }
    plan.configs = match top.get("configs") {
        Some(_) => configs::list(top, "configs", true, files)?,
        None => {
            let name = base_name.unwrap_or_else(|| "config".into());
            vec![NamedConfig { name, params: Map::new(), source: plan.base_source.clone() }]
        }
    };
    configs::lay_on(top, &base, &mut plan.configs)?;
    plan.base = base;
    if plan.configs.len() * plan.seeds.len() > 1 {
        plan.kind = Kind::MultipleConfigs;
    }
    check_run_count(top, plan.configs.len() as u64, plan.seeds.len())
}

/// Refuses more runs than a file is made for.
pub fn check_run_count(block: &Block, configs: u64, seeds: usize) -> Result<()> {
    let runs = configs.saturating_mul(seeds as u64);
    if runs > RUNS_MAX {
        return Err(block.error("", format!("{runs} runs, more than {RUNS_MAX}")));
    }
    Ok(())
}

/// Reads seeds: a count, or the list itself.
pub fn seeds(block: &Block, key: &str) -> Result<Option<Vec<i64>>> {
    let list = match block.get(key) {
        None => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => {
            let count = block.integer(key, 1, SEEDS_MAX as i64)?;
            return Ok(count.map(|count| (0..count).collect()));
        }
    };
    if list.is_empty() {
        return Err(block.error(key, "the list of seeds is empty"));
    }
    if list.len() > SEEDS_MAX {
        return Err(block.error(key, format!("{} seeds, more than {SEEDS_MAX}", list.len())));
    }
    let mut seen = std::collections::HashSet::new();
    let mut seeds = Vec::with_capacity(list.len());
    for value in list {
        let seed = whole(value)
            .ok_or_else(|| wrong(block.origin(), &block.path(key), "whole numbers", value))?;
        if !seen.insert(seed) {
            return Err(block.error(key, format!("the seed {seed} is given twice")));
        }
        seeds.push(seed);
    }
    Ok(Some(seeds))
}

fn objectives(top: &Block) -> Result<Vec<Objective>> {
    let (values, many) = match top.get("metric") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.is_empty() => {
            return Err(top.error("metric", "the list of metrics is empty"));
        }
        Some(Value::Array(list)) => (list.as_slice(), true),
        Some(value) => (std::slice::from_ref(value), false),
    };
    let mut objectives: Vec<Objective> = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let key = if many { format!("metric.{i}") } else { "metric".into() };
        let objective = match value {
            Value::String(metric) => {
                check_name(metric).map_err(|why| top.error(&key, why))?;
                Objective { metric: metric.clone(), goal: Goal::Min, from: ValueFrom::Last }
            }
            Value::Object(_) => objective(&Block::new(top.origin(), top.path(&key), value)?)?,
            other => {
                let expected = "the name of a metric, or a mapping with its `name`";
                return Err(wrong(top.origin(), &top.path(&key), expected, other));
            }
        };
        if objectives.iter().any(|known| known.metric == objective.metric) {
            let why = format!("the metric `{}` is given twice", objective.metric);
            return Err(top.error(&key, why));
        }
        objectives.push(objective);
    }
    Ok(objectives)
}

fn objective(block: &Block) -> Result<Objective> {
    block.only(&["name", "goal", "from"])?;
    block.need("name")?;
    let froms = [("last", ValueFrom::Last), ("best", ValueFrom::Best), ("mean", ValueFrom::Mean)];
    Ok(Objective {
        metric: block.name("name")?.unwrap_or_default().into(),
        goal: block.word("goal", "goal", &GOALS)?.unwrap_or(Goal::Min),
        from: block.word("from", "choice", &froms)?.unwrap_or(ValueFrom::Last),
    })
}

/// The keys of a search, besides the settings of strategies that decide about epochs.
const SEARCH_KEYS: [&str; 13] = [
    "strategy",
    "trials",
    "space",
    "constraints",
    "batch",
    "seed",
    "settings",
    "epochs",
    "epochs_key",
    "epoch_budget",
    "stop",
    "points",
    "warm_start",
];

/// The key of the config that says how many epochs to reach, unless another is named.
const EPOCHS_KEY: &str = "epochs";
/// More epochs than a curve is kept of.
const EPOCHS_MAX: i64 = 100_000;

fn search(block: &Block, seeds: u64) -> Result<Search> {
    let strategy = block.text("strategy")?.unwrap_or(crate::search::strategy::DEFAULT);
    if !KNOWN_STRATEGIES.contains(&strategy) && strategy != EXTERNAL {
        return Err(block.unknown_value("strategy", "strategy", strategy, KNOWN_STRATEGIES));
    }
    let own = epoch_settings(strategy);
    block.only(&[&SEARCH_KEYS, own].concat())?;
    let mut settings = block.block("settings")?.map_or_else(Map::new, |block| block.map().clone());
    for key in own {
        let Some(value) = block.get(key) else { continue };
        if settings.insert((*key).to_owned(), value.clone()).is_some() {
            return Err(block.error(key, format!("`{key}` is under `settings` too")));
        }
    }
    let trials = block.integer("trials", 1, RUNS_MAX as i64)?.map(i64::cast_unsigned);
    let epochs = match strategy {
        RACING => Some(race(block, seeds)?),
        _ => epochs(block, strategy, &settings)?,
    };
    let most = i64::MAX;
    let epoch_budget = block.integer("epoch_budget", 1, most)?.map(i64::cast_unsigned);
    if epoch_budget.is_some() && epochs.is_none() {
        let error = block.error("epoch_budget", "means nothing without `epochs`");
        return Err(
            error.with_hint("say how many epochs a full training has, such as `epochs: 81`")
        );
    }
    let space = block.need("space").map_err(|error| {
        error.with_hint("name the parameters, such as `space: {act: [relu, tanh]}`")
    })?;
    let space = space::normalise(block.origin(), &block.path("space"), space)?;
    let is_bounded = trials.is_some() || epoch_budget.is_some();
    match strategy {
        "grid" => check_grid(block, &space)?,
        // They end by themselves: when the population has trained in full.
        "pbt" | "pb2" => {}
        "halving" | "hyperband" if !is_bounded => {
            settings.entry("rounds").or_insert(1.into());
        }
        _ if !is_bounded => {
            let error = block.error("", "the key `trials` is missing");
            return Err(error.with_hint("say how many configs to try, such as `trials: 20`"));
        }
        _ => {}
    }
    let points = points(block, trials)?;
    let in_full = epochs.map_or(0, |epochs| epochs.saturating_mul(points.len() as u64));
    if let Some(budget) = epoch_budget.filter(|budget| in_full >= *budget) {
        let n = points.len();
        let why = format!("{n} of them train {in_full} epochs, and `epoch_budget` is {budget}");
        return Err(block.error("points", why).with_hint("points are trained in full"));
    }
    let constraints = texts(block, "constraints")?;
    let told = epochs.filter(|_| strategy != RACING);
    let epochs_key = epochs_key(block, told, &space)?;
    let stop = stop(block, strategy, &settings, epochs)?;
    let search = Search {
        constraints,
        strategy: strategy.into(),
        trials,
        batch: block.integer("batch", 1, RUNS_MAX as i64)?.map(i64::cast_unsigned),
        settings,
        seed: block.integer("seed", 0, i64::MAX)?.unwrap_or(0).cast_unsigned(),
        points,
        warm_start: studies(block)?,
        targets: space.keys().map(|name| (name.clone(), name.clone())).collect(),
        space: Value::Object(space),
        epochs,
        epochs_key,
        extra_key: None,
        epoch_budget,
        stop,
    };
    if !search.warm_start.is_empty() && search.decides_epochs() {
        let why = format!(
            "`{strategy}` would train the trials of another search on, whose checkpoints jobs of this one do not get"
        );
        return Err(block
            .error("warm_start", why)
            .with_hint("try its best ones first: `points: [{…}]`"));
    }
    Ok(search)
}

/// Checks what a race over seeds goes without, and returns how many seeds there are.
fn race(block: &Block, seeds: u64) -> Result<u64> {
    for key in ["epochs", "epochs_key", "stop"] {
        if block.get(key).is_some() {
            let why = format!("`{RACING}` decides about seeds, not epochs: `{key}` is not for it");
            return Err(block.error(key, why).with_hint("all jobs of a race train in full"));
        }
    }
    if seeds < 2 {
        let why = format!("`{RACING}` decides with how many of the `seeds` each trial is run");
        return Err(block.error("strategy", why).with_hint("give several, such as `seeds: 8`"));
    }
    Ok(seeds)
}

/// Reads the epochs of a full training, which some strategies need to know.
fn epochs(block: &Block, strategy: &str, settings: &Map<String, Value>) -> Result<Option<u64>> {
    let given = block.integer("epochs", 1, EPOCHS_MAX)?.map(i64::cast_unsigned);
    // The names that strategies and mle-hyperopt have for it.
    let names = ["max_epoch", "max_resource", "max_budget"];
    let other = names.iter().find_map(|name| settings.get(*name)?.as_u64());
    let epochs = given.or(other);
    if epochs.is_none() && WITH_EPOCHS.contains(&strategy) {
        let why =
            format!("`{strategy}` decides how long trials train: the key `epochs` is missing");
        return Err(block
            .error("", why)
            .with_hint("say how many epochs a full training has, such as `epochs: 81`"));
    }
    Ok(epochs)
}

/// Reads which key of the config says how many epochs to reach.
fn epochs_key(
    block: &Block,
    epochs: Option<u64>,
    space: &Map<String, Value>,
) -> Result<Option<String>> {
    let given = block.filled_text("epochs_key")?;
    if epochs.is_none() {
        return match given {
            Some(_) => Err(block.error("epochs_key", "means nothing without `epochs`")),
            None => Ok(None),
        };
    }
    let key = given.unwrap_or(EPOCHS_KEY);
    space::check_parameter_name(key).map_err(|why| block.error("epochs_key", why))?;
    let inside =
        |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    match space.keys().find(|name| inside(name, key) || inside(key, name)) {
        Some(name) => {
            let why = format!("the parameter `{name}` and the epochs to reach set the same key");
            Err(block
                .error("space", why)
                .with_hint("name another key of the config, such as `epochs_key: max_epochs`"))
        }
        None => Ok(Some(key.to_owned())),
    }
}

/// Reads the rule that ends trials at work: a name, or a mapping with its `name` and settings.
fn stop(
    block: &Block,
    strategy: &str,
    settings: &Map<String, Value>,
    epochs: Option<u64>,
) -> Result<Option<Map<String, Value>>> {
    let stops = settings.get("style").and_then(Value::as_str) == Some("stop");
    let mut rule = match block.get("stop") {
        None if stops => {
            let own = ["eta", "min_epochs"].into_iter();
            let own = own.filter_map(|key| Some((key.to_owned(), settings.get(key)?.clone())));
            [("name".to_owned(), "asha".into())].into_iter().chain(own).collect()
        }
        None => return Ok(None),
        Some(Value::String(name)) => {
            Map::from_iter([("name".to_owned(), Value::from(name.as_str()))])
        }
        Some(Value::Object(rule)) => rule.clone(),
        Some(other) => {
            let expected = "the name of a rule, or a mapping with its `name`";
            return Err(wrong(block.origin(), &block.path("stop"), expected, other));
        }
    };
    let Some(name) = rule.get("name").and_then(Value::as_str).map(str::to_lowercase) else {
        let error = block.error("stop", "the key `name` is missing");
        return Err(error.with_hint(format!("rules are {}", STOPPERS.join(", "))));
    };
    if !STOPPERS.contains(&name.as_str()) {
        return Err(block.unknown_value("stop", "rule", &name, STOPPERS));
    }
    if name == "asha" {
        let Some(epochs) = epochs else {
            let error = block.error("stop", format!("`{strategy}` has no `epochs`"));
            return Err(error.with_hint(
                "the rule `asha` needs the epochs of a full training, such as `epochs: 81`",
            ));
        };
        rule.entry("epochs").or_insert(epochs.into());
    }
    rule.insert("name".into(), name.as_str().into());
    let mut own = rule.clone();
    own.shift_remove("name");
    stopper(&name, &own).map_err(|error| at_key(block, "stop", error))?;
    Ok(Some(rule))
}

/// Reads the points that are tried first, which are among the trials.
fn points(block: &Block, trials: Option<u64>) -> Result<Vec<Map<String, Value>>> {
    let expected = "a list of points, such as `[{lr: 0.1}]`";
    let wrong = |value: &Value| wrong(block.origin(), &block.path("points"), expected, value);
    let list = match block.get("points") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong(other)),
    };
    if let Some(trials) = trials.filter(|trials| list.len() as u64 >= *trials) {
        let why = format!("{} of them, and only {trials} `trials` in all", list.len());
        return Err(block
            .error("points", why)
            .with_hint("a search without proposals of its own is a list of `configs`"));
    }
    let point = |value: &Value| value.as_object().cloned().ok_or_else(|| wrong(value));
    list.iter().map(point).collect()
}

/// Reads a text, or a list of them.
fn texts(block: &Block, key: &str) -> Result<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    one_or_more(block, key, "text, or a list of texts", text)
}

/// Reads the studies that it starts from: names, uids, or ids as numbers.
fn studies(block: &Block) -> Result<Vec<String>> {
    let study = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    };
    one_or_more(block, "warm_start", "an experiment, or a list of them", study)
}

/// Reads a value, or a list of them.
fn one_or_more(
    block: &Block,
    key: &str,
    expected: &str,
    read: impl Fn(&Value) -> Option<String>,
) -> Result<Vec<String>> {
    let list = match block.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    let one = |value: &Value| {
        read(value).ok_or_else(|| wrong(block.origin(), &block.path(key), expected, value))
    };
    list.iter().map(one).collect()
}

/// Makes the strategy once, so that constraints and settings it cannot work with are refused before anything runs.
pub fn check_search(block: &Block, key: &str, search: &Search, objectives: usize) -> Result<()> {
    let space = Space::parse(&search.space)
        .map_err(|error| at_key(block, "space", error))?
        .with_constraints(search.constraints.clone())
        .map_err(|error| at_key(block, "constraints", error))?;
    for (at, point) in search.points.iter().enumerate() {
        space.check(point).map_err(|error| at_key(block, &format!("points[{at}]"), error))?;
    }
    let setup = Setup {
        settings: search.settings.clone(),
        trials: search.trials,
        objectives: objectives.max(1),
        epochs: search.epochs,
        epoch_budget: search.epoch_budget,
        ..Setup::new(space, search.seed)
    };
    let random = Setup { settings: Map::new(), ..setup.clone() };
    strategy(&search.strategy, &setup).map_err(|error| at_key(block, key, error))?;
    // Whoever finds nothing to propose is not to find it out when the experiment is stored.
    if !search.constraints.is_empty() && search.strategy != EXTERNAL {
        let drawn = strategy("random", &random).and_then(|mut it| it.ask(&History::new()));
        drawn.map_err(|error| at_key(block, "constraints", error))?;
    }
    Ok(())
}

/// Says in which key of the spec an error is.
fn at_key(block: &Block, key: &str, error: Error) -> Error {
    match error {
        Error::Invalid { what, why, hint } => {
            let error = block.error(key, format!("{what} {why}"));
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        }
        other => other,
    }
}

/// A grid can only walk through parameters that have finitely many values.
fn check_grid(block: &Block, space: &Map<String, Value>) -> Result<()> {
    let endless = |parameter: &Value| {
        parameter["type"] == "real"
            && parameter.get("bins").is_none()
            && parameter.get("step").is_none()
    };
    match space.iter().find(|(_, parameter)| endless(parameter)) {
        Some((name, _)) => Err(block
            .error(&format!("space.{name}"), "a grid needs `bins` or `step` for a real parameter")
            .with_hint("add `bins: 5` for five values, both ends included")),
        None => Ok(()),
    }
}

fn resources(block: Block) -> Result<Resources> {
    block.only(&["cores", "gpus", "memory", "time"])?;
    let memory = block.get("memory").map(units::memory_mib).transpose();
    let time = block.get("time").map(units::time_ms).transpose();
    Ok(Resources {
        cores: block.count("cores", 1, 65_536)?.unwrap_or(1),
        gpus: block.count("gpus", 0, 1024)?.unwrap_or(0),
        memory_mib: memory.map_err(|why| block.error("memory", why))?,
        time_ms: time.map_err(|why| block.error("time", why))?,
    })
}

fn env(top: &Block) -> Result<BTreeMap<String, String>> {
    let Some(block) = top.block("env")? else { return Ok(BTreeMap::new()) };
    let mut env = BTreeMap::new();
    for (name, value) in block.map() {
        if name.is_empty() || name.contains(['=', '\0']) {
            let why = format!("{name:?} cannot be the name of an environment variable");
            return Err(block.error("", why));
        }
        env.insert(name.clone(), launch::scalar_text(&block, name, value)?);
    }
    Ok(env)
}

fn activate(top: &Block) -> Result<Activate> {
    match (top.filled_text("conda")?, top.filled_text("venv")?) {
        (Some(_), Some(_)) => Err(top.error("", "`conda` and `venv` exclude each other")),
        (Some(name), None) => Ok(Activate::Conda(name.into())),
        (None, Some(path)) => Ok(Activate::Venv(path.into())),
        (None, None) => Ok(Activate::None),
    }
}

fn processing(
    block: &Block,
    cwd: Option<&str>,
    activate: &Activate,
    files: &dyn Files,
) -> Result<Processing> {
    block.only(&["script", "command", "args", "resources"])?;
    let launch = launch::read(block, cwd, files)?;
    if let super::Launch::Template(words) = &launch {
        let names = template::placeholders(words).map_err(|why| block.error("command", why))?;
        if let Some(name) = names.iter().find(|name| *name != "exp_dir") {
            let error = block.error("command", format!("unknown placeholder {{{name}}}"));
            return Err(error.with_hint("only {exp_dir} is known before and after the runs"));
        }
    }
    let resources = block.block("resources")?.map_or(Ok(Resources::default()), resources)?;
    Ok(Processing { launch, resources, activate: activate.clone() })
}
