//! The sentences of a report: what it was, when, where, with which code, and how to do it again.

use serde_json::Value;

use crate::clock;
use crate::display::{shorten, size};
use crate::protocol::{Aggregate, Detail, Goal, Kind, Objective, ValueFrom};

/// Returns what, when, where and with which code, as pairs of a word and a text.
pub(crate) fn facts(detail: &Detail) -> Vec<(String, String)> {
    let summary = &detail.summary;
    let mut facts = Vec::new();
    let mut add = |name: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            facts.push((name.to_owned(), shorten(&text, 300).into_owned()));
        }
    };
    add("project", Some(summary.project.clone()));
    add("kind", Some(summary.kind.to_string()));
    add("runs", (summary.runs > 0).then(|| runs(detail)));
    add("added", Some(clock::local(summary.created_at_ms)));
    add("started", summary.started_at_ms.map(clock::local));
    add("ended", summary.ended_at_ms.map(clock::local));
    let took = summary.ended_at_ms.zip(summary.started_at_ms);
    add("took", took.map(|(end, start)| clock::duration(end - start)));
    add("by", Some(format!("{}@{}", summary.user_name, summary.host)).filter(|by| by != "@"));
    add("folder", Some(detail.cwd.clone()));
    add("command", Some(shell_words::join(&detail.command_line)));
    add("spec", detail.spec_name.clone());
    add("script", detail.script_name.clone());
    add("git", git(detail));
    let from = |key: &str| match detail.environment.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            let words: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            Some(words.join(", "))
        }
        value => Some(value.to_string()),
    };
    add("system", from("os").zip(from("kernel")).map(|(os, kernel)| format!("{os}, {kernel}")));
    add("CPU", from("cpu").zip(from("cores")).map(|(cpu, cores)| format!("{cpu}, {cores} cores")));
    let mib = detail.environment.get("memory_mib").and_then(Value::as_i64);
    add("memory", mib.map(|mib| size(mib.saturating_mul(1 << 20))));
    add("GPUs", from("gpus"));
    let driver = from("nvidia_driver");
    add("CUDA", from("cuda").map(|cuda| format!("{cuda}, driver {}", driver.unwrap_or_default())));
    add("Python", from("python"));
    facts
}

fn runs(detail: &Detail) -> String {
    let summary = &detail.summary;
    let mut text = format!("{} of {} complete", summary.runs_complete, summary.runs);
    if summary.runs_failed > 0 {
        text.push_str(&format!(", {} failed", summary.runs_failed));
    }
    text
}

fn git(detail: &Detail) -> Option<String> {
    let commit = detail.git_commit.as_deref()?;
    let branch = detail.git_branch.as_ref().map(|branch| format!(" on {branch}"));
    let dirty = match detail.git_dirty {
        Some(true) => ", with changes",
        _ => "",
    };
    Some(format!("{commit}{}{dirty}", branch.unwrap_or_default()))
}

/// Returns the objectives as sentences.
pub(crate) fn objectives(detail: &Detail) -> Vec<String> {
    // What is told by hand is of no run.
    let by_hand = detail.summary.kind == Kind::Log && detail.summary.runs == 0;
    let sentence = |objective| sentence(objective, !by_hand);
    detail.objectives.iter().map(sentence).collect()
}

fn sentence(objective: &Objective, of_runs: bool) -> String {
    let goal = match objective.goal {
        Goal::Min => "smallest",
        Goal::Max => "largest",
    };
    if !of_runs {
        return format!("{goal} {}", objective.metric);
    }
    let from = match objective.value_from {
        ValueFrom::Last => "last",
        ValueFrom::Best => "best",
        ValueFrom::Mean => "mean",
    };
    let over = match objective.aggregate {
        Aggregate::Mean => "mean".to_owned(),
        Aggregate::P50 => "median".to_owned(),
        aggregate => format!("{}th percentile", aggregate.as_str().trim_start_matches('p')),
    };
    format!("{goal} {} ({from} value of a run, {over} over seeds)", objective.metric)
}

/// Returns the commands that do it again.
pub(super) fn rerun(detail: &Detail) -> Vec<String> {
    let id = detail.summary.id;
    let quote = |text: &str| shell_words::quote(text).into_owned();
    let mut lines = Vec::new();
    if !detail.cwd.is_empty() {
        lines.push(format!("cd {}", quote(&detail.cwd)));
    }
    if let Some(commit) = &detail.git_commit {
        lines.push(format!("git checkout {}", quote(commit)));
    }
    if detail.git_diff.is_some() {
        lines.push(format!("mle protocol show {id} --diff | git apply"));
    }
    match (&detail.spec_text, detail.command_line.is_empty()) {
        (Some(_), _) => {
            let name = detail.spec_name.as_deref().unwrap_or("spec.yaml");
            let file =
                name.rsplit('/').next().filter(|file| !file.is_empty()).unwrap_or("spec.yaml");
            // The user's own file may have changed since; paths in it start at its folder, so the copy is beside it.
            let copy = format!("again-{id}-{file}");
            lines.push(format!("mle protocol show {id} --spec > {}", quote(&copy)));
            lines.push(format!("mle run {} --name {}", quote(&copy), quote(&detail.summary.name)));
        }
        (None, false) => lines.push(shell_words::join(&detail.command_line)),
        (None, true) => {}
    }
    lines
}
