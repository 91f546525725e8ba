//! Experiment files of the mle-toolbox, as they are.
//!
//! What such a file asks for is translated; what means nothing on one machine, and keys nobody knows, become warnings,
//! so that a file that ran there runs here. Where we differ, on purpose: `num_seeds` without `random_seeds` means the
//! seeds 0 to n - 1 rather than random ones, jobs get no `-wb_project` and `-wb_group`, a single config gets the extra
//! flags of its file too, and `max_running_jobs` counts in both schedules.

use super::block::{Block, check_name, wrong};
use super::toolbox_search::search;
use super::{
    Activate, Files, Kind, Launch, NamedConfig, Plan, Processing, Resources, configs, launch, own,
    units,
};
use crate::error::Result;
use serde_json::{Map, Value};

const TOP: [&str; 7] = [
    "meta_job_args",
    "single_job_args",
    "multi_config_args",
    "param_search_args",
    "pbt_args",
    "pre_processing_args",
    "post_processing_args",
];
const META: [&str; 8] = [
    "project_name",
    "experiment_type",
    "base_train_fname",
    "base_train_config",
    "experiment_dir",
    "report_generation",
    "remote_exec_dir",
    "debug_mode",
];
/// Job arguments that do something.
const JOB: [&str; 10] = [
    "num_logical_cores",
    "num_gpus",
    "memory_per_job",
    "memory_per_cpu",
    "time_per_job",
    "env_name",
    "use_conda_venv",
    "use_venv_venv",
    "job_name",
    "extra_cmd_line_input",
];
/// Job arguments for clusters and clouds, and some that never did anything.
const JOB_IDLE: [&str; 12] = [
    "partition",
    "queue",
    "gpu_type",
    "gpu_prefix",
    "exclude_nodes",
    "include_nodes",
    "modules_to_load",
    "use_tpus",
    "extra_install_fname",
    "time_between_launch",
    "log_file",
    "err_file",
];

/// The kinds of experiment a file can name.
const TYPES: [&str; 4] =
    ["single-config", "multiple-configs", "hyperparameter-search", "population-based-training"];

/// Reads an experiment file.
pub fn plan(document: &Map<String, Value>, origin: &str, files: &dyn Files) -> Result<Plan> {
    let mut warnings = Vec::new();
    let top = Block::top(origin, document);
    top.warn_unknown(&TOP, &mut warnings);
    let meta = need_block(&top, "meta_job_args")?;
    meta.warn_unknown(&META, &mut warnings);
    for key in ["remote_exec_dir", "debug_mode"].into_iter().filter(|key| meta.get(key).is_some()) {
        warnings.push(format!("key `{}` has no effect", meta.path(key)));
    }
    let kind = experiment_type(&meta)?;
    let job = job_args(&need_block(&top, "single_job_args")?, &mut warnings)?;

    let script = need_text(&meta, "base_train_fname")?;
    launch::script_exists(&meta, "base_train_fname", &script, None, files)?;
    let name = job.name.filter(|name| check_name(name).is_ok());
    let name = name.unwrap_or_else(|| own::default_name(origin));
    let mut plan = Plan::new(&name, kind, Launch::Script { script, args: job.args });
    plan.project = need_text(&meta, "project_name")?;
    check_name(&plan.project).map_err(|why| meta.error("project_name", why))?;
    plan.experiment_dir = Some(need_text(&meta, "experiment_dir")?);
    plan.report = flag(&meta, "report_generation")?.unwrap_or(false);
    plan.resources = job.resources;
    plan.activate = job.activate;

    let base = base_config(&meta, files)?;
    match kind {
        Kind::MultipleConfigs => {
            let block = need_block(&top, "multi_config_args")?;
            block.warn_unknown(&["config_fnames", "num_seeds", "random_seeds"], &mut warnings);
            plan.configs = configs::list(&block, "config_fnames", false, files)?;
            plan.seeds = match seeds(&block, "num_seeds", &mut warnings)? {
                Some(seeds) => seeds,
                None => {
                    let error = block.error("", "there is neither `num_seeds` nor `random_seeds`");
                    return Err(error.with_hint("add `num_seeds: 1`"));
                }
            };
            plan.seed_default = false;
            own::check_run_count(&block, plan.configs.len() as u64, plan.seeds.len())?;
        }
        Kind::HyperparameterSearch => {
            search(
                &need_block(&top, "param_search_args")?,
                &base.params,
                &mut plan,
                &mut warnings,
            )?;
            (plan.base, plan.base_source) = (base.params, base.source);
        }
        Kind::SingleConfig | Kind::Command => {
            plan.configs = vec![base];
            plan.pass_seed = false;
        }
    }
    for (key, slot) in
        [("pre_processing_args", &mut plan.before), ("post_processing_args", &mut plan.after)]
    {
        let block = top.block(key)?;
        *slot = block.map(|block| processing(&block, files, &mut warnings)).transpose()?;
    }
    plan.warnings = warnings;
    plan.warn_not_finite();
    Ok(plan)
}

fn experiment_type(meta: &Block) -> Result<Kind> {
    let text = need_text(meta, "experiment_type")?;
    match text.as_str() {
        "single-config" => Ok(Kind::SingleConfig),
        "multiple-configs" => Ok(Kind::MultipleConfigs),
        "hyperparameter-search" => Ok(Kind::HyperparameterSearch),
        "population-based-training" => Err(meta
            .error("experiment_type", "`population-based-training` is not available")
            .with_hint("use `hyperparameter-search`, and name the strategy in `search_type`")),
        other => Err(meta.unknown_value("experiment_type", "experiment type", other, &TYPES)),
    }
}

fn base_config(meta: &Block, files: &dyn Files) -> Result<NamedConfig> {
    match meta.need("base_train_config")? {
        Value::String(path) => configs::load(meta, "base_train_config", path, files),
        Value::Array(list) => match list.as_slice() {
            [Value::String(path)] => configs::load(meta, "base_train_config", path, files),
            _ => Err(meta
                .error("base_train_config", "several base configs in one file are not available")
                .with_hint(
                    "run the file once for each, with --set meta_job_args.base_train_config=FILE",
                )),
        },
        other => {
            let path = meta.path("base_train_config");
            Err(wrong(meta.origin(), &path, "a file name", other))
        }
    }
}

/// What a block of job arguments says.
struct JobArgs {
    resources: Resources,
    activate: Activate,
    args: Vec<(String, String)>,
    name: Option<String>,
}

fn job_args(block: &Block, warnings: &mut Vec<String>) -> Result<JobArgs> {
    let known: Vec<&str> = JOB.into_iter().chain(JOB_IDLE).collect();
    block.warn_unknown(&known, warnings);
    for key in JOB_IDLE.into_iter().filter(|key| block.get(key).is_some()) {
        warnings.push(format!("key `{}` has no effect on this machine", block.path(key)));
    }
    let cores = block.count("num_logical_cores", 1, 65_536)?.unwrap_or(1);
    let time = block.get("time_per_job").map(units::days_hours_minutes_ms).transpose();
    let memory = block.integer("memory_per_job", 1, 1 << 40)?.map(i64::cast_unsigned);
    let per_core = block.integer("memory_per_cpu", 1, 1 << 40)?.map(i64::cast_unsigned);
    Ok(JobArgs {
        resources: Resources {
            cores,
            gpus: block.count("num_gpus", 0, 1024)?.unwrap_or(0),
            memory_mib: memory.or(per_core.map(|mib| mib * u64::from(cores))),
            time_ms: time.map_err(|why| block.error("time_per_job", why))?,
        },
        activate: activate(block, warnings)?,
        args: extra_args(block)?,
        name: text(block, "job_name")?,
    })
}

fn activate(block: &Block, warnings: &mut Vec<String>) -> Result<Activate> {
    let conda = flag(block, "use_conda_venv")?.unwrap_or(false);
    let venv = flag(block, "use_venv_venv")?.unwrap_or(false);
    let name = text(block, "env_name")?;
    if !conda && !venv {
        if name.is_some() {
            let why = "has no effect without `use_conda_venv` or `use_venv_venv`";
            warnings.push(format!("key `{}` {why}", block.path("env_name")));
        }
        return Ok(Activate::None);
    }
    if conda && venv {
        let why = "has no effect beside `use_conda_venv`";
        warnings.push(format!("key `{}` {why}", block.path("use_venv_venv")));
    }
    match name {
        Some(name) if conda => Ok(Activate::Conda(name)),
        Some(name) => Ok(Activate::Venv(name)),
        None => {
            let error = block.error("", "an environment is asked for, but `env_name` is missing");
            Err(error.with_hint("name it, or set the flag to false"))
        }
    }
}

/// Reads extra flags; what is no text is spelt as Python prints it, as that is what the scripts got so far.
fn extra_args(block: &Block) -> Result<Vec<(String, String)>> {
    let key = "extra_cmd_line_input";
    let Some(mut map) = block.block(key)?.map(|args| args.map().clone()) else {
        return Ok(Vec::new());
    };
    for value in map.values_mut() {
        match value {
            Value::Null => *value = "None".into(),
            Value::Bool(true) => *value = "True".into(),
            Value::Bool(false) => *value = "False".into(),
            _ => {}
        }
    }
    launch::pairs(&Block::new(block.origin(), block.path(key), &Value::Object(map))?)
}

fn processing(block: &Block, files: &dyn Files, warnings: &mut Vec<String>) -> Result<Processing> {
    block.warn_unknown(
        &["processing_fname", "processing_job_args", "extra_cmd_line_input"],
        warnings,
    );
    let script = need_text(block, "processing_fname")?;
    launch::script_exists(block, "processing_fname", &script, None, files)?;
    let job =
        block.block("processing_job_args")?.map(|job| job_args(&job, warnings)).transpose()?;
    let (resources, activate, mut args) = match job {
        Some(job) => (job.resources, job.activate, job.args),
        None => (Resources::default(), Activate::None, Vec::new()),
    };
    args.extend(extra_args(block)?);
    Ok(Processing { launch: Launch::Script { script, args }, resources, activate })
}

/// Reads `random_seeds`, or else the count under another key.
pub fn seeds(
    block: &Block,
    count_key: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<i64>>> {
    let count = block.integer(count_key, 1, own::SEEDS_MAX as i64)?;
    if block.get("random_seeds").is_none() {
        return Ok(count.map(|count| (0..count).collect()));
    }
    let seeds = own::seeds(block, "random_seeds")?;
    if let (Some(count), Some(seeds)) = (count, &seeds)
        && count != seeds.len() as i64
    {
        let (path, n) = (block.path(count_key), seeds.len());
        warnings.push(format!("key `{path}` has no effect beside {n} `random_seeds`"));
    }
    Ok(seeds)
}

/// Returns a mapping that must be there.
pub fn need_block<'a>(block: &Block<'a>, key: &str) -> Result<Block<'a>> {
    Block::new(block.origin(), block.path(key), block.need(key)?)
}

/// Returns a text; a number is taken for its digits, as Python would.
pub fn text(block: &Block, key: &str) -> Result<Option<String>> {
    match block.get(key) {
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        _ => Ok(block.filled_text(key)?.map(str::to_owned)),
    }
}

/// Returns a [`text`] that must be there.
fn need_text(block: &Block, key: &str) -> Result<String> {
    block.need(key)?;
    Ok(text(block, key)?.expect("present as checked above"))
}

/// Returns a boolean in any spelling YAML 1.1 knew, which is what these files were written for.
pub fn flag(block: &Block, key: &str) -> Result<Option<bool>> {
    match block.get(key) {
        Some(Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" => Ok(Some(true)),
            "no" | "off" | "false" => Ok(Some(false)),
            _ => block.boolean(key),
        },
        Some(Value::Number(number)) if number.as_i64() == Some(0) => Ok(Some(false)),
        Some(Value::Number(number)) if number.as_i64() == Some(1) => Ok(Some(true)),
        _ => block.boolean(key),
    }
}
