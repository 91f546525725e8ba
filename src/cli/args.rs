//! All five command lines, and what they call.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::output::{Output, note, sanitize};
use super::{
    artifact, ask, copy, doctor, hand_over, jobs, leaderboard, log, logs, programs, protocol,
    report, run, sql, status, study, toolbox,
};
use crate::error::{Error, Result, exit};
use crate::process;

/// Which program was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `mle`
    Mle,
    /// `mle-worker`
    Worker,
    /// `mle-scheduler`
    Scheduler,
    /// `mle-searcher`
    Searcher,
    /// `mle-reporter`
    Reporter,
}

#[derive(Debug, Clone, Args)]
struct Common {
    /// The file everything is in
    ///
    /// Without it: MLE_DB, or the only .db file of this folder; `mle run SPEC` takes one named after the experiment.
    #[arg(long, global = true, value_name = "FILE", env = "MLE_DB", hide_env_values = true)]
    db: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    json: bool,
    /// Use no colours (also: the variable NO_COLOR)
    #[arg(long, global = true)]
    no_color: bool,
}

/// Machine-learning experiments in one SQLite file
#[derive(Debug, Parser)]
#[command(name = "mle", version, styles = STYLES, max_term_width = 100, subcommand_required = true, arg_required_else_help = true,
    after_help = "Exit codes: 0 done · 1 what was asked for failed · 2 bad input · 3 not found · 4 wrong file or version ·\n\
                  71 the system refused · 75 busy, try again · 130 interrupted")]
struct Mle {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The verbs of `mle`, each a word, and what each takes.
macro_rules! verbs {
    ($($verb:ident($args:ty),)*) => {
        #[derive(Debug, Subcommand)]
        enum Verb {
            $($verb($args),)*
        }

        /// Returns the definition of one verb: all of them together take longer than what most are asked to do.
        fn verb(name: &OsStr) -> Option<clap::Command> {
            $(
                let own = stringify!($verb).to_ascii_lowercase();
                if name == own.as_str() {
                    return Some(<$args>::augment_args(clap::Command::new(own)));
                }
            )*
            None
        }
    };
}

verbs! {
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Leaderboard(leaderboard::Args),
    Report(report::Args),
    Protocol(protocol::Args),
    Study(study::Args),
    Ask(ask::AskArgs),
    Tell(ask::TellArgs),
    Sql(sql::Args),
    Artifact(artifact::Args),
    Logs(logs::LogsArgs),
    Cancel(jobs::CancelArgs),
    Retry(jobs::RetryArgs),
    Pause(jobs::PauseArgs),
    Resume(jobs::ResumeArgs),
    Explain(jobs::ExplainArgs),
    Queue(jobs::QueueArgs),
    Log(log::LogArgs),
    Param(log::ParamArgs),
    Worker(programs::WorkerArgs),
    Scheduler(programs::SchedulerArgs),
    Searcher(programs::SearcherArgs),
    Copy(copy::CopyArgs),
    Doctor(doctor::DoctorArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mle completions bash > ~/.local/share/bash-completion/completions/mle"
)]
struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Write man pages into a folder
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mle man --out ~/.local/share/man/man1")]
struct ManArgs {
    /// The folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

fn own(name: &'static str, command: clap::Command) -> clap::Command {
    Common::augment_args(
        command.name(name).version(env!("CARGO_PKG_VERSION")).styles(STYLES).max_term_width(100),
    )
}

/// Returns as much of a program's definition as its first word needs.
fn command_for(program: Program) -> clap::Command {
    let word = std::env::args_os().nth(1);
    match word.filter(|_| program == Program::Mle).and_then(|word| verb(&word)) {
        Some(verb) => own("mle", clap::Command::new("mle")).subcommand(verb),
        None => command(program),
    }
}

/// Returns the definition of a program's command line, for help, completions and man pages.
pub fn command(program: Program) -> clap::Command {
    match program {
        Program::Mle => Mle::command(),
        Program::Worker => {
            own("mle-worker", programs::WorkerArgs::augment_args(clap::Command::new("mle-worker")))
        }
        Program::Scheduler => own(
            "mle-scheduler",
            programs::SchedulerArgs::augment_args(clap::Command::new("mle-scheduler")),
        ),
        Program::Searcher => own(
            "mle-searcher",
            programs::SearcherArgs::augment_args(clap::Command::new("mle-searcher")),
        ),
        Program::Reporter => own(
            "mle-reporter",
            programs::ReporterArgs::augment_args(clap::Command::new("mle-reporter")),
        ),
    }
}

/// Runs a program: parses, calls, prints the error, returns its exit code.
pub fn main(program: Program) -> ExitCode {
    process::guard_if_asked();
    if let Program::Mle = program {
        hand_over::to_toolbox(&std::env::args_os().skip(1).collect::<Vec<_>>());
    }
    process::outlive_file_limits();
    let words = match program {
        Program::Mle => toolbox::rewrite(std::env::args_os()),
        _ => std::env::args_os().collect(),
    };
    let matches = match command_for(program).try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) => {
            let printed = error.print();
            let is_run =
                program == Program::Mle && error.kind() == clap::error::ErrorKind::UnknownArgument;
            if let Some(command) = is_run.then(|| run::meant_command(&words)).flatten() {
                note(&format!("hint: did you mean: mle run -- {}", sanitize(&command)));
            }
            return ExitCode::from(match printed {
                _ if error.use_stderr() => exit::USAGE,
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => exit::SYSTEM,
                _ => exit::DONE,
            });
        }
    };
    let json = matches.get_flag("json");
    match start(program, &matches) {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => {
            complain(&matches, program, &error, json);
            ExitCode::from(error.exit_code())
        }
    }
}

fn complain(matches: &clap::ArgMatches, program: Program, error: &Error, json: bool) {
    let name = match (program, matches.subcommand_name()) {
        (Program::Mle, Some(verb)) => format!("mle {verb}"),
        (Program::Mle, None) => "mle".into(),
        (Program::Worker, _) => "mle-worker".into(),
        (Program::Scheduler, _) => "mle-scheduler".into(),
        (Program::Searcher, _) => "mle-searcher".into(),
        (Program::Reporter, _) => "mle-reporter".into(),
    };
    if json {
        let value = serde_json::json!({ "error": error.to_string(), "hint": error.hint(), "code": error.exit_code() });
        return note(&value.to_string());
    }
    // What is wrong with the whole of a verb begins with its name already.
    let text = error.to_string();
    let text = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
    note(&format!("{name}: {}", sanitize(text)));
    if let Some(hint) = error.hint() {
        note(&format!("hint: {}", sanitize(&hint)));
    }
}

fn start(program: Program, matches: &clap::ArgMatches) -> Result<()> {
    let usage = |error: clap::Error| Error::invalid("command line", error.to_string());
    let common = Common::from_arg_matches(matches).map_err(usage)?;
    let output = output(&common);
    match program {
        Program::Mle => dispatch(Mle::from_arg_matches(matches).map_err(usage)?, &output),
        Program::Worker => {
            let args = programs::WorkerArgs::from_arg_matches(matches).map_err(usage)?;
            programs::worker(&args, &output, &db(&common)?)
        }
        Program::Scheduler => {
            let args = programs::SchedulerArgs::from_arg_matches(matches).map_err(usage)?;
            programs::scheduler(&args, &db(&common)?)
        }
        Program::Searcher => {
            let args = programs::SearcherArgs::from_arg_matches(matches).map_err(usage)?;
            programs::searcher(&args, || db(&common))
        }
        Program::Reporter => {
            let args = programs::ReporterArgs::from_arg_matches(matches).map_err(usage)?;
            programs::reporter(&args, &output, &db(&common)?)
        }
    }
}

fn output(common: &Common) -> Output {
    let output = Output::new(common.json);
    Output { color: output.color && !common.no_color, ..output }
}

fn dispatch(mle: Mle, output: &Output) -> Result<()> {
    let common = &mle.common;
    match &mle.verb {
        Verb::Run(args) if args.resume && args.spec.is_none() && args.command.is_empty() => {
            run::run(args, output, Some(&db(common)?))
        }
        Verb::Run(args) => run::run(args, output, common.db.as_deref()),
        Verb::Completions(args) => {
            // It panics when it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut command(Program::Mle), "mle", &mut script);
            output.line(String::from_utf8_lossy(&script).trim_end())
        }
        Verb::Man(args) => man(args),
        Verb::Study(args) => {
            // Where no file is, a new study makes one.
            let db = match (db(common), args.makes()) {
                (Err(Error::Invalid { .. }), Some(new)) if !any_db() => new,
                (db, _) => db?,
            };
            study::run(args, output, &db)
        }
        Verb::Searcher(args) => programs::searcher(args, || db(common)),
        verb => {
            let db = db(common)?;
            match verb {
                Verb::Status(args) => status::run(args, output, &db),
                Verb::Leaderboard(args) => leaderboard::run(args, output, &db),
                Verb::Report(args) => report::run(args, output, &db),
                Verb::Protocol(args) => protocol::run(args, output, &db),
                Verb::Ask(args) => ask::ask(args, output, &db),
                Verb::Tell(args) => ask::tell(args, output, &db),
                Verb::Sql(args) => sql::run(args, output, &db),
                Verb::Artifact(args) => artifact::run(args, output, &db),
                Verb::Logs(args) => logs::run(args, output, &db),
                Verb::Cancel(args) => jobs::cancel(args, output, &db),
                Verb::Retry(args) => jobs::retry(args, output, &db),
                Verb::Pause(args) => jobs::pause(args, output, &db),
                Verb::Resume(args) => jobs::resume(args, output, &db),
                Verb::Explain(args) => jobs::explain(args, output, &db),
                Verb::Queue(args) => jobs::queue(args, output, &db),
                Verb::Log(args) => log::log(args, output, &db),
                Verb::Param(args) => log::param(args, output, &db),
                Verb::Worker(args) => programs::worker(args, output, &db),
                Verb::Scheduler(args) => programs::scheduler(args, &db),
                Verb::Copy(args) => copy::run(args, output, &db),
                Verb::Doctor(args) => doctor::run(args, output, &db),
                Verb::Run(_)
                | Verb::Completions(_)
                | Verb::Man(_)
                | Verb::Study(_)
                | Verb::Searcher(_) => Ok(()),
            }
        }
    }
}

fn any_db() -> bool {
    found().is_ok_and(|found| !found.is_empty())
}

/// Returns the files of this folder that may be ours.
pub(super) fn found() -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(".")
        .map_err(|error| Error::io(".", error))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "db") && path.is_file()
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Returns the file meant: the one named, or the only one here.
fn db(common: &Common) -> Result<PathBuf> {
    if let Some(db) = &common.db {
        return Ok(db.clone());
    }
    match found()?.as_slice() {
        [one] => Ok(one.strip_prefix(".").unwrap_or(one).to_owned()),
        [] => {
            Err(Error::invalid("--db", "no file is named, and there is no .db file in this folder")
                .with_hint("`mle run SPEC` makes one; or name it with --db FILE"))
        }
        many => {
            let names: Vec<String> = many
                .iter()
                .take(5)
                .map(|path| path.strip_prefix(".").unwrap_or(path).display().to_string())
                .collect();
            Err(Error::invalid("--db", format!("which of {} is meant?", names.join(", ")))
                .with_hint("name it with --db FILE, or set MLE_DB"))
        }
    }
}

fn man(args: &ManArgs) -> Result<()> {
    std::fs::create_dir_all(&args.out).map_err(|error| Error::io(&args.out, error))?;
    for program in
        [Program::Mle, Program::Worker, Program::Scheduler, Program::Searcher, Program::Reporter]
    {
        clap_mangen::generate_to(command(program), &args.out)
            .map_err(|error| Error::io(&args.out, error))?;
    }
    Ok(())
}
