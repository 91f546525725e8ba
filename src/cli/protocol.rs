//! `mle protocol`: what was done in this file, why, and with which code.

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use super::named;
use super::output::{Output, sanitize, sanitize_lines};
use crate::blob;
use crate::clock;
use crate::display::{json_number, number, shorten};
use crate::error::{Error, Result};
use crate::id::{BlobId, ExperimentId};
use crate::protocol::{self, Detail, Filter, Kind, State, Summary};
use crate::store::{Open, ReadTx, Store, WriteTx};

/// List, show and annotate experiments
///
/// Without a subcommand the last 20 experiments are listed. An experiment is named by its id, its name (the latest of that
/// name) or the first four or more characters of its uid.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  mle protocol
  mle protocol list --state failed --tag paper
  mle protocol note 3 \"the learning rate was too high\"
  mle protocol show 3 --diff | git apply")]
pub struct Args {
    /// What to do; by default list
    #[command(subcommand)]
    pub what: Option<What>,
}

/// What can be done with the protocol.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// List experiments, the newest first
    List(List),
    /// Show all about an experiment
    Show(Show),
    /// Add a note to an experiment
    Note {
        /// Id, name or uid
        experiment: String,
        /// What to remember
        text: String,
    },
    /// Add words to find an experiment by
    Tag {
        /// Id, name or uid
        experiment: String,
        /// The words
        #[arg(required = true)]
        tags: Vec<String>,
    },
    /// Take tags off an experiment
    Untag {
        /// Id, name or uid
        experiment: String,
        /// The words
        #[arg(required = true)]
        tags: Vec<String>,
    },
    /// Hide an experiment from lists
    ///
    /// Nothing is lost; `mle protocol undelete` brings it back.
    Delete {
        /// Id, name or uid
        experiment: String,
    },
    /// Bring a deleted experiment back
    Undelete {
        /// Id, name or uid
        experiment: String,
    },
}

/// The flags of `mle protocol list`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct List {
    /// Only those that are planned, running, complete, failed, cancelled or paused
    #[arg(long)]
    pub state: Option<State>,
    /// Only those of this project
    #[arg(long)]
    pub project: Option<String>,
    /// Only those with this tag
    #[arg(long)]
    pub tag: Option<String>,
    /// Only those with this text in name, purpose or a note
    #[arg(long)]
    pub text: Option<String>,
    /// Only those of this kind: command, single-config, multiple-configs, hyperparameter-search or log
    #[arg(long)]
    pub kind: Option<Kind>,
    /// The deleted ones instead of the others
    #[arg(long)]
    pub deleted: bool,
    /// Only those older than this one: the last id of the page before
    #[arg(long, value_name = "ID")]
    pub before: Option<i64>,
    /// How many to show
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// The flags of `mle protocol show`.
#[derive(Debug, Clone, clap::Args)]
pub struct Show {
    /// Id, name or uid
    pub experiment: String,
    /// Print the spec as it was written, and nothing else
    #[arg(long, group = "part")]
    pub spec: bool,
    /// Print the changes against the last commit, and nothing else
    #[arg(long, group = "part")]
    pub diff: bool,
    /// Print the script, and nothing else
    #[arg(long, group = "part")]
    pub script: bool,
}

/// Runs the verb.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; those of the store.
pub fn run(args: &Args, output: &Output, db: &Path) -> Result<()> {
    let change =
        |word: &str, done: &str, body: &dyn Fn(&WriteTx, ExperimentId, &str) -> Result<bool>| {
            change(output, db, word, done, body)
        };
    match &args.what {
        None => list(&List { limit: 20, ..List::default() }, output, db),
        Some(What::List(args)) => list(args, output, db),
        Some(What::Show(args)) => show(args, output, db),
        Some(What::Note { experiment, text }) => change(experiment, "noted", &|tx, id, who| {
            protocol::add_note(tx, id, text, who).map(|_| true)
        }),
        Some(What::Tag { experiment, tags }) => change(experiment, "tagged", &|tx, id, _| {
            tags.iter().try_fold(false, |any, tag| Ok(protocol::tag(tx, id, tag)? | any))
        }),
        Some(What::Untag { experiment, tags }) => change(experiment, "untagged", &|tx, id, _| {
            tags.iter().try_fold(false, |any, tag| Ok(protocol::untag(tx, id, tag)? | any))
        }),
        Some(What::Delete { experiment }) => change(experiment, "deleted", &protocol::delete),
        Some(What::Undelete { experiment }) => change(experiment, "undeleted", &protocol::undelete),
    }
}

/// Finds one that is there to see, and only without such a one a deleted one.
fn find(tx: &ReadTx, word: &str) -> Result<ExperimentId> {
    match named::find(tx, word) {
        Err(Error::NotFound { .. }) => protocol::find_deleted_too(tx, word),
        found => found,
    }
}

/// Finds an experiment, changes it, and says so; all in one transaction.
fn change(
    output: &Output,
    db: &Path,
    word: &str,
    done: &str,
    body: &dyn Fn(&WriteTx, ExperimentId, &str) -> Result<bool>,
) -> Result<()> {
    let who = protocol::user_name();
    let mut store = Store::open(db, Open::Existing)?;
    let (id, changed) = store.write(|tx| {
        let id =
            if done == "undeleted" { protocol::find_deleted(tx, word)? } else { find(tx, word)? };
        Ok((id, body(tx, id, &who)?))
    })?;
    let text = match changed {
        true if done == "deleted" => {
            format!("deleted experiment {id}; `mle protocol undelete {id}` brings it back")
        }
        true => format!("{done} experiment {id}"),
        false => format!("experiment {id} was so already"),
    };
    output.done(&text, &json!({"experiment_id": id, "changed": changed}))
}

fn list(args: &List, output: &Output, db: &Path) -> Result<()> {
    let filter = Filter {
        state: args.state,
        project: args.project.clone(),
        tag: args.tag.clone(),
        text: args.text.clone(),
        kind: args.kind,
        deleted: args.deleted,
        before: args.before.map(ExperimentId),
    };
    let store = crate::metric::open_to_read(db)?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let found = store.read(|tx| protocol::list(tx, &filter, limit))?;
    if output.json {
        return output.json_array(&found.iter().map(json_of).collect::<Vec<_>>());
    }
    let names = ["id", "name", "state", "runs", "best", "tags", "added", "purpose"];
    output.table(&names, &found.iter().map(row).collect::<Vec<_>>(), "no experiments")
}

fn row(it: &Summary) -> Vec<String> {
    let failed =
        if it.runs_failed > 0 { format!(" ({} failed)", it.runs_failed) } else { String::new() };
    vec![
        it.id.to_string(),
        shorten(&it.name, 60).into_owned(),
        it.state.to_string(),
        format!("{}/{}{failed}", it.runs_complete, it.runs),
        match (&it.metric, it.best) {
            (Some(metric), Some(best)) => format!("{metric} {}", number(best)),
            (None, Some(best)) => number(best),
            _ => String::new(),
        },
        it.tags.join(", "),
        clock::local(it.created_at_ms),
        shorten(it.purpose.lines().next().unwrap_or_default(), 80).into_owned(),
    ]
}

fn json_of(it: &Summary) -> Value {
    json!({
        "id": it.id, "uid": it.uid, "name": it.name, "purpose": it.purpose, "project": it.project,
        "kind": it.kind.as_str(), "state": it.state.as_str(), "host": it.host, "user_name": it.user_name,
        "error": it.error, "created_at_ms": it.created_at_ms, "started_at_ms": it.started_at_ms,
        "ended_at_ms": it.ended_at_ms, "deleted_at_ms": it.deleted_at_ms, "runs": it.runs,
        "runs_complete": it.runs_complete, "runs_failed": it.runs_failed, "metric": it.metric,
        "goal": it.goal.map(|goal| goal.as_str()), "best": it.best.map(json_number), "tags": it.tags,
    })
}

fn show(args: &Show, output: &Output, db: &Path) -> Result<()> {
    let store = crate::metric::open_to_read(db)?;
    let (detail, part) = store.read(|tx| {
        let id = find(tx, &args.experiment)?;
        let detail = protocol::show(tx, id)?;
        let bytes = |blob: Option<BlobId>, what: &'static str| match blob {
            Some(blob) => blob::bytes(tx, blob).map(Some),
            None => Err(Error::NotFound { what, id: format!("of experiment {id}") }),
        };
        let part = match () {
            () if args.spec => match &detail.spec_text {
                Some(text) => Some(text.clone().into_bytes()),
                None => bytes(None, "spec")?,
            },
            () if args.diff => bytes(detail.git_diff, "diff")?,
            () if args.script => bytes(detail.script, "script")?,
            () => None,
        };
        Ok((detail, part))
    })?;
    if let Some(part) = part {
        return output.raw(&part);
    }
    if output.json {
        output.json(&json_of_detail(&detail))
    } else {
        output.line(&text_of(&detail, output))
    }
}

fn json_of_detail(detail: &Detail) -> Value {
    let mut value = json_of(&detail.summary);
    let objectives = detail.objectives.iter().map(|it| {
        json!({"metric": it.metric, "goal": it.goal.as_str(), "value_from": it.value_from.as_str(),
               "aggregate": it.aggregate.as_str()})
    });
    let notes = detail
        .notes
        .iter()
        .map(|it| json!({"text": it.text, "at_ms": it.at_ms, "user_name": it.user_name}));
    let more = json!({
        "objectives": objectives.collect::<Vec<_>>(), "notes": notes.collect::<Vec<_>>(), "plan": detail.plan,
        "spec_name": detail.spec_name, "spec_text": detail.spec_text, "command_line": detail.command_line,
        "cwd": detail.cwd, "git_commit": detail.git_commit, "git_branch": detail.git_branch,
        "git_dirty": detail.git_dirty, "has_diff": detail.git_diff.is_some(), "script_name": detail.script_name,
        "script_hash": detail.script_hash, "environment": detail.environment, "extra": detail.extra,
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

fn text_of(detail: &Detail, output: &Output) -> String {
    let it = &detail.summary;
    let deleted = if it.deleted_at_ms.is_some() { ", deleted" } else { "" };
    let mut lines = vec![format!(
        "{} {} ({}{deleted})",
        output.bold(&format!("experiment {}", it.id)),
        output.bold(&sanitize(&it.name)),
        output.state(it.state.as_str())
    )];
    if !it.purpose.is_empty() {
        lines.push(sanitize_lines(&it.purpose).into_owned());
    }
    lines.push(String::new());
    let mut add = |name: &str, text: &str| {
        lines.push(format!("{} {}", output.dim(&format!("{name:>10}")), sanitize(text)));
    };
    add("uid", &it.uid);
    for (name, text) in crate::report::facts(detail) {
        add(&name, &text);
    }
    for objective in crate::report::objectives(detail) {
        add("objective", &objective);
    }
    if let Some(best) = it.best {
        add("best", &number(best));
    }
    if let Some(error) = &it.error {
        add("error", error);
    }
    if !it.tags.is_empty() {
        add("tags", &it.tags.join(", "));
    }
    for note in &detail.notes {
        add("note", &format!("{} {}: {}", clock::local(note.at_ms), note.user_name, note.text));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tests::{experiment, store};

    const PLAIN: Output = Output { json: false, color: false };

    #[test]
    fn the_verbs_change_what_they_say() {
        let (_folder, mut store) = store();
        let id = experiment(&mut store, "x\u{1b}[2J");
        let db = store.path().to_owned();
        let go = |what| run(&Args { what: Some(what) }, &PLAIN, &db);
        let x = || "1".to_owned();
        go(What::Tag { experiment: x(), tags: vec!["a".into(), "b".into()] }).unwrap();
        go(What::Untag { experiment: x(), tags: vec!["b".into()] }).unwrap();
        go(What::Note { experiment: x(), text: "hm".into() }).unwrap();
        go(What::Delete { experiment: x() }).unwrap();
        let detail = store.read(|tx| protocol::show(tx, id)).unwrap();
        assert_eq!((detail.summary.tags.len(), detail.notes.len()), (1, 1));
        assert!(detail.summary.deleted_at_ms.is_some());
        let text = text_of(&detail, &PLAIN);
        assert!(text.contains("experiment 1 x\\u{1b}[2J (planned, deleted)"), "{text}");
        // Of two with one name the one to see is deleted, and the deleted one comes back.
        let name = || "x\u{1b}[2J".to_owned();
        let second = experiment(&mut store, &name());
        let deleted =
            |id| store.read(|tx| protocol::show(tx, id)).unwrap().summary.deleted_at_ms.is_some();
        go(What::Undelete { experiment: name() }).unwrap();
        assert!(!deleted(id) && !deleted(second));
        go(What::Delete { experiment: name() }).unwrap();
        assert!(!deleted(id) && deleted(second));
        go(What::Delete { experiment: name() }).unwrap();
        assert!(deleted(id) && deleted(second));
        go(What::Undelete { experiment: name() }).unwrap();
        assert!(deleted(id) && !deleted(second));
        go(What::Undelete { experiment: x() }).unwrap();
        run(&Args { what: None }, &PLAIN, &db).unwrap();
        let gone = go(What::Delete { experiment: "y".into() });
        assert!(matches!(gone, Err(Error::NotFound { .. })));
        let no_spec = Show { experiment: x(), spec: true, diff: false, script: false };
        assert!(matches!(go(What::Show(no_spec)), Err(Error::NotFound { .. })));
        run(&Args { what: None }, &Output { json: true, color: false }, &db).unwrap();
    }

    #[test]
    fn the_command_lines_are_well_formed() {
        use clap::Args as _;
        super::Args::augment_args(clap::Command::new("x")).debug_assert();
        crate::cli::artifact::Args::augment_args(clap::Command::new("x")).debug_assert();
        crate::cli::report::Args::augment_args(clap::Command::new("x")).debug_assert();
        crate::cli::leaderboard::Args::augment_args(clap::Command::new("x")).debug_assert();
        crate::cli::sql::Args::augment_args(clap::Command::new("x")).debug_assert();
    }
}
