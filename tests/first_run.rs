//! A newcomer runs a search and one command; one file is left, and it has everything.

use crate::lab::Lab;

pub const TRAIN: &str = r#"
import argparse, json
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float); p.add_argument("--act"); p.add_argument("--seed", type=int)
a = p.parse_args()
for step in range(3):
    loss = (a.lr - 0.3) ** 2 + (0.1 if a.act == "relu" else 0.0) + 0.001 * a.seed + 1.0 / (step + 1)
    print("::mle " + json.dumps({"step": step, "loss": loss}), flush=True)
print("bye")
"#;

pub const SPEC: &str = "
name: toy
command: python3 train.py --lr {lr} --act {act} --seed {seed}
seeds: 2
metric: loss
search:
  trials: 4
  space: {lr: {type: real, low: 0.01, high: 1.0, prior: log}, act: [relu, tanh]}
workers: 2
";

#[test]
fn a_search_leaves_one_file_with_everything_in_it() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN);
    lab.write("toy.yaml", SPEC);
    let out = lab.mle(&["run", "toy.yaml"]).ok();
    assert!(out.contains("best loss"), "{out}");
    let mut left: Vec<String> = std::fs::read_dir(lab.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["toy.db", "toy.yaml", "train.py"]);
    let count = |sql: &str| lab.sql("toy.db", sql)[0].clone();
    assert_eq!(count("SELECT count(*) FROM runs WHERE state = 'complete'"), "8");
    assert_eq!(count("SELECT count(*) FROM trials WHERE state = 'complete'"), "4");
    assert_eq!(count("SELECT count(*) FROM jobs WHERE state = 'succeeded' AND exit_code = 0"), "8");
    assert_eq!(count("SELECT count(*) FROM points WHERE metric = 'loss'"), "24");
    assert_eq!(count("SELECT count(*) FROM leaderboard WHERE seeds = 2"), "4");
    assert_eq!(count("SELECT count(*) FROM outputs WHERE text LIKE '%bye%'"), "8");
    assert_eq!(count("SELECT count(*) FROM artifacts WHERE kind = 'report'"), "2");
    assert_eq!(count("SELECT count(*) FROM wide_1"), "8");
    // The page shows how the best came about, what matters, and each parameter against the loss.
    let html = lab.mle(&["report", "toy", "--format", "html", "--print"]).ok();
    for title in [
        "loss of each trial, and the best so far",
        "Share of the variance",
        "loss by lr",
        "loss by act",
    ] {
        assert!(html.contains(title), "{title}");
    }
    let search = html.split("<h2>Search</h2>").nth(1).unwrap().split("<h2>").next().unwrap();
    assert!(search.matches("<circle").count() >= 12 && search.contains(">relu</text>"), "{search}");
    assert!(!html.contains("<script") && !html.contains("http:"));
}

#[test]
fn one_command_needs_no_spec() {
    let lab = Lab::new();
    let said = lab.mle(&["run", "--db", "x.db", "--", "echo", "it's {fine}"]);
    assert!(
        said.err.contains("complete in") && said.err.contains("experiment 1 in x.db"),
        "{said:?}"
    );
    assert_eq!(said.ok(), "it's {fine}\n");
    assert_eq!(lab.mle(&["logs", "1", "--db", "x.db"]).ok(), "it's {fine}\n");
}

#[test]
fn a_failing_script_is_a_failing_command() {
    let lab = Lab::new();
    lab.mle(&["run", "--db", "x.db", "--", "sh", "-c", "echo oh no >&2; exit 3"]).fails(3, "oh no");
    assert_eq!(lab.sql("x.db", "SELECT state, exit_code FROM jobs"), ["failed|3"]);
    assert_eq!(lab.sql("x.db", "SELECT state FROM experiments"), ["failed"]);
}
