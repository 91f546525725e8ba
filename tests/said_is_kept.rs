//! What a job says in lines after `::mle` is kept, or it is told what was not and why.

use crate::lab::Lab;

const DB: &str = "x.db";

/// Runs a shell script as the one job of an experiment with a metric, whose `lines` come after `::mle`.
fn run(lab: &Lab, lines: &[&str]) -> (i32, String) {
    let script: String = lines.iter().map(|line| format!("::mle {line}\n")).collect();
    lab.write("lines.txt", script);
    lab.write("spec.yaml", "command: cat lines.txt\nname: x\nmetric: {name: loss, goal: min}\n");
    let code = lab.mle(&["run", "spec.yaml", "--db", DB]).code;
    (code, lab.mle(&["explain", "1", "--db", DB]).ok())
}

#[test]
fn numbers_and_steps_are_read_as_they_were_meant() {
    let lab = Lab::new();
    let (code, told) = run(
        &lab,
        &[
            r#"{"loss": "0.25"}"#,
            r#"{"loss": 0.5, "step": "7"}"#,
            r#"{"loss": 1e400}"#,
            r#"{"loss": 2}"#,
        ],
    );
    assert_eq!(code, 0);
    let points = lab.sql(DB, "SELECT step, value FROM points ORDER BY step");
    assert_eq!(points, ["0|0.25", "7|0.5", "8|inf", "9|2"]);
    assert!(!told.contains("::mle"), "{told}");
}

#[test]
fn a_step_that_is_none_is_told_and_harms_no_later_one() {
    let lab = Lab::new();
    let (_, told) = run(
        &lab,
        &[r#"{"step": 1e30, "loss": 3}"#, r#"{"step": 1.5, "loss": 2}"#, r#"{"loss": 1}"#],
    );
    let points = lab.sql(DB, "SELECT step, value FROM points ORDER BY step");
    assert_eq!(points, ["0|3", "1|2", "2|1"]);
    assert!(told.contains("2 values or lines after `::mle`") && told.contains("1e+30"), "{told}");
}

#[test]
fn all_that_is_refused_is_counted_and_the_first_is_told() {
    let lab = Lab::new();
    let long = format!(r#"{{"note": "{}"}}"#, "a".repeat(2_000_000));
    let lines = [
        r#"{"loss": 1}"#,
        r#"{"artifact": "missing.bin"}"#,
        r#"{"loss": "high"}"#,
        r#"{"a\nb": 1}"#,
        r#"{"loss": 0.5"#,
        &long,
    ];
    let (code, told) = run(&lab, &lines);
    assert_eq!(code, 0);
    assert!(told.contains("5 values or lines after `::mle`"), "{told}");
    let logs = lab.mle(&["logs", "1", "--db", DB]);
    let logs = logs.out + &logs.err;
    assert!(logs.contains("mle: 5 values or lines"), "{}", &logs[logs.len() - 500..]);
    let (printed, kept) =
        ("SELECT stderr_bytes FROM attempt", "SELECT sum(length(bytes)) FROM output");
    assert_eq!(lab.sql(DB, printed), lab.sql(DB, &format!("{kept} WHERE stream = 'stderr'")));

    let lab = Lab::new();
    let (_, told) = run(&lab, &[r#"{"loss": 1}"#, r#"{"artifact": "missing.bin"}"#]);
    assert!(told.contains("a line after `::mle`") && told.contains("missing.bin"), "{told}");
}

#[test]
fn a_job_without_a_run_is_told_that_it_has_none() {
    let lab = Lab::new();
    lab.mle(&["queue", "add", "--db", DB, "--", "echo", r#"::mle {"loss": 1}"#]).ok();
    lab.run("mle-worker", &["--db", DB, "--when-dry"]).ok();
    let told = lab.mle(&["explain", "1", "--db", DB]).ok();
    assert!(told.contains("belongs to no run"), "{told}");
}

#[test]
fn why_the_run_of_a_job_that_succeeded_failed_is_explained() {
    let lab = Lab::new();
    let (code, told) = run(&lab, &[r#"{"accuracy": 1}"#]);
    assert_eq!(code, 1);
    assert!(
        told.contains("succeeded") && told.contains("never logged the metric \"loss\""),
        "{told}"
    );
}

#[test]
fn a_finite_space_without_a_point_is_no_success() {
    let lab = Lab::new();
    let spec = "command: echo\nname: x\nmetric: {name: loss, goal: min}\nsearch: {trials: 3, space: {x: [1, 2]}, constraints: \"x > 5\"}\n";
    lab.write("spec.yaml", spec);
    lab.mle(&["run", "spec.yaml", "--db", DB]).fails(2, "none of the 2 points");
    assert!(!lab.path(DB).exists());
}
