//! The report as Markdown. All text of the file is escaped: none of it is markup.

use std::fmt::Write;

use super::data::Data;
use super::search::Table;
use crate::display::{sanitize, sanitize_lines};

/// Writes the whole document.
pub(super) fn render(data: &Data) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}\n", text(&data.name));
    let _ = write!(out, "**{}** · experiment {}", text(&data.state), data.id);
    for tag in &data.tags {
        let _ = write!(out, " · #{}", text(tag));
    }
    out.push_str("\n\n");
    if !data.purpose.trim().is_empty() {
        for line in data.purpose.lines() {
            let _ = writeln!(out, "> {}", text(line));
        }
        out.push('\n');
    }
    if let Some(error) = &data.error {
        let _ = writeln!(out, "**Error:** {}\n", text(error));
    }
    list(&mut out, "Warnings", &data.warnings);
    list(&mut out, "Objective", &data.objectives);
    leaderboard(&mut out, data);
    if let Some((name, params)) = &data.best {
        let _ = writeln!(out, "## Best config: {}\n", text(name));
        pairs(&mut out, ["parameter", "value"], params);
    }
    if let Some(search) = &data.search {
        let _ = writeln!(out, "## Search\n\n{}.\n", text(&search.summary));
    }
    if let Some(search) = data.search.as_ref().filter(|search| !search.importance.is_empty()) {
        out.push_str("## Which parameters matter\n\n");
        out.push_str("| parameter | variance it explains alone | what the best have in common |\n");
        out.push_str("|---|---:|---:|\n");
        for (name, alone, among_best) in &search.importance {
            let _ = writeln!(out, "| {} | {alone} | {among_best} |", text(name));
        }
        out.push('\n');
    }
    if let Some(table) = data.search.as_ref().and_then(|search| search.table.as_ref()) {
        trials(&mut out, table);
    }
    for chart in &data.charts {
        let _ = writeln!(out, "## {} at the end\n", text(&chart.title));
        pairs(&mut out, ["config", "mean over seeds"], &chart.ends);
    }
    runs(&mut out, data);
    jobs(&mut out, data);
    out.push_str("## Protocol\n\n");
    pairs(&mut out, ["", ""], &data.facts);
    if !data.notes.is_empty() {
        out.push_str("## Notes\n\n");
        for (when, note) in &data.notes {
            let _ = writeln!(out, "* {}: {}", text(when), text(note));
        }
        out.push('\n');
    }
    if !data.rerun.is_empty() {
        out.push_str("## How to run it again\n\n");
        code(&mut out, &data.rerun.join("\n"));
    }
    let _ = writeln!(out, "Made by mle {} at {}.", data.version, data.made_at);
    out
}

fn leaderboard(out: &mut String, data: &Data) {
    if data.places.is_empty() && data.failed.is_empty() {
        return;
    }
    let metric = text(&data.metric);
    let _ = writeln!(out, "## Leaderboard\n");
    let (head, line) = if data.has_epochs { (" epochs |", "---:|") } else { ("", "") };
    let _ =
        writeln!(out, "| place | config | {metric} | 95 % interval | seeds |{head} parameters |");
    let _ = writeln!(out, "|---:|---|---:|---|---:|{line}---|");
    let epochs = |of: Option<i64>| match (data.has_epochs, of) {
        (false, _) => String::new(),
        (true, None) => " |".into(),
        (true, Some(of)) => format!(" {of} |"),
    };
    for place in &data.places {
        let params: Vec<String> =
            place.params.iter().map(|(name, value)| text(&format!("{name}={value}"))).collect();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |{} {} |",
            place.place,
            text(&place.name),
            text(&place.mean),
            text(&place.interval),
            text(&place.seeds),
            epochs(place.epochs),
            params.join(" ")
        );
    }
    for failed in &data.failed {
        let pairs = failed.params.iter().map(|(name, value)| text(&format!("{name}={value}")));
        let params: Vec<String> = pairs.collect();
        let _ = writeln!(
            out,
            "| – | {} | {} | {} | {} |{} {} |",
            text(&failed.name),
            text(&failed.word),
            text(&failed.error),
            text(&failed.seeds),
            epochs(None),
            params.join(" ")
        );
    }
    left_out(out, data.places_left_out + data.failed_left_out, "configs");
    if let Some(legend) = data.legend_of_intervals {
        let _ = writeln!(out, "{legend}\n");
    }
}

fn trials(out: &mut String, table: &Table) {
    let metrics: Vec<String> = table.metrics.iter().map(|metric| text(metric)).collect();
    let _ = writeln!(out, "## {}\n", table.title);
    let _ = writeln!(out, "| trial | {} | parameters |", metrics.join(" | "));
    let _ = writeln!(out, "|---:|{}---|", "---:|".repeat(metrics.len()));
    for row in &table.rows {
        let _ =
            writeln!(out, "| {} | {} | {} |", row.trial, row.values.join(" | "), text(&row.params));
    }
    left_out(out, table.left_out, "trials");
}

fn runs(out: &mut String, data: &Data) {
    if data.runs.is_empty() {
        return;
    }
    out.push_str("## Runs\n\n| run | config | seed | state | value | took | error |\n");
    out.push_str("|---:|---|---:|---|---:|---:|---|\n");
    for run in &data.runs {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            run.id,
            text(&run.name),
            run.seed,
            run.state,
            text(&run.value),
            run.duration,
            text(&run.error)
        );
    }
    left_out(out, data.runs_left_out, "runs");
}

fn jobs(out: &mut String, data: &Data) {
    let Some(jobs) = &data.jobs else { return };
    out.push_str("## Jobs\n\n");
    let counts: Vec<String> =
        jobs.counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let facts: Vec<String> =
        jobs.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let _ = writeln!(out, "{}; {}.\n", counts.join(", "), facts.join(", "));
    for job in &jobs.failed {
        let _ = writeln!(out, "**{}** failed: {}\n", text(&job.what), text(&job.error));
        if !job.output.is_empty() {
            code(out, &job.output);
        }
    }
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "## {title}\n");
    for line in lines {
        let _ = writeln!(out, "* {}", text(line));
    }
    out.push('\n');
}

fn pairs(out: &mut String, header: [&str; 2], pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let _ = writeln!(out, "| {} | {} |\n|---|---|", header[0], header[1]);
    for (name, value) in pairs {
        let _ = writeln!(out, "| {} | {} |", text(name), text(value));
    }
    out.push('\n');
}

fn left_out(out: &mut String, count: i64, what: &str) {
    if count > 0 {
        let _ = writeln!(out, "\n{count} more {what} are in the file.");
    }
    out.push('\n');
}

/// Text on one line in which nothing is markup.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 8);
    for c in sanitize(raw).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '$')
        {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A block of code, fenced by more backticks than are in it.
fn code(out: &mut String, raw: &str) {
    let raw = sanitize_lines(raw);
    let mut longest = 0;
    let mut now = 0;
    for c in raw.chars() {
        now = if c == '`' { now + 1 } else { 0 };
        longest = longest.max(now);
    }
    let fence = "`".repeat((longest + 1).max(3));
    let _ = writeln!(out, "{fence}\n{raw}\n{fence}\n");
}
