//! `mle worker`, `mle scheduler`, `mle searcher`: the same as the programs of these names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;

use super::news::Lines;
use super::output::Output;
use crate::daemon;
use crate::error::{Error, Result};
use crate::spec;
use crate::worker::{self, Options};

/// Run jobs of this file on this machine
///
/// Claims jobs that fit its cores, GPUs and memory, runs each in a process group of its own, keeps its output, metrics
/// and resource use. SIGTERM and Ctrl-C stop its jobs and give them back; SIGUSR2 warns them first. Kill -9 is fine too:
/// the next program on this machine, or the end of the lease, gives the jobs back. Only from the fourth time on that costs
/// a job one of its tries: some jobs kill their worker.
///
/// It says on standard error what it does, a line for the start and the end of each job; with --json on standard output,
/// an object a line.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  mle worker --db digits.db --slots 4 --when-dry")]
pub struct WorkerArgs {
    /// Jobs at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub slots: Option<u32>,
    /// Cores to give [default: those of the machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub cores: Option<u32>,
    /// Memory to give, in MiB or as 64GB [default: that of the machine]
    #[arg(long, value_name = "MEMORY", value_parser = memory)]
    pub memory: Option<u64>,
    /// How long a lease lasts without renewal, in seconds or as 90s, 10m
    #[arg(long, value_name = "TIME", default_value = "30", allow_negative_numbers = true, value_parser = seconds)]
    pub lease: f64,
    /// Leave after this time without work
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = seconds)]
    pub idle: Option<f64>,
    /// Leave once nothing is queued, running or due
    #[arg(long)]
    pub when_dry: bool,
    /// Say nothing of what it does
    #[arg(short, long)]
    pub quiet: bool,
}

/// Turn experiments into jobs and end them, give back the jobs of lost workers
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  mle scheduler --db digits.db --when-dry")]
pub struct SchedulerArgs {
    /// Leave once no experiment is open
    #[arg(long)]
    pub when_dry: bool,
}

/// Ask the strategies of open studies for trials, and tell them results
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  mle searcher --db digits.db --when-dry\n  mle searcher serve --stdio",
    args_conflicts_with_subcommands = true
)]
pub struct SearcherArgs {
    /// Leave once no experiment is open
    #[arg(long)]
    pub when_dry: bool,
    #[command(subcommand)]
    verb: Option<SearcherVerb>,
}

/// What stands under the help of `serve`.
const PROTOCOL: &str = r#"One JSON object a line, one reply a line:
  {"op": "init", "space": {"lr": {"type": "real", "low": 0, "high": 1}}, "objectives": ["loss:min"],
   "constraints": [], "budget": 50, "seed": 0, "workers": 1, "options": {"algorithm": "auto"}}
      -> {"ok": true, "name": "auto"}       all but op and space may be left out
  {"op": "ask", "n": 2}
      -> {"trials": [{"id": 0, "params": {"lr": 0.5}}, …]}
         with "exhausted": true or "wait": true where there are fewer
  {"op": "tell", "trials": [{"id": 0, "values": [0.31]}, {"id": 1, "status": "failed"}]}
      -> {"ok": true}                       a status is ok, failed or pruned
  {"op": "quit"}
What cannot be done is answered {"error": "…"} and changes nothing.

An objective is "NAME:GOAL", or {"name": …, "direction": "minimize" or "maximize"}; options are
the strategy's name (algorithm) and its settings. The budget is what the strategy plans for: you
decide when it is over. With "max_epoch": 81 (and "epoch_budget") trials carry "epoch", how far to
train in all, and an id may come again with a higher one; tell, beside their "values", their
"curve": [0.9, 0.5, …], a number for each epoch so far. One value may be "value": 0.31.

Example:
  echo '{"op":"init","space":{"lr":{"type":"real","low":0,"high":1}}}' | mle searcher serve --stdio"#;

#[derive(Debug, Clone, clap::Subcommand)]
enum SearcherVerb {
    /// Answer asks and tells in JSON lines, for programs in any language; no file is used
    #[command(after_help = PROTOCOL)]
    Serve {
        /// Read requests from standard input and answer on standard output
        #[arg(long, required = true)]
        stdio: bool,
    },
}

/// Reads a span of time: a positive number of seconds, or as specs have it [s].
pub(super) fn seconds(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1e9 => Ok(value),
        Ok(_) => Err("not a positive number of seconds".into()),
        Err(_) => spec::time_ms(text).map(|ms| ms as f64 / 1000.0),
    }
}

/// Reads an amount of memory as specs have it [MiB]; 0 is none.
pub(super) fn memory(text: &str) -> std::result::Result<u64, String> {
    if text == "0" { Ok(0) } else { spec::memory_mib(text) }
}

/// Runs the worker.
///
/// # Errors
/// See [`worker::run`].
pub fn worker(args: &WorkerArgs, output: &Output, db: &Path) -> Result<()> {
    let stop = daemon::stop_on_signals()?;
    stop.when_dry.store(args.when_dry, Ordering::Relaxed);
    let until = match (args.when_dry, args.idle) {
        (true, _) => "it leaves when nothing is left to do",
        (false, Some(_)) => "waiting for jobs; it leaves when there are none for a while",
        (false, None) => "waiting for jobs; Ctrl-C ends it",
    };
    let lines = Arc::new(Lines::new(db.display().to_string(), output.json, until));
    let options = Options {
        audience: (!args.quiet).then(|| lines.clone() as Arc<dyn worker::Audience>),
        slots: args.slots,
        cores: args.cores,
        memory_mib: args.memory,
        lease_ms: (args.lease * 1000.0) as i64,
        idle_ms: args.idle.map(|idle| (idle * 1000.0) as i64),
        ..Options::default()
    };
    let result = worker::run(db, &options, &stop).map(drop);
    if !args.quiet {
        lines.close();
    }
    result
}

/// Runs the scheduler.
///
/// # Errors
/// See [`daemon::run`].
pub fn scheduler(args: &SchedulerArgs, db: &Path) -> Result<()> {
    let stop = daemon::stop_on_signals()?;
    stop.when_dry.store(args.when_dry, Ordering::Relaxed);
    daemon::run(db, &[daemon::SCHEDULER], &stop)
}

/// Runs the searcher.
///
/// # Errors
/// See [`daemon::run`].
pub fn searcher(args: &SearcherArgs, db: impl FnOnce() -> Result<PathBuf>) -> Result<()> {
    if let Some(SearcherVerb::Serve { .. }) = &args.verb {
        let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
        return match crate::search::serve::serve(input, output) {
            // Who asked has gone.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            served => served.map_err(|error| Error::io("standard input and output", error)),
        };
    }
    let stop = daemon::stop_on_signals()?;
    stop.when_dry.store(args.when_dry, Ordering::Relaxed);
    daemon::run(&db()?, &[daemon::SEARCHER], &stop)
}

/// Keep reports fresh: each experiment that ends gets its report in the file
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  mle reporter --db digits.db --when-dry")]
pub struct ReporterArgs {
    /// Leave once no experiment is open
    #[arg(long)]
    pub when_dry: bool,
}

/// Runs the reporter.
///
/// # Errors
/// What opening the file or storing a report returns.
pub fn reporter(args: &ReporterArgs, _output: &Output, db: &Path) -> Result<()> {
    let stop = daemon::stop_on_signals()?;
    stop.when_dry.store(args.when_dry, Ordering::Relaxed);
    crate::reporter::run(db, &stop)
}
