//! What the README's tour says is done here: its files are written, and its commands run in order.

use crate::lab::{Lab, program};

/// Returns the text of the fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_tour_runs_as_written() {
    let text = include_str!("../README.md");
    let tour = text.split("## Five-minute tour").nth(1).expect("a tour");
    let tour = tour.split("\n## ").next().expect("its end");
    let lab = Lab::new();
    lab.write("train.py", blocks(tour, "python")[0]);
    lab.write("search.yaml", blocks(tour, "yaml")[0]);
    let bin = program("mle");
    let path = format!(
        "{}:{}",
        bin.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut commands = 0;
    for block in blocks(tour, "console") {
        for line in block.lines() {
            let command =
                line.strip_prefix("$ ").unwrap_or_else(|| panic!("not a command: {line}"));
            let output = std::process::Command::new("sh")
                .args(["-c", command])
                .current_dir(lab.path("."))
                .env("PATH", &path)
                .env_remove("MLE_DB")
                .output()
                .expect("a shell");
            assert!(
                output.status.success() && !output.stdout.is_empty()
                    || command.starts_with("mle worker"),
                "{command}: {}\n{}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            commands += 1;
        }
    }
    assert!(commands > 12, "only {commands} commands found");
    assert_eq!(lab.sql("tour.db", "SELECT count(*) FROM jobs WHERE state <> 'succeeded'"), ["0"]);
}

#[test]
fn the_view_table_names_every_view() {
    let text = include_str!("../README.md");
    for line in mle::store::VIEWS.lines() {
        if let Some(name) =
            line.strip_prefix("CREATE VIEW ").and_then(|rest| rest.split(' ').next())
            && name != "points_of_all_attempts"
        {
            assert!(text.contains(&format!("`{name}`")), "README does not name the view {name}");
        }
    }
}

#[test]
fn the_spec_shown_is_a_spec() {
    let text = include_str!("../README.md");
    let spec =
        text.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the spec");
    let lab = Lab::new();
    for file in ["train.py", "prepare.py", "plot.py"] {
        lab.write(file, "");
    }
    lab.write("base.yaml", "depth: 2\n");
    // The keys that exclude others are left out: what remains is read whole.
    let kept: Vec<&str> = spec
        .lines()
        .filter(|line| {
            let keys = ["script:", "args:", "configs:", "conda:", "  warm_start:"];
            !keys.iter().any(|key| line.starts_with(key))
        })
        .collect();
    lab.write("spec.yaml", kept.join("\n"));
    let out = lab.mle(&["run", "spec.yaml", "--dry-run"]).ok();
    assert!(out.contains("12 trials"), "{out}");
}
