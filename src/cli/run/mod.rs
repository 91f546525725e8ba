//! `mle run`: an experiment from a spec, or one command, run and recorded.

mod before;
mod command;
pub(super) mod outside;
mod progress;
mod sources;
mod work;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::cli::output::{Output, note, path_json};
use crate::cli::place;
use crate::display::{sanitize, sanitize_lines};
use crate::error::{Error, Result};
use crate::id::ExperimentId;
use crate::protocol::{self, NewExperiment, Objective, Provenance, State};
use crate::spec::{self, Disk, Launch, Plan};
use crate::store::{Open, Store};

pub(super) use command::meant_command;

/// Run an experiment and record it
///
/// SPEC is a YAML, JSON or TOML file (also an experiment file of the mle-toolbox). Without one, everything after `--` is
/// a command that is run once and recorded. Everything is kept in one file, named after the experiment unless --db says
/// otherwise. Ctrl-C stops the jobs and pauses the experiment; --resume goes on with it.
///
/// What a command prints is shown as it comes, and its exit code is that of `mle run`. Its options make its config, `--seed`
/// its seed; with --metric it has a value, and `mle leaderboard` compares commands of one name.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  mle run search.yaml
  mle run search.yaml --set search.trials=50 --seeds 5 --workers 4
  mle run --db lab.db --metric acc:max -- python train.py --lr 0.1
  mle run --db search.db --resume")]
pub struct RunArgs {
    /// The spec
    #[arg(value_name = "SPEC", conflicts_with = "command")]
    pub spec: Option<PathBuf>,
    /// A command to run once and record
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Change a key of the spec: `a.b=3`; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seeds for each config: a number
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seeds: Option<u32>,
    /// Jobs at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub workers: Option<u32>,
    /// Name the experiment
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Say why it is done
    #[arg(short, long, value_name = "TEXT")]
    pub purpose: Option<String>,
    /// Check the spec and show what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Return at once; the experiment goes on in the background
    #[arg(long)]
    pub detach: bool,
    /// Store the experiment and return; running mle-scheduler, mle-searcher and mle-worker do it
    #[arg(long, conflicts_with_all = ["detach", "resume", "dry_run"])]
    pub enqueue: bool,
    /// Go on with the newest open experiment of the file (with SPEC: of that name)
    #[arg(long)]
    pub resume: bool,
    /// Begin another experiment beside an open one of the same name
    #[arg(long, conflicts_with = "resume")]
    pub new: bool,
    /// The metric that is a command's value: the last one it says after `::mle`, and whether small or large is good
    #[arg(long, value_name = "NAME[:min|max]", conflicts_with = "spec")]
    pub metric: Option<String>,
    /// What is good: min or max [default: min]; the metric's name is then taken as it stands
    #[arg(long, value_name = "GOAL", requires = "metric", value_parser = goal)]
    pub goal: Option<spec::Goal>,
    #[command(flatten)]
    toolbox: Toolbox,
    /// Go on with this experiment (used by --detach)
    #[arg(long, hide = true)]
    pub experiment: Option<i64>,
}

/// What `mle run` of the mle-toolbox takes beside, for its experiment files.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Flags of the mle-toolbox")]
struct Toolbox {
    /// Where to run: local (also -resource)
    #[arg(long = "resource_to_run", value_name = "WHERE")]
    resource: Option<String>,
    /// Instead of the file's experiment_dir (also -exp_dir)
    #[arg(long = "experiment_dir", value_name = "DIR")]
    experiment_dir: Option<String>,
    /// Instead of the file's base_train_fname (also -train_fname)
    #[arg(long = "base_train_fname", value_name = "FILE")]
    train_fname: Option<String>,
    /// Instead of the file's base_train_config (also -train_config)
    #[arg(long = "base_train_config", value_name = "FILE")]
    train_config: Option<String>,
    /// Change nothing: there is no banner (also -nw)
    #[arg(long = "no_welcome")]
    no_welcome: bool,
    /// Change nothing: every experiment is in its file (also -np)
    #[arg(long = "no_protocol")]
    no_protocol: bool,
    /// Change nothing here
    #[arg(long, hide = true)]
    debug: bool,
    #[arg(long = "keep_after_upload", hide = true)]
    keep_after_upload: bool,
    #[arg(long = "remote_reconnect", hide = true)]
    remote_reconnect: bool,
}

impl Toolbox {
    /// Returns what these flags change in an experiment file of the toolbox.
    fn set(&self, is_toolbox: bool) -> Result<Vec<String>> {
        if let Some(place) = self.resource.as_deref().filter(|place| *place != "local") {
            let known = ["slurm-cluster", "sge-cluster", "gcp-cloud", "ssh-node"].contains(&place);
            let why = match known {
                true => format!("jobs run on this machine only, not on {place}"),
                false => format!("\"{place}\" is no place to run"),
            };
            return Err(
                Error::invalid("--resource_to_run", why).with_hint("use `local`, or leave it out")
            );
        }
        let given = [
            ("experiment_dir", &self.experiment_dir),
            ("base_train_fname", &self.train_fname),
            ("base_train_config", &self.train_config),
        ];
        let mut set = Vec::new();
        for (key, value) in given {
            let Some(value) = value else { continue };
            if !is_toolbox {
                let why = "is for experiment files of the mle-toolbox";
                return Err(Error::invalid(format!("--{key}"), why)
                    .with_hint("`--set KEY=VALUE` changes a key of any spec"));
            }
            // Quoted as JSON, which YAML reads: a folder may be called 1 or yes.
            set.push(format!("meta_job_args.{key}={}", serde_json::Value::from(value.as_str())));
        }
        Ok(set)
    }
}

fn goal(text: &str) -> std::result::Result<spec::Goal, String> {
    spec::goal(text).ok_or_else(|| "neither min nor max".into())
}

/// Returns a metric's name without `:min` or `:max`, and which of them is good. A name that really ends so is given with
/// `--goal`.
fn metric_and_goal(metric: &str, given: Option<spec::Goal>) -> (&str, spec::Goal) {
    if let Some(goal) = given {
        return (metric, goal);
    }
    match metric.rsplit_once(':').map(|(name, word)| (name, spec::goal(word))) {
        Some((name, Some(goal))) => (name, goal),
        _ => (metric, spec::Goal::Min),
    }
}

/// What to run, checked, before anything is written.
struct Prepared {
    plan: Plan,
    spec_text: Option<String>,
    spec_name: Option<String>,
    cwd: PathBuf,
}

/// Runs it.
///
/// # Errors
/// [`Error::Invalid`] for a bad spec; [`Error::Failed`] when runs failed; [`Error::Interrupted`] after Ctrl-C; what
/// opening the file returns.
pub fn run(args: &RunArgs, output: &Output, db: Option<&Path>) -> Result<()> {
    if let Some(id) = args.experiment {
        let db = db.ok_or_else(|| Error::invalid("--experiment", "needs --db"))?;
        return work::go_on(db, ExperimentId(id), args.workers, output);
    }
    if args.spec.is_none() && args.command.is_empty() {
        if args.resume {
            let db = db.ok_or_else(|| {
                Error::invalid(
                    "--resume",
                    "needs --db FILE or a SPEC to know which file to go on with",
                )
            })?;
            let id = resumable(db, None)?;
            return work::go_on(db, id, args.workers, output);
        }
        return Err(Error::invalid("mle run", "there is nothing to run")
            .with_hint("give a SPEC, or a command after `--`; `mle run --help` has examples"));
    }
    let mut prepared = prepare(args)?;
    let db = db.map_or_else(|| default_db(args, &prepared.plan), Path::to_owned);
    let fit = before::fit(&prepared.plan, &db)?;
    prepared.plan.warnings.extend(fit.warning);
    let misfit = match fit.error {
        Some(error) if args.dry_run || args.enqueue => {
            prepared.plan.warnings.push(error.to_string());
            None
        }
        error => error,
    };
    for warning in &prepared.plan.warnings {
        if !output.json {
            note(&format!("warning: {}", sanitize(warning)));
        }
    }
    if !args.resume {
        for line in sources::check(&prepared.plan, &db)? {
            if !output.json {
                note(&sanitize(&line));
            }
        }
    }
    if args.dry_run {
        return work::show_plan(&prepared.plan, &db, output);
    }
    if args.resume {
        let id = resumable(&db, Some(&prepared.plan.name))?;
        if let Some(spec) = &prepared.spec_text
            && before::is_other_spec(&db, id, spec)?
            && !output.json
        {
            note(&format!(
                "warning: the spec has changed; experiment {id} goes on with what it was"
            ));
        }
        return work::go_on(&db, id, args.workers, output);
    }
    if let Some(misfit) = misfit {
        return Err(misfit);
    }
    let is_alone = !args.new && !args.enqueue && args.spec.is_some();
    if is_alone {
        let spec = prepared.spec_text.as_deref();
        before::no_other_of_name(&db, &prepared.plan.name, spec)?;
    }
    let id = add(&db, &prepared, is_alone)?;
    if let Some(waiting) = outside::Waiting::of(&prepared.plan, &db, id)
        && (args.enqueue || args.detach)
        && !output.json
    {
        note(&sanitize_lines(&waiting.text()));
    }
    if args.enqueue {
        return output.done(
            &format!("experiment {id} is stored in {}; nothing of it runs before a scheduler and a worker are there", db.display()),
            &serde_json::json!({ "experiment": id, "db": path_json(&db) }),
        );
    }
    if args.detach {
        return detach(&db, id, args, output);
    }
    let result = work::go_on(&db, id, args.workers, output);
    if let Err(error) = &result
        && error.exit_code() == crate::error::exit::SYSTEM
        && !output.json
    {
        // Its reader may be gone: then there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{}", after_failure(&db, id));
    }
    result
}

/// What to do with an experiment that is stored when the system refused to go on with it: the same command again would
/// make a second one.
fn after_failure(db: &Path, id: ExperimentId) -> String {
    let state = crate::metric::open_to_read(db)
        .and_then(|store| store.read(|tx| protocol::state(tx, id)))
        .unwrap_or(State::Running);
    let (mle, path) = (super::own_name(), super::quote(&db.display().to_string()));
    if state.is_end() {
        format!("experiment {id} is {state} and stored:\n  {mle} status --db {path}")
    } else {
        format!("experiment {id} is stored; go on with it by:\n  {mle} run --db {path} --resume")
    }
}

fn prepare(args: &RunArgs) -> Result<Prepared> {
    let here = std::env::current_dir().map_err(|error| Error::io(".", error))?;
    let mut prepared = match &args.spec {
        None => {
            let read = command::read(&args.command, &here);
            if !args.set.is_empty() {
                return Err(Error::invalid("--set", "changes a spec, and there is none"));
            }
            if args.seeds.is_some() {
                let error = Error::invalid("--seeds", "is for a spec, and there is none");
                return Err(error.with_hint("run the command once for each seed"));
            }
            args.toolbox.set(false)?;
            let name = args.name.as_deref().unwrap_or(&read.name);
            let mut plan = spec::for_command(args.command.clone(), name);
            plan.configs[0].params = read.params;
            if let Some(seed) = read.seed {
                (plan.seeds, plan.seed_default) = (vec![seed], false);
            }
            if let Some(metric) = &args.metric {
                let (metric, goal) = metric_and_goal(metric, args.goal);
                spec::check_name(metric).map_err(|why| Error::invalid("--metric", why))?;
                plan.objectives.push(spec::Objective {
                    metric: metric.to_owned(),
                    goal,
                    from: spec::ValueFrom::Last,
                });
            }
            // Python holds back what it prints to a pipe; by hand it would be seen as it comes.
            let unbuffered = "PYTHONUNBUFFERED";
            if std::env::var_os(unbuffered).is_none() {
                plan.env.insert(unbuffered.into(), "1".into());
            }
            Prepared { plan, spec_text: None, spec_name: None, cwd: here }
        }
        Some(path) => {
            if path.is_dir() {
                return Err(Error::invalid(
                    path.display().to_string(),
                    "is a directory, not a spec",
                ));
            }
            if let Some(meant) = command::of_script(path) {
                let what = path.display().to_string();
                return Err(Error::invalid(what, "is a script, not a spec")
                    .with_hint(format!("did you mean: mle run -- {meant}")));
            }
            let text = super::input::document(path)?;
            let origin = path.display().to_string();
            // Our own specs mean paths from where they lie; the toolbox's from where one stands.
            let is_toolbox = spec::is_toolbox(&text);
            let folder = match path.parent() {
                Some(parent) if !is_toolbox && !parent.as_os_str().is_empty() => here.join(parent),
                _ => here,
            };
            let folder = std::path::absolute(&folder).unwrap_or(folder);
            let mut set = args.toolbox.set(is_toolbox)?;
            set.extend(args.set.iter().cloned());
            set.extend(args.seeds.map(|seeds| format!("seeds={seeds}")));
            let plan = spec::parse(&text, &origin, &set, &Disk { folder: folder.clone() })?;
            let spec_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            Prepared { plan, spec_text: Some(text), spec_name, cwd: folder }
        }
    };
    let plan = &mut prepared.plan;
    if let Some(workers) = args.workers {
        plan.workers = Some(workers);
    }
    if let Some(name) = &args.name {
        spec::check_name(name).map_err(|why| Error::invalid("--name", why))?;
        plan.name.clone_from(name);
    }
    if let Some(purpose) = &args.purpose {
        plan.purpose.clone_from(purpose);
    }
    Ok(prepared)
}

/// `NAME.db` beside the user, with what no file name should have left out. A command without a spec goes to the only file
/// here, as other verbs do.
fn default_db(args: &RunArgs, plan: &Plan) -> PathBuf {
    if args.spec.is_none() {
        return match super::args::found().unwrap_or_default().as_slice() {
            [one] => one.strip_prefix(".").unwrap_or(one).to_owned(),
            _ => PathBuf::from("mle.db"),
        };
    }
    place::db_of(&plan.name)
}

/// Stores the experiment, where `is_alone` unless another of its name is open.
fn add(db: &Path, prepared: &Prepared, is_alone: bool) -> Result<ExperimentId> {
    let plan = &prepared.plan;
    let script = match &plan.launch {
        Launch::Script { script, .. } => Some(prepared.cwd.join(script)),
        Launch::Template(words) => words
            .iter()
            .map(|word| prepared.cwd.join(word))
            .find(|path| path.is_file() && path.extension().is_some()),
    };
    let argv = super::words();
    let provenance = Provenance::capture(&prepared.cwd, script.as_deref(), &argv);
    let mut new = NewExperiment::new(plan.name.clone(), kind_of(plan.kind));
    new.purpose.clone_from(&plan.purpose);
    new.project.clone_from(&plan.project);
    new.spec_text.clone_from(&prepared.spec_text);
    new.spec_name.clone_from(&prepared.spec_name);
    new.objectives =
        plan.objectives.iter().map(|objective| objective_of(objective, plan.aggregate)).collect();
    let mut store = Store::open(db, Open::Create)?;
    store.write(|tx| {
        if is_alone {
            before::no_other(tx, db, &plan.name, prepared.spec_text.as_deref())?;
        }
        let (plan, _) = sources::resolve(tx, plan, db)?;
        new.plan = serde_json::to_value(plan)
            .map_err(|error| Error::invalid("plan", error.to_string()))?;
        protocol::add(tx, &new, &provenance)
    })
}

fn kind_of(kind: spec::Kind) -> protocol::Kind {
    match kind {
        spec::Kind::Command => protocol::Kind::Command,
        spec::Kind::SingleConfig => protocol::Kind::SingleConfig,
        spec::Kind::MultipleConfigs => protocol::Kind::MultipleConfigs,
        spec::Kind::HyperparameterSearch => protocol::Kind::Search,
    }
}

fn objective_of(objective: &spec::Objective, aggregate: spec::Aggregate) -> Objective {
    Objective {
        metric: objective.metric.clone(),
        goal: match objective.goal {
            spec::Goal::Min => protocol::Goal::Min,
            spec::Goal::Max => protocol::Goal::Max,
        },
        value_from: match objective.from {
            spec::ValueFrom::Last => protocol::ValueFrom::Last,
            spec::ValueFrom::Best => protocol::ValueFrom::Best,
            spec::ValueFrom::Mean => protocol::ValueFrom::Mean,
        },
        aggregate: match aggregate {
            spec::Aggregate::Mean => protocol::Aggregate::Mean,
            spec::Aggregate::P10 => protocol::Aggregate::P10,
            spec::Aggregate::P25 => protocol::Aggregate::P25,
            spec::Aggregate::P50 => protocol::Aggregate::P50,
            spec::Aggregate::P75 => protocol::Aggregate::P75,
            spec::Aggregate::P90 => protocol::Aggregate::P90,
        },
    }
}

/// Returns the newest open experiment (of this name).
fn resumable(db: &Path, name: Option<&str>) -> Result<ExperimentId> {
    const SQL: &str = "SELECT id FROM experiment WHERE ended_at_ms IS NULL
                       AND deleted_at_ms IS NULL AND kind <> 'log' AND (?1 IS NULL OR name = ?1)
                       ORDER BY id DESC LIMIT 1";
    let store = Store::open(db, Open::Existing)?;
    store.read(|tx| tx.maybe(SQL, [name], |row| row.get(0)))?.ok_or_else(|| {
        let of = name.map_or_else(String::new, |name| format!(" named {name:?}"));
        Error::invalid("--resume", format!("{} has no open experiment{of}", db.display()))
            .with_hint("run it without --resume, or `mle retry JOB` for a job that failed")
    })
}

/// The same program in the background, its own session, no terminal.
fn detach(db: &Path, id: ExperimentId, args: &RunArgs, output: &Output) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let exe = std::env::current_exe().map_err(|error| Error::io("mle", error))?;
    let mut command = Command::new(exe);
    command.arg("run").arg("--db").arg(db).arg("--experiment").arg(id.to_string());
    if let Some(workers) = args.workers {
        command.arg("--workers").arg(workers.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own keeps the terminal's Ctrl-C away; the hangup is handled as a stop.
    command.process_group(0);
    // SAFETY: setsid is safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        });
    }
    let child = command.spawn().map_err(|error| Error::io("mle", error))?;
    let text = format!(
        "experiment {id} runs in the background (process {})\n  mle status --db {}",
        child.id(),
        super::quote(&db.display().to_string())
    );
    let value = serde_json::json!({ "experiment": id, "db": path_json(db), "pid": child.id() });
    output.done(&text, &value)
}

/// Returns whether an experiment went well enough for exit code 0.
fn verdict(state: State, error: Option<String>) -> Result<()> {
    match state {
        State::Complete => Ok(()),
        State::Paused => Err(Error::Interrupted),
        other => Err(Error::Failed(error.map_or_else(
            || format!("the experiment ended as {other}"),
            |error| format!("the experiment ended as {other}: {error}"),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::Goal::{Max, Min};

    #[test]
    fn a_metric_may_say_its_goal() {
        for (text, given, wanted) in [
            ("acc", None, ("acc", Min)),
            ("acc:max", None, ("acc", Max)),
            ("loss:minimize", None, ("loss", Min)),
            ("acc:max", Some(Min), ("acc:max", Min)),
            ("val:acc", None, ("val:acc", Min)),
            ("val:acc", Some(Max), ("val:acc", Max)),
        ] {
            assert_eq!(metric_and_goal(text, given), wanted, "{text}");
        }
    }
}
