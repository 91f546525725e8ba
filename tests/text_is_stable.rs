//! What programs print for people fits, and what they print for programs parses.

use serde_json::Value;

use crate::lab::Lab;

const VERBS: [&[&str]; 61] = [
    &["run"],
    &["status"],
    &["leaderboard"],
    &["report"],
    &["protocol"],
    &["protocol", "list"],
    &["protocol", "show"],
    &["protocol", "note"],
    &["protocol", "tag"],
    &["protocol", "untag"],
    &["protocol", "delete"],
    &["protocol", "undelete"],
    &["study"],
    &["study", "new"],
    &["study", "list"],
    &["study", "show"],
    &["study", "space"],
    &["study", "add"],
    &["study", "warm-start"],
    &["study", "refine"],
    &["study", "pause"],
    &["study", "resume"],
    &["study", "extend"],
    &["study", "replay"],
    &["study", "best"],
    &["study", "top"],
    &["study", "history"],
    &["study", "importance"],
    &["study", "pareto"],
    &["study", "slice"],
    &["study", "parallel"],
    &["study", "compare"],
    &["study", "advice"],
    &["study", "export"],
    &["study", "import"],
    &["study", "configs"],
    &["ask"],
    &["tell"],
    &["sql"],
    &["artifact"],
    &["artifact", "add"],
    &["artifact", "list"],
    &["artifact", "get"],
    &["logs"],
    &["cancel"],
    &["retry"],
    &["pause"],
    &["resume"],
    &["explain"],
    &["queue"],
    &["queue", "add"],
    &["log"],
    &["param"],
    &["worker"],
    &["scheduler"],
    &["searcher"],
    &["copy"],
    &["doctor"],
    &["completions"],
    &["man"],
    &[],
];

fn check_help(help: &str, of: &str, wants_example: bool) {
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "{of}: {} columns: {line}", line.chars().count());
    }
    assert!(help.contains("Usage:"), "{of}: {help}");
    assert!(!wants_example || help.contains("Example"), "{of} has no example:\n{help}");
}

#[test]
fn every_help_fits_and_has_an_example() {
    let lab = Lab::new();
    for verb in VERBS {
        let args = [verb, &["--help"]].concat();
        // Of a nested verb the one above it has the examples.
        let wants_example = verb.len() == 1 || verb == ["queue", "add"];
        check_help(&lab.mle(&args).ok(), &args.join(" "), wants_example && verb != ["queue"]);
        lab.mle(&[verb, &["-h"]].concat()).ok();
    }
    for program in ["mle-worker", "mle-scheduler", "mle-searcher", "mle-reporter"] {
        check_help(&lab.run(program, &["--help"]).ok(), program, true);
        let version = lab.run(program, &["--version"]).ok();
        assert_eq!(version, format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
    }
    // All that `mle --help` lists is in the table above.
    let help = lab.mle(&["--help"]).ok();
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    for line in commands.lines() {
        let verb = line.split_whitespace().next().unwrap();
        assert!(verb == "help" || VERBS.contains(&[verb].as_slice()), "{verb} is not tested");
    }
}

#[test]
fn completions_and_man_pages_are_made() {
    let lab = Lab::new();
    for (shell, mark) in [("bash", "_mle()"), ("zsh", "#compdef mle"), ("fish", "complete -c mle")]
    {
        let script = lab.mle(&["completions", shell]).ok();
        assert!(script.contains(mark) && script.contains("leaderboard"), "{shell}");
        lab.write(shell, &script);
    }
    let checked = std::process::Command::new("bash").arg("-n").arg(lab.path("bash")).status();
    assert!(checked.unwrap().success());
    lab.mle(&["completions", "tcsh"]).fails(2, "tcsh");
    lab.mle(&["man", "--out", "man"]).ok();
    for page in [
        "mle.1",
        "mle-worker.1",
        "mle-scheduler.1",
        "mle-searcher.1",
        "mle-reporter.1",
        "mle-run.1",
    ] {
        let text = std::fs::read_to_string(lab.path("man").join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
}

fn some_file() -> Lab {
    let lab = Lab::new();
    lab.write(
        "s.yaml",
        "command: [echo, '::mle {{\"loss\": {x}}}']\nmetric: loss\nseeds: 2\nconfigs: [{x: 2}, {x: 1}]\n",
    );
    lab.mle(&["run", "s.yaml", "--workers", "1"]).ok();
    lab
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn json_is_json() {
    let lab = some_file();
    let ask = |args: &[&str]| parse(&lab.mle(&[&["--json"], args].concat()).ok());
    let status = ask(&["status"]);
    assert_eq!((&status[0]["name"], &status[0]["complete"]), (&"s".into(), &4.into()));
    assert_eq!(ask(&["status", "--jobs", "succeeded"]).as_array().unwrap().len(), 4);
    assert_eq!(ask(&["status", "--jobs", "failed"]), serde_json::json!([]));
    assert_eq!(ask(&["protocol", "list"])[0]["name"], "s");
    assert_eq!(ask(&["protocol", "show", "s"])["name"], "s");
    let board = ask(&["leaderboard"]);
    assert_eq!((&board[0]["mean"], &board[0]["seeds"]), (&1.0.into(), &2.into()));
    assert_eq!(board[0]["params"], serde_json::json!({"x": 1}));
    assert!(ask(&["explain", "1"])[0]["reason"].as_str().unwrap().contains("succeeded"));
    let doctor = ask(&["doctor"]);
    assert!(
        doctor
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["what"] == "integrity" && row["state"] == "ok")
    );
    assert_eq!(
        ask(&["sql", "SELECT 1 AS one, NULL AS none"]),
        serde_json::json!([{"one": 1, "none": null}])
    );
    assert!(ask(&["artifact"]).is_array());
    assert_eq!(ask(&["queue", "add", "--", "true"]), serde_json::json!({"job": 5}));
    assert_eq!(ask(&["cancel", "5"]), serde_json::json!({"jobs": [5]}));
    let logs = lab.mle(&["logs", "1", "--json"]).ok();
    for line in logs.lines() {
        let line = parse(line);
        assert_eq!((&line["job"], &line["stream"]), (&1.into(), &"stdout".into()));
    }
    assert_eq!(logs.lines().count(), 1);
    let said = lab.mle(&["logs", "99", "--json"]);
    assert_eq!((said.code, said.out.as_str()), (3, ""));
    let error = parse(&said.err);
    assert_eq!((&error["code"], &error["error"]), (&3.into(), &"there is no job 99".into()));
    let said = lab.mle(&["run", "s.yaml", "--db", "y.db", "--json"]);
    assert!(said.out.lines().all(|line| parse(line).is_object()), "{}", said.out);
    let last = parse(said.out.lines().last().unwrap());
    assert_eq!(last["state"], "complete");
    assert_eq!(last["leaderboard"][0]["mean"], 1.0);
}

/// Runs `mle` on a terminal of its own; `None` where `script` is missing.
fn on_a_terminal(lab: &Lab, args: &str) -> Option<String> {
    let line = format!("{} {args}", crate::lab::program("mle").display());
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(lab.path("")).env("TERM", "xterm");
    let Ok(output) = command.output() else {
        eprintln!("left out: there is no program `script` here");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let mut lab = some_file();
    for args in [["status"].as_slice(), &["protocol"], &["leaderboard"], &["--help"]] {
        assert!(!lab.mle(args).ok().contains('\u{1b}'), "{args:?} is coloured without a terminal");
    }
    lab.set("NO_COLOR", "1");
    assert!(!lab.mle(&["status"]).ok().contains('\u{1b}'));
    if let Some(out) = on_a_terminal(&lab, "status --db s.db") {
        assert!(out.contains("\u{1b}[") && out.contains("complete"), "{out}");
        let plain = on_a_terminal(&lab, "status --db s.db --no-color").unwrap();
        assert!(!plain.contains("\u{1b}["), "{plain}");
        let line = on_a_terminal(&lab, "leaderboard --db s.db --json").unwrap();
        assert!(!line.contains("\u{1b}["), "{line}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lab = some_file();
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n";
    let line = format!("{} sql '{many}' --db s.db | head -1", crate::lab::program("mle").display());
    let said = crate::lab::said(
        std::process::Command::new("bash")
            .args(["-c", &format!("set -o pipefail; {line}")])
            .current_dir(lab.path(""))
            .output()
            .unwrap(),
    );
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
}
