//! Experiment files of the mle-toolbox run as they are.

use std::path::Path;

use crate::lab::Lab;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The example folder, copied.
fn lab() -> Lab {
    let lab = Lab::new();
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/toolbox")), &lab.path(""));
    lab
}

const RUNS: &str = "SELECT count(*), count(DISTINCT config_id), group_concat(DISTINCT seed ORDER BY seed) FROM runs WHERE state = 'complete'";
const EXPERIMENT: &str = "SELECT kind, state, project FROM experiments";

#[test]
fn a_single_config() {
    let lab = lab();
    lab.mle(&["run", "single.yaml", "--db", "x.db"]).ok();
    assert_eq!(lab.sql("x.db", EXPERIMENT), ["single-config|complete|toolbox-examples"]);
    assert_eq!(lab.sql("x.db", RUNS), ["1|1|0"]);
    assert_eq!(lab.sql("x.db", "SELECT count(DISTINCT step) FROM points"), ["20"]);
    assert_eq!(lab.sql("x.db", "SELECT time_limit_s FROM jobs"), ["3600"]);
    assert!(lab.path("experiments/single").is_dir(), "the user's own folder is used");
}

#[test]
fn several_configs() {
    let lab = lab();
    lab.mle(&["run", "multi.yaml", "--db", "x.db"]).ok();
    assert_eq!(lab.sql("x.db", EXPERIMENT), ["multiple-configs|complete|toolbox-examples"]);
    assert_eq!(lab.sql("x.db", RUNS), ["4|2|0,1"]);
    let names = "SELECT name, count(*) FROM runs GROUP BY name ORDER BY name";
    assert_eq!(lab.sql("x.db", names), ["base_1|2", "base_2|2"]);
}

#[test]
fn a_grid_with_jobs_before_and_after_it() {
    let lab = lab();
    let said = lab.mle(&["run", "grid.yaml", "--db", "x.db"]);
    let warnings: Vec<&str> =
        said.err.lines().filter(|line| line.starts_with("warning: ")).collect();
    for warning in &warnings {
        assert!(warning.contains('`') || warning.contains("_args"), "it names the key: {warning}");
    }
    said.ok();
    assert_eq!(lab.sql("x.db", EXPERIMENT), ["hyperparameter-search|complete|toolbox-examples"]);
    assert_eq!(lab.sql("x.db", RUNS), ["12|6|1,2"]);
    let points = "SELECT round(json_extract(params, '$.lrate'), 9), json_extract(params, '$.batch_size') FROM trials ORDER BY 1, 2";
    assert_eq!(lab.sql("x.db", points), ["0.1|8", "0.1|16", "0.3|8", "0.3|16", "0.5|8", "0.5|16"]);
    assert_eq!(
        lab.sql("x.db", "SELECT metric, goal, aggregate FROM objectives"),
        ["test_loss|min|mean"]
    );
    let stages =
        "SELECT stage, count(*) FROM jobs WHERE state = 'succeeded' GROUP BY stage ORDER BY stage";
    assert_eq!(lab.sql("x.db", stages), ["after|1", "before|1", "main|12"]);
    let order = "SELECT (SELECT max(ended_at) FROM jobs WHERE stage = 'before') <= (SELECT min(started_at) FROM jobs WHERE stage = 'main'),
                        (SELECT max(ended_at) FROM jobs WHERE stage = 'main') <= (SELECT min(started_at) FROM jobs WHERE stage = 'after')";
    assert_eq!(lab.sql("x.db", order), ["1|1"]);
    let best = lab.sql(
        "x.db",
        "SELECT round(json_extract(params, '$.train_config.lrate'), 9), seeds FROM leaderboard WHERE place = 1",
    );
    assert_eq!(best, ["0.3|2"]);
    let ranking =
        std::fs::read_to_string(lab.path("experiments/grid/figures/ranking.txt")).unwrap();
    assert_eq!(ranking.lines().count(), 7, "{ranking}");
}

#[test]
fn every_search_type_without_epochs() {
    let lab = lab();
    let random = lab.read("random.yaml").replace("num_seeds_per_eval: 2", "num_seeds_per_eval: 1");
    let random = random.replace("random_seeds: [1, 2]", "random_seeds: [1]");
    for (kind, settings, strategy) in [
        ("SMBO", "{base_estimator: GP, acq_function: gp_hedge, n_initial_points: 3}", "smbo"),
        ("Nevergrad", "{optimizer: CMA, budget_size: 100, num_workers: 5}", "cmaes"),
        ("Nevergrad", "{optimizer: NGOpt}", "evolution"),
        (
            "Coordinate",
            "{order: [arch, lrate], defaults: {lrate: 0.1, batch_size: 8, arch: mlp}}",
            "coordinate",
        ),
    ] {
        let own = format!("search_type: {kind}\n        search_config: {settings}");
        let text = random.replace("search_type: Random", &own);
        let text = if kind == "Coordinate" {
            text.replace(
                "end: 1.0\n                    prior: log-uniform",
                "end: 1.0\n                    bins: 3",
            )
        } else {
            text
        };
        lab.write("own.yaml", text);
        let db = format!("{strategy}.db");
        lab.mle(&["run", "own.yaml", "--db", &db]).ok();
        assert_eq!(lab.sql(&db, "SELECT strategy, trials FROM studies"), [format!("{strategy}|5")]);
        assert_eq!(
            lab.sql(&db, "SELECT count(DISTINCT params) FROM trials WHERE state = 'complete'"),
            ["5"]
        );
    }
    let others = "SELECT count(*) FROM trials WHERE json_extract(params, '$.batch_size') <> 8";
    assert_eq!(lab.sql("coordinate.db", others), ["0"], "not in the order: it keeps its default");
}

#[test]
fn a_random_search() {
    let lab = lab();
    lab.mle(&["run", "random.yaml", "--db", "x.db"]).ok();
    assert_eq!(lab.sql("x.db", EXPERIMENT), ["hyperparameter-search|complete|toolbox-examples"]);
    assert_eq!(lab.sql("x.db", RUNS), ["10|5|1,2"]);
    let inside =
        "SELECT count(*) FROM trials WHERE json_extract(params, '$.lrate') BETWEEN 0.001 AND 1.0
                  AND json_extract(params, '$.batch_size') BETWEEN 4 AND 32
                  AND json_extract(params, '$.arch') IN ('mlp', 'cnn')";
    assert_eq!(lab.sql("x.db", inside), ["5"]);
    // The same file proposes the same again.
    lab.mle(&["run", "random.yaml", "--db", "y.db"]).ok();
    let trials = "SELECT number, params, value FROM trials ORDER BY number";
    assert_eq!(lab.sql("x.db", trials), lab.sql("y.db", trials));
}

#[test]
fn a_shell_script() {
    let lab = lab();
    lab.mle(&["run", "bash.yaml", "--db", "x.db"]).ok();
    assert_eq!(lab.sql("x.db", RUNS), ["4|2|0,1"]);
    let last =
        "SELECT count(*) FROM metrics WHERE metric = 'test_loss' AND n = 20 AND last_step = 20";
    assert_eq!(lab.sql("x.db", last), ["4"]);
    let words = "SELECT count(*) FROM jobs WHERE command LIKE '[\"bash\",\"train.sh\",%\"-note\",\"train.sh-ignores-this\"]'";
    assert_eq!(lab.sql("x.db", words), ["4"]);
}

#[test]
fn what_has_no_effect_is_named() {
    let lab = lab();
    let text = std::fs::read_to_string(lab.path("single.yaml")).unwrap();
    lab.write(
        "odd.yaml",
        text.replace("num_gpus: 0", "num_gpus: 0\n    partition: fast\n    colour: red"),
    );
    let said = lab.mle(&["run", "odd.yaml", "--db", "x.db"]);
    assert!(said.err.contains("warning: ") && said.err.contains("colour"), "{}", said.err);
    said.ok();
    lab.write("bad.yaml", text.replace("single-config", "single-cofig"));
    lab.mle(&["run", "bad.yaml", "--db", "y.db"]).fails(2, "did you mean `single-config`?");
    assert!(!lab.path("y.db").exists());
}

#[test]
fn the_toolbox_s_own_command_line_is_taken() {
    let lab = lab();
    let said = lab.mle(&[
        "run",
        "single.yaml",
        "-nw",
        "-np",
        "-resource",
        "local",
        "-exp_dir",
        "elsewhere",
        "--db",
        "x.db",
        "-p",
        "Test",
        "report",
        "generation",
    ]);
    said.ok();
    assert!(lab.path("elsewhere").is_dir() && !lab.path("experiments/single").exists());
    assert_eq!(lab.sql("x.db", "SELECT purpose FROM experiments"), ["Test report generation"]);
    assert!(lab.mle(&["report", "--use_last_id", "--db", "x.db"]).ok().contains("Test report"));
    assert!(lab.mle(&["report", "-e_id", "1", "--db", "x.db"]).ok().contains("Test report"));
    let elsewhere = ["run", "single.yaml", "-resource", "slurm-cluster"];
    lab.mle(&elsewhere).fails(2, "jobs run on this machine only");
    lab.mle(&["run", "single.yaml", "-resource", "moon"]).fails(2, "is no place to run");
    lab.mle(&["run", "single.yaml", "-nosuch"]).fails(2, "unexpected argument");
    lab.write("own.yaml", "command: x\n");
    lab.mle(&["run", "own.yaml", "-exp_dir", "d"]).fails(2, "of the mle-toolbox");
}
