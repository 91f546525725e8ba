//! Trials race over seeds: real jobs, one a seed, of which the promising configs get more.

use crate::lab::Lab;

/// A loss with luck in it: that of the config and seed, and of the seed for all.
const TRAIN: &str = r#"
import hashlib, sys
x, seed = float(sys.argv[1]), int(sys.argv[2])
luck = lambda text: int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32 - 0.5
print('::mle {"loss": %r}' % ((x - 0.3) ** 2 + 0.2 * luck(f"{x} {seed}") + 0.3 * luck(str(seed))))
"#;

fn spec(search: &str) -> String {
    format!(
        "
name: toy
command: python3 train.py {{x}} {{seed}}
metric: loss
seeds: [3, 1, 4, 15, 9, 2]
workers: 2
search:
  strategy: racing
  space: {{x: {{type: real, low: 0.0, high: 1.0}}}}
{search}"
    )
}

#[test]
fn the_best_config_of_a_race_ran_with_all_seeds() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN);
    lab.write("toy.yaml", spec("  trials: 14\n"));
    lab.mle(&["run", "toy.yaml"]).ok();
    let rows = |sql: &str| lab.sql("toy.db", sql);
    let count = |sql: &str| rows(sql)[0].parse::<u64>().unwrap();
    assert_eq!(count("SELECT count(*) FROM trials"), 14);
    let best = "SELECT r.number FROM ranking r WHERE r.place = 1";
    let of_best = format!(
        "SELECT count(*) FROM runs JOIN trials t ON t.id = trial_id WHERE t.number = ({best})"
    );
    assert_eq!(count(&of_best), 6);
    let all = count("SELECT count(*) FROM runs");
    assert!((20..14 * 6).contains(&all), "{all} runs");
    assert_ne!(
        count("SELECT count(*) FROM (SELECT trial_id FROM runs GROUP BY 1 HAVING count(*) = 1)"),
        0
    );
    // Each trial has the first few seeds of the list, each once, and a curve with the value of each.
    let seeds = "SELECT DISTINCT s FROM (SELECT group_concat(seed, ' ' ORDER BY id) AS s FROM runs GROUP BY trial_id)";
    for listed in rows(seeds) {
        assert!("3 1 4 15 9 2".starts_with(&listed), "{listed}");
    }
    let curves = "SELECT count(*) FROM trials t WHERE json_array_length(curve) <> (SELECT count(*) FROM runs r WHERE r.trial_id = t.id)";
    assert_eq!(count(curves), 0);
    // The value of a trial is the mean over its seeds; one config, however many legs.
    let means = "SELECT count(*) FROM trials t WHERE state = 'complete' AND abs(value
                 - (SELECT avg(value) FROM runs r WHERE r.trial_id = t.id)) > 1e-12";
    assert_eq!(count(means), 0);
    let board = rows("SELECT config_id FROM leaderboard");
    assert!(board.len() <= 14);
    let said = lab.mle(&["study", "replay", "toy", "--db", "toy.db", "--cold", "--json"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["identical"], true, "{said}");
    assert!(said["proposals"].as_u64().unwrap() > 14, "{said}");
}

#[test]
fn a_race_keeps_to_a_budget_of_runs() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN);
    lab.write("toy.yaml", spec("  epoch_budget: 30\n  model: random\n"));
    lab.mle(&["run", "toy.yaml"]).ok();
    let runs: u64 = lab.sql("toy.db", "SELECT count(*) FROM runs")[0].parse().unwrap();
    assert!((25..=31).contains(&runs), "{runs}");
}

#[test]
fn what_a_race_goes_without_is_refused() {
    let lab = Lab::new();
    lab.write("train.py", TRAIN);
    for (search, told) in [
        ("  trials: 5\n  epochs: 9\n", "decides about seeds, not epochs"),
        ("  trials: 5\n  stop: median\n", "decides about seeds, not epochs"),
        ("  trials: 5\n  share: 2\n", "share 2 is not below 1"),
    ] {
        lab.write("toy.yaml", spec(search));
        lab.mle(&["run", "toy.yaml"]).fails(2, told);
    }
    let one = spec("  trials: 5\n").replace("seeds: [3, 1, 4, 15, 9, 2]\n", "");
    lab.write("toy.yaml", one);
    lab.mle(&["run", "toy.yaml"]).fails(2, "seeds: 8");
}
