//! The plan: plain data, the same in memory and as JSON in the file.

use super::{configs, template};
use crate::search::strategy::{RACING, decides_epochs};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Everything one `mle run` does, checked.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Plan {
    /// The experiment's name.
    pub name: String,
    /// What it is to find out; may be empty.
    pub purpose: String,
    /// The project it belongs to, `default` unless told.
    pub project: String,
    /// What sort of experiment it is.
    pub kind: Kind,
    /// How one run is started.
    pub launch: Launch,
    /// The configs, base already merged in; empty for a search.
    pub configs: Vec<NamedConfig>,
    /// The config under each proposal of a search; may be empty.
    pub base: Map<String, Value>,
    /// The file the base came from, if it is one.
    pub base_source: Option<String>,
    /// The seeds of each config or proposal, at least one, none twice. A count n means 0 to n - 1, in our specs and in
    /// the toolbox's `num_seeds` alike.
    pub seeds: Vec<i64>,
    /// Whether nobody named seeds, so that the one seed 0 stands in.
    pub seed_default: bool,
    /// Whether the seed is on the command line.
    pub pass_seed: bool,
    /// What makes a run good; the first is the main one. May be empty.
    pub objectives: Vec<Objective>,
    /// How the values of several seeds become one.
    pub aggregate: Aggregate,
    /// The search that proposes configs, if there is one.
    pub search: Option<Search>,
    /// What one run needs.
    pub resources: Resources,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// Which jobs go first: those of larger ones.
    #[serde(default)]
    pub priority: i64,
    /// Time between asking a job to stop and killing it, in milliseconds; unset: what workers give.
    #[serde(default)]
    pub grace_ms: Option<i64>,
    /// How many runs may go on at once; unset: as many as fit.
    pub workers: Option<u32>,
    /// Environment variables of each run.
    pub env: BTreeMap<String, String>,
    /// The working directory of each run, unset: where `mle run` was called.
    pub cwd: Option<String>,
    /// The Python environment of each run.
    pub activate: Activate,
    /// A directory of results the user wants kept; unset: a scratch directory.
    pub experiment_dir: Option<String>,
    /// A job before all runs.
    pub before: Option<Processing>,
    /// A job after all runs.
    pub after: Option<Processing>,
    /// Whether a report is made at the end.
    pub report: bool,
    /// What in the spec has no effect, or probably not the one that was meant.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Returns a plan with one seed and every other choice at its default; it has no config yet.
    pub fn new(name: &str, kind: Kind, launch: Launch) -> Self {
        Plan {
            name: name.into(),
            purpose: String::new(),
            project: "default".into(),
            kind,
            launch,
            configs: Vec::new(),
            base: Map::new(),
            base_source: None,
            seeds: vec![0],
            seed_default: true,
            pass_seed: true,
            objectives: Vec::new(),
            aggregate: Aggregate::Mean,
            search: None,
            resources: Resources::default(),
            retries: 0,
            priority: 0,
            grace_ms: None,
            workers: None,
            env: BTreeMap::new(),
            cwd: None,
            activate: Activate::None,
            experiment_dir: None,
            before: None,
            after: None,
            report: false,
            warnings: Vec::new(),
        }
    }

    /// Warns of numbers in configs that JSON has no place for.
    pub(super) fn warn_not_finite(&mut self) {
        for config in &self.configs {
            configs::warn_not_finite(&config.name, &config.params, &mut self.warnings);
        }
        if self.search.is_some() {
            configs::warn_not_finite("base", &self.base, &mut self.warnings);
        }
    }
}

/// The sort of an experiment.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One config, one seed.
    SingleConfig,
    /// Configs × seeds, more than one run.
    MultipleConfigs,
    /// A search proposes the configs.
    HyperparameterSearch,
    /// A plain command line.
    Command,
}

/// How a job is started.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Launch {
    /// Words with `{placeholders}`, see [`fill`](super::fill).
    Template(Vec<String>),
    /// A script that takes `-exp_dir`, `-config` and `-seed`, see [`script_line`](super::script_line).
    Script {
        /// The script's path, as written.
        script: String,
        /// Further flags and their values, in order.
        args: Vec<(String, String)>,
    },
}

/// A config with the name its runs are listed under.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct NamedConfig {
    /// Unique in the plan.
    pub name: String,
    /// The config itself.
    pub params: Map<String, Value>,
    /// The file it was read from.
    pub source: Option<String>,
}

/// A metric and when it is good.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// The metric's name.
    pub metric: String,
    /// Which direction is better.
    pub goal: Goal,
    /// Which point of the series counts.
    pub from: ValueFrom,
}

/// Which values are better.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Small ones.
    Min,
    /// Large ones.
    Max,
}

/// The words for goals.
pub(super) const GOALS: [(&str, Goal); 6] = [
    ("min", Goal::Min),
    ("max", Goal::Max),
    ("minimize", Goal::Min),
    ("maximize", Goal::Max),
    ("minimise", Goal::Min),
    ("maximise", Goal::Max),
];

/// Which value stands for a series of points.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ValueFrom {
    /// The last point.
    Last,
    /// The best point.
    Best,
    /// The mean of all points.
    Mean,
}

/// How one value is made of the values of several seeds.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// The mean.
    Mean,
    /// The 10th percentile.
    P10,
    /// The 25th percentile.
    P25,
    /// The median.
    P50,
    /// The 75th percentile.
    P75,
    /// The 90th percentile.
    P90,
}

/// A search for good configs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Search {
    /// One of [`KNOWN_STRATEGIES`](super::KNOWN_STRATEGIES).
    pub strategy: String,
    /// How many configs at most; unset only for a grid, which ends by itself.
    pub trials: Option<u64>,
    /// The space in full form: an object of parameters.
    pub space: Value,
    /// Expressions over the parameters that every proposal meets.
    #[serde(default)]
    pub constraints: Vec<String>,
    /// How many proposals are asked for together; unset: one whenever there is room.
    pub batch: Option<u64>,
    /// The strategy's own settings.
    pub settings: Map<String, Value>,
    /// The seed of the strategy's random stream.
    pub seed: u64,
    /// Points that are tried first, among the trials: each the values of all active parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Map<String, Value>>,
    /// The studies of the file whose ended trials it knows from its beginning: their experiments' ids, names or uids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warm_start: Vec<String>,
    /// Where in the config each parameter goes, as a key path with slashes.
    pub targets: BTreeMap<String, String>,
    /// The most epochs a trial trains, where jobs are told.
    #[serde(default)]
    pub epochs: Option<u64>,
    /// The key path of the config that says how many epochs to reach; unset: none does.
    #[serde(default)]
    pub epochs_key: Option<String>,
    /// The key path of the mapping that mle-hyperopt's counters go into; unset: the config itself.
    #[serde(default)]
    pub extra_key: Option<String>,
    /// The epochs that all trials train together.
    #[serde(default)]
    pub epoch_budget: Option<u64>,
    /// The rule that ends trials at work: its `name`, and its settings.
    #[serde(default)]
    pub stop: Option<Map<String, Value>>,
}

impl Search {
    /// Says whether the strategy decides how many epochs each trial trains.
    pub fn decides_epochs(&self) -> bool {
        decides_epochs(&self.strategy, self.epochs.is_some())
    }

    /// Says whether the strategy decides how many seeds each trial is run with: what it calls epochs are seeds then.
    pub fn races(&self) -> bool {
        self.strategy == RACING
    }

    /// What mle-hyperopt's counters begin with.
    fn prefix(&self) -> &'static str {
        if matches!(self.strategy.as_str(), "pbt" | "pb2") { "pbt" } else { "sh" }
    }

    fn extra_path(&self, name: &str) -> String {
        match &self.extra_key {
            Some(key) => format!("{key}/{name}"),
            None => name.to_owned(),
        }
    }

    /// Returns the key path of the checkpoint that a job starts from.
    pub fn resume_key(&self) -> Option<String> {
        self.decides_epochs().then(|| self.extra_path(&format!("{}_ckpt", self.prefix())))
    }

    /// Says whether every job's config has a key because of its epochs.
    pub fn sets(&self, name: &str) -> bool {
        let Some(epochs) = self.epochs else { return false };
        let mut notes = Map::new();
        match self.strategy.as_str() {
            "hyperband" => drop(notes.insert("hb_counter".into(), 0.into())),
            "pbt" | "pb2" => {
                notes.insert("pbt_worker_id".into(), 0.into());
                notes.insert("pbt_step_counter".into(), 0.into());
            }
            _ => {}
        }
        template::lookup(&self.extra(epochs, 0, 0, &notes), name).is_some()
    }

    /// Returns what is laid on a trial's config for a job that trains from `before` until `epochs`, the one after
    /// `count` others: the epochs to reach, mle-hyperopt's counters, and the strategy's own notes.
    pub fn extra(
        &self,
        epochs: u64,
        before: u64,
        count: u64,
        notes: &Map<String, Value>,
    ) -> Map<String, Value> {
        let mut extra = Map::new();
        if let Some(key) = &self.epochs_key {
            template::assign(&mut extra, key, epochs.into());
        }
        if !self.decides_epochs() {
            return extra;
        }
        let prefix = self.prefix();
        let mut set = |name: &str, value: Value| {
            template::assign(&mut extra, &self.extra_path(name), value);
        };
        set(&format!("{prefix}_num_total_iters"), epochs.into());
        set(&format!("{prefix}_num_add_iters"), epochs.saturating_sub(before).into());
        if prefix == "sh" {
            set("sh_counter", count.into());
        }
        for (name, value) in notes {
            set(name, value.clone());
        }
        extra
    }

    /// Returns the config of a trial: the base with a proposal laid on it, each parameter at its key path.
    ///
    /// Mappings are merged, anything else is replaced.
    pub fn config(
        &self,
        base: &Map<String, Value>,
        proposal: &Map<String, Value>,
    ) -> Map<String, Value> {
        template::place_proposal(base, proposal, &self.targets)
    }
}

/// What a job needs while it runs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Processor cores, at least 1.
    pub cores: u32,
    /// Graphics cards.
    pub gpus: u32,
    /// Memory in MiB; unset: unknown.
    pub memory_mib: Option<u64>,
    /// How long it may run, in milliseconds; unset: as long as it likes.
    pub time_ms: Option<i64>,
}

impl Default for Resources {
    fn default() -> Self {
        Resources { cores: 1, gpus: 0, memory_mib: None, time_ms: None }
    }
}

/// A Python environment.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Activate {
    /// The one `mle` itself was started in.
    #[default]
    None,
    /// A conda environment by name.
    Conda(String),
    /// A venv by path or name.
    Venv(String),
}

/// A job before or after the runs. It gets no config and no seed.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Processing {
    /// How it is started; a template knows only `{exp_dir}`.
    pub launch: Launch,
    /// What it needs.
    pub resources: Resources,
    /// Its Python environment.
    pub activate: Activate,
}
