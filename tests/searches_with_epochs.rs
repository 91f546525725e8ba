//! Strategies decide how long real jobs train: trials go on from their checkpoints, are pruned while they run, and copy
//! each other.

use std::path::Path;

use crate::lab::{Lab, wait_until};

/// Trains until the epochs it is told, from the checkpoint it is given, and says each epoch and where it began.
const TRAIN: &str = r#"
import json, os, sys, time
epochs, resume, exp_dir, lr = int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
legs, done = [], 0
if resume:
    state = json.load(open(resume))
    legs, done = state["legs"], state["epoch"]
    assert state["lr"] == lr, "the checkpoint of another trial"
    assert resume == os.environ["MLE_RESUME"]
for epoch in range(done + 1, epochs + 1):
    time.sleep(float(os.environ.get("PACE", "0")))
    loss = lr + 1 / epoch
    print("::mle " + json.dumps({"step": epoch, "loss": loss, "began": done, "legs": len(legs)}), flush=True)
with open(exp_dir + "/model.ckpt", "w") as file:
    json.dump({"epoch": epochs, "lr": lr, "legs": legs + [epochs]}, file)
"#;

fn spec(search: &str) -> String {
    format!(
        "
name: toy
command: python3 train.py {{epochs}} {{resume}} {{exp_dir}} {{lr}}
metric: loss
workers: 2
search:
  space: {{lr: {{type: real, low: 0.0, high: 1.0}}}}
{search}"
    )
}

fn replay_is_identical(lab: &Lab, proposals: u64) {
    let said = lab.mle(&["study", "replay", "toy", "--db", "toy.db", "--json"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["identical"], true, "{said}");
    assert_eq!(said["proposals"], proposals, "{said}");
    let cold = lab.mle(&["study", "replay", "toy", "--db", "toy.db", "--cold", "--json"]).ok();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&cold).unwrap()["identical"], true);
}

#[test]
fn hyperband_runs_its_tables_with_real_jobs_that_go_on_from_checkpoints() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN);
    lab.write("toy.yaml", spec("  strategy: hyperband\n  epochs: 9\n  eta: 3\n"));
    lab.mle(&["run", "toy.yaml"]).ok();
    // Brackets of 9, 5 and 3 trials (Li et al. 2018, for 9 epochs and eta 3).
    let table =
        "SELECT json_extract(extra, '$.hb_counter'), json_extract(extra, '$.sh_counter'), epochs,
                        json_extract(extra, '$.sh_num_add_iters'), count(*)
                 FROM runs WHERE state = 'complete' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2";
    assert_eq!(
        lab.sql("toy.db", table),
        ["0|0|1|1|9", "0|1|3|2|3", "0|2|9|6|1", "1|0|3|3|5", "1|1|9|6|1", "2|0|9|9|3"]
    );
    let count = |sql: &str| lab.sql("toy.db", sql)[0].clone();
    assert_eq!(count("SELECT count(*) FROM trials WHERE state = 'complete'"), "17");
    assert_eq!(count("SELECT count(*) FROM jobs WHERE state = 'succeeded'"), "22");
    // The script itself read the checkpoint of the run before, and trained the rest alone.
    let began = "SELECT count(DISTINCT r.id) FROM runs r JOIN points p ON p.run_id = r.id AND p.metric = 'began'
                 WHERE p.value = r.epochs_before AND r.from_run_id IS NOT NULL";
    assert_eq!(count(began), "5");
    let trained = "SELECT count(*) FROM runs r WHERE r.epochs - r.epochs_before =
                   (SELECT count(*) FROM points p WHERE p.run_id = r.id AND p.metric = 'loss')";
    assert_eq!(count(trained), "22");
    let legs = "SELECT count(DISTINCT run_id) FROM points WHERE metric = 'legs' AND value = 2";
    assert_eq!(count(legs), "1", "the winner of the first bracket trained in three runs");
    // The curves are whole, and the best three of nine were promoted.
    assert_eq!(count("SELECT count(*) FROM trials WHERE json_array_length(curve) = epochs"), "17");
    let best = "SELECT count(*) FROM (SELECT epochs, rank() OVER (ORDER BY json_extract(curve, '$[0]')) AS place
                FROM trials WHERE number < 9) WHERE (place <= 3) = (epochs > 1)";
    assert_eq!(count(best), "9");
    // A trial has one place on the leaderboard, for its last run.
    let board = "SELECT count(*), count(DISTINCT config_id) FROM leaderboard";
    assert_eq!(count(board), "17|17");
    let first = lab.sql("toy.db", "SELECT config_id, mean FROM leaderboard WHERE place = 1");
    let ranked = "SELECT t.config_id, r.value FROM ranking r JOIN trials t ON t.number = r.number WHERE r.place = 1";
    assert_eq!(first, lab.sql("toy.db", ranked));
    // It says how long each was trained, since a short training is not worse for its value.
    let board = lab.mle(&["leaderboard", "toy", "--top", "17", "--json"]).ok();
    let board: Vec<serde_json::Value> = serde_json::from_str(&board).unwrap();
    let of = |epochs: u64| board.iter().filter(|place| place["epochs"] == epochs).count();
    assert_eq!([of(1), of(3), of(9)], [6, 6, 5], "{board:?}");
    let text = lab.mle(&["leaderboard", "toy"]).ok();
    assert!(text.lines().next().unwrap().contains("epochs"), "{text}");
    let report = lab.mle(&["report", "toy", "--format", "md"]).ok();
    assert!(report.contains("| seeds | epochs | parameters |"), "{report}");
    replay_is_identical(&lab, 22);
    // Jobs do not get the checkpoints of another search.
    lab.write(
        "more.yaml",
        spec("  strategy: asha\n  epochs: 9\n  trials: 3\n").replace("toy", "more"),
    );
    lab.mle(&["run", "more.yaml", "--db", "toy.db"]).ok();
    lab.mle(&["study", "warm-start", "more", "toy", "--db", "toy.db"])
        .fails(2, "whose checkpoints its jobs do not get");
    assert_eq!(count("SELECT count(*) FROM trials WHERE source = 'added'"), "0");
}

#[test]
fn every_strategy_with_epochs_ends_and_can_be_replayed() {
    for (search, trials) in [
        ("  strategy: halving\n  epochs: 8\n  configs: 8\n  eta: 2\n", "8|8"),
        ("  strategy: asha\n  epochs: 9\n  trials: 10\n", "10|9"),
        ("  strategy: bohb\n  epochs: 9\n  epoch_budget: 40\n", ""),
        ("  strategy: dehb\n  epochs: 4\n  eta: 2\n  epoch_budget: 30\n", ""),
        ("  strategy: freeze_thaw\n  epochs: 9\n  epoch_budget: 40\n", ""),
        ("  epochs: 6\n  epoch_budget: 20\n", ""),
    ] {
        let lab = Lab::new();
        lab.write("train.py", TRAIN);
        lab.write("toy.yaml", spec(search));
        lab.mle(&["run", "toy.yaml"]).ok();
        let count = |sql: &str| lab.sql("toy.db", sql)[0].clone();
        assert_eq!(count("SELECT count(*) FROM runs WHERE state <> 'complete'"), "0", "{search}");
        assert_ne!(
            count("SELECT count(*) FROM runs WHERE from_run_id IS NOT NULL"),
            "0",
            "{search}"
        );
        if !trials.is_empty() {
            assert_eq!(count("SELECT count(*), max(epochs) FROM trials"), trials, "{search}");
        }
        if let Some((_, budget)) = search.split_once("epoch_budget: ") {
            let spent = count("SELECT sum(epochs - epochs_before) FROM runs");
            let (spent, budget) = (spent.parse::<u64>().unwrap(), budget.trim().parse().unwrap());
            assert!((budget..budget + 9).contains(&spent), "{search}: {spent}");
        }
        let proposals = count("SELECT count(*) FROM runs").parse().unwrap();
        replay_is_identical(&lab, proposals);
    }
}

#[test]
fn a_trial_that_fails_as_it_goes_on_keeps_what_it_was_worth() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN.replace("if resume:", "if resume:\n    sys.exit(7)"));
    lab.write("toy.yaml", spec("  strategy: halving\n  epochs: 4\n  configs: 4\n  eta: 2\n"));
    lab.mle(&["run", "toy.yaml"]);
    let states = "SELECT state, count(*), count(value) FROM trials GROUP BY 1 ORDER BY 1";
    assert_eq!(lab.sql("toy.db", states), ["complete|2|2", "pruned|2|2"]);
    let worth = "SELECT count(*) FROM trials WHERE value = json_extract(curve, '$[0]') AND json_array_length(curve) = 1";
    assert_eq!(lab.sql("toy.db", worth), ["4"]);
    replay_is_identical(&lab, 6);
}

#[test]
fn a_search_all_of_whose_runs_were_stopped_is_complete() {
    let lab = Lab::new();
    lab.write("train.py", STUBBORN);
    lab.write("toy.yaml", PRUNED.replace("[1, 2, 0]", "[1, 2]"));
    lab.mle(&["run", "toy.yaml"]).ok();
    assert_eq!(lab.sql("toy.db", "SELECT state FROM experiments"), ["complete"]);
    assert_eq!(lab.sql("toy.db", "SELECT DISTINCT state FROM trials"), ["pruned"]);
}

#[test]
fn seeds_of_a_trial_go_on_each_from_its_own_checkpoint() {
    let lab = Lab::new();
    let train = TRAIN
        .replace("loss = lr", "loss = int(os.environ['MLE_SEED']) + lr")
        .replace("\"the checkpoint", "\"the checkpoint\" if state['seed'] else \"the checkpoint");
    let train =
        train.replace("json.dump({", "json.dump({\"seed\": os.environ['MLE_SEED'], ").replace(
            "    legs, done",
            "    assert state['seed'] == os.environ['MLE_SEED']\n    legs, done",
        );
    lab.write("train.py", train);
    let spec = spec("  strategy: halving\n  epochs: 4\n  configs: 4\n  eta: 2\n");
    lab.write("toy.yaml", spec.replace("workers: 2", "workers: 2\nseeds: 2"));
    lab.mle(&["run", "toy.yaml"]).ok();
    assert_eq!(
        lab.sql("toy.db", "SELECT epochs, seed, count(*) FROM runs GROUP BY 1, 2"),
        ["1|0|4", "1|1|4", "2|0|2", "2|1|2", "4|0|1", "4|1|1"]
    );
    // The mean over the seeds 0 and 1.
    let curve = "SELECT count(*) FROM trials
                 WHERE abs(json_extract(curve, '$[0]') - 1.5 - json_extract(params, '$.lr')) < 1e-9";
    assert_eq!(lab.sql("toy.db", curve), ["4"]);
    replay_is_identical(&lab, 7);
}

#[test]
fn a_promoted_job_that_crashes_is_tried_again_from_where_it_was() {
    let lab = Lab::new();
    // It saves half-way and dies, once for each promoted run.
    let crash = r#"
    if resume and os.environ["MLE_ATTEMPT"] == "1" and epoch == done + 1:
        with open(exp_dir + "/half.ckpt", "w") as file:
            json.dump({"epoch": epoch, "lr": lr, "legs": legs + [-epoch]}, file)
        print("::mle " + json.dumps({"artifact": exp_dir + "/half.ckpt", "kind": "checkpoint", "step": epoch}), flush=True)
        time.sleep(0.2)
        sys.exit(3)
"#;
    lab.write(
        "train.py",
        TRAIN.replace(
            "with open(exp_dir + \"/model",
            &format!("{}\nwith open(exp_dir + \"/model", crash.trim_matches('\n')),
        ),
    );
    let spec = spec("  strategy: halving\n  epochs: 9\n  configs: 3\n  eta: 3\n  min_epochs: 3\n");
    lab.write("toy.yaml", format!("{spec}\nretries: 1\n"));
    lab.mle(&["run", "toy.yaml"]).ok();
    let count = |sql: &str| lab.sql("toy.db", sql)[0].clone();
    assert_eq!(count("SELECT count(*) FROM trials WHERE state = 'complete'"), "3");
    let attempts = "SELECT a.number, a.state FROM attempts a JOIN jobs j ON j.id = a.job_id
                    JOIN runs r ON r.id = j.run_id WHERE r.epochs = 9 ORDER BY a.number";
    assert_eq!(lab.sql("toy.db", attempts), ["1|failed", "2|succeeded"]);
    // The second try began at epoch 4, with what the first had saved; no epoch stands twice.
    let began = "SELECT p.step, p.value FROM points p JOIN runs r ON r.id = p.run_id
                 WHERE r.epochs = 9 AND p.metric = 'began' ORDER BY p.step";
    assert_eq!(lab.sql("toy.db", began), ["4|3", "5|4", "6|4", "7|4", "8|4", "9|4"]);
    assert_eq!(count("SELECT json_array_length(curve) FROM trials WHERE epochs = 9"), "9");
    replay_is_identical(&lab, 4);
}

#[test]
fn a_killed_run_goes_on_with_its_promotions() {
    let mut lab = Lab::new();
    lab.write("train.py", TRAIN);
    let spec = spec("  strategy: hyperband\n  epochs: 9\n  eta: 3\n");
    lab.write("toy.yaml", format!("{spec}\nretries: 3\n"));
    lab.set("PACE", "0.02");
    for runs in [4, 11, 16] {
        let mut args = vec!["run", "toy.yaml"];
        if runs > 4 {
            args.push("--resume");
        }
        let run = lab.start("mle", &args);
        let enough = format!("SELECT count(*) >= {runs} FROM runs WHERE state = 'complete'");
        lab.wait_for("toy.db", &enough, "1");
        lab.signal(run, libc::SIGKILL);
        lab.child(run).wait().unwrap();
    }
    lab.mle(&["run", "toy.yaml", "--resume"]).ok();
    assert_eq!(
        lab.sql("toy.db", "SELECT epochs, count(*) FROM runs WHERE state = 'complete' GROUP BY 1"),
        ["1|9", "3|8", "9|5"]
    );
    assert_eq!(lab.sql("toy.db", "SELECT count(*) FROM runs WHERE state <> 'complete'"), ["0"]);
    replay_is_identical(&lab, 22);
}

/// Who tries a point by hand may have it promoted: jobs do the rest of it then.
#[test]
fn a_search_waits_for_the_trial_that_somebody_asked_for() {
    let mut lab = Lab::new();
    lab.write("train.py", TRAIN);
    lab.set("PACE", "0.1");
    lab.write("toy.yaml", spec("  strategy: halving\n  configs: 4\n  epochs: 4\n"));
    let run = lab.start_telling("mle", &["run", "toy.yaml"], "told");
    lab.wait_for("toy.db", "SELECT count(*) > 0 FROM trials", "1");
    let asked = lab.mle(&["ask", "toy", "--db", "toy.db", "--json"]).ok();
    let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
    let number = asked["trials"][0]["number"].to_string();
    // The others are done, and the one that was taken by hand is missing: it is not over.
    lab.wait_for("toy.db", "SELECT count(*) FROM trials WHERE ended_at IS NULL", "1");
    wait_until("what it waits for is said", || {
        lab.read("told").contains(&format!("waits for trial {number}, which `mle ask` took"))
    });
    assert_eq!(lab.sql("toy.db", "SELECT state FROM experiments"), ["running"]);
    lab.mle(&["pause", "toy"]).ok();
    wait_until("that it is paused is said", || {
        lab.read("told").contains("paused: `mle resume 1` lets it go on")
    });
    lab.mle(&["resume", "toy"]).ok();
    lab.mle(&["tell", "toy", &number, "--db", "toy.db", "--curve", "5"]).ok();
    assert!(lab.child(run).wait().unwrap().success());
    assert_eq!(lab.sql("toy.db", "SELECT state FROM experiments"), ["complete"]);
    // Four, the better two of them, and the best in full.
    let reached =
        "SELECT group_concat(epochs, ',') FROM (SELECT epochs FROM trials ORDER BY epochs DESC)";
    assert_eq!(lab.sql("toy.db", reached), ["4,2,1,1"]);
    replay_is_identical(&lab, 7);
}

#[test]
fn a_trial_told_by_hand_goes_on_with_jobs() {
    let mut lab = Lab::new();
    let held =
        TRAIN.replace("\nepochs,", "\nwhile os.path.exists('hold'): time.sleep(0.02)\nepochs,");
    lab.write("train.py", held);
    lab.write("hold", "");
    lab.write("toy.yaml", spec("  strategy: asha\n  epochs: 9\n  trials: 12\n"));
    let run = lab.start("mle", &["run", "toy.yaml"]);
    lab.wait_for("toy.db", "SELECT count(*) > 1 FROM trials WHERE state = 'running'", "1");
    let asked = lab.mle(&["ask", "toy", "--db", "toy.db", "--json"]).ok();
    let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
    assert_eq!(asked["trials"][0]["epochs"], 1, "{asked}");
    let number = asked["trials"][0]["number"].to_string();
    lab.mle(&["tell", "toy", &number, "--curve", "0.001", "--db", "toy.db"]).ok();
    std::fs::remove_file(lab.path("hold")).unwrap();
    assert!(lab.child(run).wait().unwrap().success());
    let open = "SELECT number FROM trials WHERE state IN ('waiting', 'running')";
    assert_eq!(lab.sql("toy.db", open), Vec::<String>::new());
    let by_hand = format!("SELECT state, epochs > 1 FROM trials WHERE number = {number}");
    assert_eq!(lab.sql("toy.db", &by_hand), ["complete|1"]);
    assert!(lab.mle(&["study", "replay", "toy", "--db", "toy.db"]).ok().contains("identical"));
}

/// Says a loss, keeps a checkpoint, and then never ends by itself; told to stop, it goes on all the same.
const STUBBORN: &str = r#"
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
bad = int(sys.argv[1])
open(f"pid_{bad}", "w").write(str(os.getpid()))
open(f"model_{bad}.pt", "w").write("weights")
print("::mle " + json.dumps({"artifact": f"model_{bad}.pt", "kind": "checkpoint", "step": 1}), flush=True)
print("::mle " + json.dumps({"step": 1, "loss": 5.0 if bad else 0.5}), flush=True)
while bad:
    time.sleep(0.1)
"#;

const PRUNED: &str = "
name: toy
command: python3 train.py {bad}
metric: loss
workers: 1
retries: 3
grace: 1s
search:
  strategy: grid
  space: {bad: [1, 2, 0]}
  stop: {name: threshold, upper: 1.0}
";

fn is_gone(lab: &Lab, name: &str) -> bool {
    !Path::new(&format!("/proc/{}", lab.read(name).trim())).exists()
}

fn two_were_pruned_and_one_is_complete(lab: &Lab) {
    assert!(is_gone(lab, "pid_1") && is_gone(lab, "pid_2"));
    assert_eq!(
        lab.sql(
            "toy.db",
            "SELECT state, json_extract(params, '$.bad'), value FROM trials ORDER BY number"
        ),
        ["pruned|1|5", "pruned|2|5", "complete|0|0.5"]
    );
    assert_eq!(
        lab.sql("toy.db", "SELECT state, value FROM runs ORDER BY id"),
        ["pruned|5", "pruned|5", "complete|0.5"]
    );
    // Not failed, and not tried again, however many tries it had; its checkpoint is kept.
    assert_eq!(
        lab.sql("toy.db", "SELECT state, (SELECT count(*) FROM attempts a WHERE a.job_id = j.id) FROM jobs j ORDER BY id"),
        ["cancelled|1", "cancelled|1", "succeeded|1"]
    );
    assert_eq!(
        lab.sql("toy.db", "SELECT count(*) FROM artifacts WHERE kind = 'checkpoint'"),
        ["3"]
    );
    let why = lab.sql("toy.db", "SELECT error FROM runs WHERE state = 'pruned'");
    assert!(
        why.iter().all(|why| why.starts_with("pruned: 5.0") && why.contains("epoch 1")),
        "{why:?}"
    );
    assert_eq!(lab.sql("toy.db", "SELECT state FROM experiments"), ["complete"]);
    let explained = lab.mle(&["explain", "-e", "toy", "--db", "toy.db"]).ok();
    assert_eq!(
        lab.mle(&["status", "--jobs", "cancelled", "--db", "toy.db"])
            .ok()
            .matches("its search ended it early: pruned: 5.0")
            .count(),
        2
    );
    assert!(lab.mle(&["status", "--db", "toy.db"]).ok().contains("jobs: 2 pruned · 1 succeeded"));
    assert_eq!(
        explained.matches("its search ended it early: pruned: 5.0").count(),
        2,
        "{explained}"
    );
    assert!(!explained.contains("retry"), "{explained}");
    // Who wants all cancelled jobs again does not mean those, and who names one is told why not.
    lab.mle(&["retry", "-e", "toy", "--db", "toy.db"]).ok();
    lab.mle(&["retry", "1", "--db", "toy.db"]).fails(2, "was ended by its search: pruned: 5.0");
    assert_eq!(lab.sql("toy.db", "SELECT state FROM experiments"), ["complete"]);
    assert_eq!(lab.sql("toy.db", "SELECT count(*) FROM runs WHERE state = 'pruned'"), ["2"]);
    let best = lab.mle(&["study", "best", "toy", "--db", "toy.db", "--json"]).ok();
    assert!(best.contains("0.5") && !best.contains("5.0"), "{best}");
}

#[test]
fn a_pruned_job_is_really_gone_and_its_slot_is_used_again() {
    let lab = Lab::new();
    lab.write("train.py", STUBBORN);
    lab.write("toy.yaml", PRUNED);
    lab.mle(&["run", "toy.yaml"]).ok();
    two_were_pruned_and_one_is_complete(&lab);
    replay_is_identical(&lab, 3);
}

#[test]
fn a_searcher_of_its_own_prunes_what_a_worker_of_its_own_runs() {
    let mut lab = Lab::new();
    lab.write("train.py", STUBBORN);
    lab.write("toy.yaml", PRUNED);
    lab.mle(&["run", "toy.yaml", "--enqueue"]).ok();
    for program in ["mle-scheduler", "mle-searcher"] {
        lab.start(program, &["--db", "toy.db"]);
    }
    lab.start("mle-worker", &["--db", "toy.db", "--slots", "1"]);
    lab.wait_for("toy.db", "SELECT state FROM experiments", "complete");
    two_were_pruned_and_one_is_complete(&lab);
}

#[test]
fn jobs_that_train_in_full_are_stopped_at_the_rungs_of_asha() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN);
    lab.write("toy.yaml", spec("  strategy: asha\n  style: stop\n  epochs: 27\n  trials: 12\n"));
    let mut lab = lab;
    lab.set("PACE", "0.03");
    lab.mle(&["run", "toy.yaml"]).ok();
    let count = |sql: &str| lab.sql("toy.db", sql)[0].clone();
    assert_eq!(count("SELECT count(*) FROM trials WHERE state IN ('complete', 'pruned')"), "12");
    assert_eq!(count("SELECT count(*) FROM runs WHERE from_run_id IS NOT NULL"), "0");
    let pruned = count("SELECT count(*) FROM trials WHERE state = 'pruned'");
    assert_ne!(pruned, "0");
    assert_ne!(count("SELECT count(*) FROM trials WHERE state = 'complete'"), "0");
    let board = lab.mle(&["leaderboard", "toy"]);
    assert!(board.err.contains(&format!("{pruned} run")), "{}", board.err);
    assert!(board.err.contains("no place here"), "{}", board.err);
    let rungs = "SELECT count(*) FROM trials WHERE state = 'pruned'
                 AND json_extract(extra, '$.pruned.epoch') NOT IN (1, 3, 9)";
    assert_eq!(count(rungs), "0");
    // The best of all was never stopped.
    let best = "SELECT state FROM trials ORDER BY json_extract(params, '$.lr') LIMIT 1";
    assert_eq!(count(best), "complete");
    replay_is_identical(&lab, 12);
    // Rungs count those at work too, of which nobody knows what they had said by then.
    let said = lab.mle(&["study", "replay", "toy"]);
    assert!(
        said.err.contains("stops that rest on what is not kept, what others at work"),
        "{}",
        said.err
    );
}

#[test]
fn any_strategy_goes_with_a_stopper() {
    let mut lab = Lab::new();
    lab.write("train.py", TRAIN);
    lab.set("PACE", "0.03");
    lab.write(
        "toy.yaml",
        spec("  strategy: tpe\n  epochs: 20\n  trials: 12\n  stop: {name: median, startup: 3, warmup: 2}\n"),
    );
    lab.mle(&["run", "toy.yaml"]).ok();
    let count = |sql: &str| lab.sql("toy.db", sql)[0].clone();
    assert_ne!(count("SELECT count(*) FROM trials WHERE state = 'pruned'"), "0");
    assert_eq!(count("SELECT count(*) FROM trials WHERE state IN ('complete', 'pruned')"), "12");
    // What a trial said until it was stopped is its curve.
    let whole = "SELECT count(*) FROM trials t JOIN runs r ON r.trial_id = t.id
                 WHERE json_array_length(t.curve) <> (SELECT count(*) FROM points p WHERE p.run_id = r.id AND p.metric = 'loss')";
    assert_eq!(count(whole), "0");
    replay_is_identical(&lab, 12);
    // Why they were stopped follows too, and another reason is found.
    let stopped =
        count("SELECT count(*) FROM trials WHERE json_type(extra, '$.pruned') = 'object'");
    for how in [
        ["study", "replay", "toy", "--json"].as_slice(),
        &["study", "replay", "toy", "--cold", "--json"],
    ] {
        let replay: serde_json::Value = serde_json::from_str(&lab.mle(how).ok()).unwrap();
        assert_eq!(replay["stops"].to_string(), stopped, "{replay}");
        assert_eq!(replay["stops_left"], 0, "{replay}");
    }
    let forged = "UPDATE trial SET extra = json_set(extra, '$.pruned.why', 'no luck')
                  WHERE json_type(extra, '$.pruned') = 'object' RETURNING number";
    let first = lab.sql("toy.db", forged)[0].clone();
    let said = lab.mle(&["study", "replay", "toy"]);
    assert!(said.out.contains("   stored no luck\n  derived best "), "{}", said.out);
    said.fails(1, "was stopped does not follow");
    let replay = lab.mle(&["study", "replay", "toy", "--json"]).out;
    let replay: serde_json::Value = serde_json::from_str(&replay).unwrap();
    assert_eq!(
        (&replay["identical"], &replay["stops"]),
        (&false.into(), &0.into()),
        "{first}: {replay}"
    );
}

/// The quadratic of the paper (Jaderberg et al. 2017, section 2): each arm makes one of two weights smaller.
const QUADRATIC: &str = r#"
import json, sys
config = json.load(open(sys.argv[1]))
theta, done = [0.9, 0.9], 0
if "pbt_ckpt" in config:
    state = json.load(open(config["pbt_ckpt"]))
    theta, done = state["theta"], state["epoch"]
    assert done == config["pbt_num_total_iters"] - config["pbt_num_add_iters"]
for epoch in range(done + 1, config["epochs"] + 1):
    theta[config["arm"]] *= 0.6
    print("::mle " + json.dumps({"step": epoch, "q": 1.2 - theta[0] ** 2 - theta[1] ** 2}), flush=True)
with open(sys.argv[2] + "/theta.ckpt", "w") as file:
    json.dump({"theta": theta, "epoch": config["epochs"]}, file)
"#;

fn quadratic(search: &str) -> String {
    format!(
        "
name: toy
command: python3 quadratic.py {{config}} {{exp_dir}}
metric: {{name: q, goal: max}}
workers: 2
search:
  space: {{arm: [0, 1]}}
  epochs: 32
{search}"
    )
}

#[test]
fn a_population_reaches_what_no_run_of_its_own_can() {
    let lab = Lab::new();
    lab.write("quadratic.py", QUADRATIC);
    lab.write("alone.yaml", quadratic("  strategy: grid\n").replace("name: toy", "name: alone"));
    lab.mle(&["run", "alone.yaml"]).ok();
    let alone: f64 = lab.sql("alone.db", "SELECT max(value) FROM trials")[0].parse().unwrap();
    assert!(alone < 0.4, "one weight stays as it is: {alone}");
    let pbt = "  strategy: pbt\n  population: 2\n  interval: 2\n  explore: resample\n  seed: 1\n";
    lab.write("toy.yaml", quadratic(pbt));
    lab.mle(&["run", "toy.yaml"]).ok();
    let best: f64 = lab.sql("toy.db", "SELECT max(value) FROM trials")[0].parse().unwrap();
    assert!(best > 1.15, "{best}");
    let count = |sql: &str| lab.sql("toy.db", sql)[0].clone();
    assert_eq!(count("SELECT count(*) FROM runs WHERE state <> 'complete'"), "0");
    assert_eq!(count("SELECT count(*) FROM runs"), "32", "sixteen turns of two members");
    // A copy starts from the run of the better member that ended with the turn before.
    let copies = "SELECT count(*), sum(p.epochs = r.epochs_before), sum(p.trial_id <> r.trial_id)
                  FROM runs r JOIN runs p ON p.id = r.from_run_id
                  WHERE json_extract(r.extra, '$.pbt_explore') = 1";
    let copies = count(copies);
    let copies: Vec<&str> = copies.split('|').collect();
    assert!(copies[0] != "0" && copies.iter().all(|it| *it == copies[0]), "{copies:?}");
    let better = "SELECT count(*) FROM runs WHERE json_extract(extra, '$.pbt_explore') = 1
                  AND json_extract(extra, '$.pbt_copy_performance') < json_extract(extra, '$.pbt_old_performance')";
    assert_eq!(count(better), "0");
    let keys = "SELECT count(*) FROM runs, json_each(runs.extra) e WHERE runs.id = (SELECT max(id) FROM runs) AND e.key LIKE 'pbt_%'";
    assert_eq!(count(keys), "10");
    assert_eq!(count("SELECT count(*) FROM trials WHERE json_array_length(curve) <> epochs"), "0");
    replay_is_identical(&lab, 32);
}

#[test]
fn a_spec_with_epochs_is_checked_before_anything_runs() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN);
    let refused = |search: &str, part: &str| {
        lab.write("bad.yaml", spec(search));
        lab.mle(&["run", "bad.yaml", "--dry-run"]).fails(2, part)
    };
    refused("  strategy: hyperband\n", "the key `epochs` is missing");
    refused("  strategy: asha\n  epochs: 9\n", "the key `trials` is missing");
    refused("  strategy: asha\n  epochs: 9\n  trials: 3\n  etta: 2\n", "eta");
    refused("  strategy: asha\n  epochs: 9\n  trials: 3\n  eta: 1\n", "eta");
    refused("  strategy: asha\n  epochs: 9\n  trials: 3\n  model: external\n", "proposes nothing");
    refused("  strategy: pbt\n  epochs: 9\n  population: 100000000\n", "more than 100000");
    refused("  strategy: tpe\n  trials: 3\n  eta: 2\n", "eta");
    refused("  strategy: tpe\n  trials: 3\n  epochs: 3\n  stop: medain\n", "median");
    refused("  strategy: tpe\n  trials: 3\n  stop: {name: median, start: 2}\n", "startup");
    refused("  strategy: tpe\n  trials: 3\n  epochs: 0\n", "epochs");
    refused("  strategy: tpe\n  trials: 3\n  epoch_budget: 7\n", "epochs");
    refused("  strategy: asha\n  epochs: 9\n  trials: 3\n  epochs_key: lr\n", "the same key");
    let text = spec("  strategy: asha\n  epochs: 9\n  trials: 3\n");
    lab.write("bad.yaml", text.replace("metric: loss\n", ""));
    lab.mle(&["run", "bad.yaml", "--dry-run"]).fails(2, "metric");
    // What a plan says it would do is all that decides it.
    let both = spec("  strategy: tpe\n  trials: 3\n  constraints: lr < 0.9\n  stop: {name: median, startup: 2}\n")
        .replace("metric: loss", "metric: [loss, size]").replace("{epochs}", "3");
    lab.write("both.yaml", both);
    let said = lab.mle(&["run", "both.yaml", "--dry-run"]);
    assert!(said.err.contains("`stop` ends trials by `loss` alone"), "{}", said.err);
    let said = said.ok();
    for line in [
        "constraint: lr < 0.9",
        "stop: name=median startup=2",
        "metric: loss (min)",
        "metric: size (min)",
    ] {
        assert!(said.contains(line), "{said}");
    }
    lab.write("good.yaml", text.replace("{epochs}", "3"));
    let said = lab.mle(&["run", "good.yaml", "--dry-run"]);
    assert!(
        said.err.contains("how many epochs") || said.out.contains("how many epochs"),
        "{said:?}"
    );
}

/// As scripts for mle-hyperopt read what they are told.
const PEER: &str = r#"
import argparse, json, pickle
parser = argparse.ArgumentParser()
for flag in ["-config", "-exp_dir", "-seed"]:
    parser.add_argument(flag)
args = parser.parse_args()
train = json.load(open(args.config))["train_config"]
params, extra = train["params"], train["extra"]
done, weight = 0, 1.0
ckpt = extra.get("sh_ckpt", extra.get("pbt_ckpt"))
if ckpt:
    done, weight = pickle.load(open(ckpt, "rb"))
add = extra.get("sh_num_add_iters", extra.get("pbt_num_add_iters"))
total = extra.get("sh_num_total_iters", extra.get("pbt_num_total_iters"))
assert done + add == total, (done, add, total)
for epoch in range(done + 1, total + 1):
    weight *= 1 - params["lr"]
    print("::mle " + json.dumps({"step": epoch, "test_loss": weight}), flush=True)
# The folder is the user's own, and all runs share it.
path = f"{args.exp_dir}/{params['lr']}_{total}.ckpt"
with open(path, "wb") as file:
    pickle.dump((total, weight), file)
print("::mle " + json.dumps({"artifact": path, "kind": "checkpoint", "step": total}), flush=True)
"#;

fn toolbox(kind: &str, resources: &str, settings: &str) -> String {
    format!(
        "
meta_job_args: {{project_name: demo, experiment_type: hyperparameter-search, base_train_fname: train.py,
                base_train_config: base.json, experiment_dir: experiments/demo}}
single_job_args: {{num_logical_cores: 1}}
param_search_args:
  search_logging: {{max_objective: false, eval_metrics: test_loss}}
  search_resources: {resources}
  search_config:
    search_type: {kind}
    search_params: {{real: {{lr: {{begin: 0.01, end: 0.5, prior: log-uniform}}}}}}
    search_config: {settings}
"
    )
}

#[test]
fn files_of_the_toolbox_search_by_halving_hyperband_and_populations() {
    let pbt = "{num_workers: 2, steps_until_ready: 2, explore: {strategy: additive-noise, noise_scale: 0.1},
                exploit: {strategy: truncation, selection_percent: 0.5}}";
    for (kind, resources, settings, table) in [
        (
            "Halving",
            "{num_search_batches: 3, num_evals_per_batch: [8, 4, 2], max_running_jobs: 2}",
            "{min_budget: 1, num_arms: 8, halving_coeff: 2}",
            vec!["1|8", "2|4", "4|2"],
        ),
        (
            "Hyperband",
            "{num_search_batches: 6, num_evals_per_batch: 9, max_running_jobs: 2}",
            "{max_resource: 9, eta: 3}",
            vec!["1|9", "3|8", "9|5"],
        ),
        (
            "PBT",
            "{num_search_batches: 3, num_evals_per_batch: 2, max_running_jobs: 2}",
            pbt,
            vec!["2|2", "4|2", "6|2"],
        ),
    ] {
        let lab = Lab::new();
        lab.write("train.py", PEER);
        lab.write("base.json", r#"{"train_config": {"width": 3}, "model_config": {}}"#);
        lab.write("toy.yaml", toolbox(kind, resources, settings));
        lab.mle(&["run", "toy.yaml", "--db", "toy.db"]).ok();
        let table_of = "SELECT epochs, count(*) FROM runs WHERE state = 'complete' GROUP BY 1";
        assert_eq!(lab.sql("toy.db", table_of), table, "{kind}");
        assert_eq!(lab.sql("toy.db", "SELECT count(*) FROM runs WHERE state <> 'complete'"), ["0"]);
    }
}

#[test]
fn the_examples_with_epochs_run() {
    let lab = Lab::new();
    let from = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits"));
    for name in ["train.py", "digits.csv.gz", "epochs.yaml", "prune.yaml"] {
        lab.write(name, std::fs::read(from.join(name)).unwrap());
    }
    lab.mle(&["run", "epochs.yaml", "--set", "search.epochs=3"]).ok();
    assert_eq!(
        lab.sql("digits-epochs.db", "SELECT epochs, count(*) FROM runs GROUP BY 1"),
        ["1|3", "3|3"]
    );
    let resumed = "SELECT count(*) FROM outputs WHERE text LIKE '%going on after epoch 1%'";
    assert_eq!(lab.sql("digits-epochs.db", resumed), ["1"]);
    lab.mle(&["run", "prune.yaml", "--set", "search.epochs=2", "--set", "search.trials=6"]).ok();
    let ended =
        "SELECT count(*) FROM trials WHERE state IN ('complete', 'pruned') AND epochs IS NULL";
    assert_eq!(lab.sql("digits-prune.db", ended), ["6"]);
}
