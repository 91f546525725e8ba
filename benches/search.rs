//! What strategies cost in memory as a search grows, beside the limits they are held to and beside Optuna and Rustuna,
//! where MLE_BENCH_PYTHON names a Python that has them; and what is lost by asking for many trials before the first of
//! them ends. CPU time: other work on the machine does not count.

use std::collections::HashMap;
use std::process::Command;

use mle::search::engine::{Engine, Told};
use mle::search::history::{Past, PastState};
use mle::search::space::Space;
use mle::search::strategy::Setup;
use serde_json::{Map, Value, json};

use super::study::cpu_us;

/// Pairs of an ask and a tell whose mean is taken, as `benches/peers.py` takes it of the peers.
const ROUNDS: u64 = 30;
/// Searches whose mean is taken, where they are quickly made.
const TURNS: u64 = 10;

/// Strategies, lengths of the history and the limits for a pair of an ask and a tell [µs].
const LIMITS: &[(&str, &[(u64, f64)])] = &[
    ("random", &[(100, 5.0), (1_000, 5.0), (10_000, 5.0), (100_000, 5.0)]),
    ("tpe", &[(100, 80.0), (1_000, 300.0), (10_000, 2_000.0), (100_000, 2_000.0)]),
    ("cmaes", &[(100, 50.0), (1_000, 50.0), (10_000, 50.0), (100_000, 50.0)]),
    ("de", &[(100, 50.0), (1_000, 50.0), (10_000, 50.0), (100_000, 50.0)]),
    ("gp", &[(100, 10_000.0), (300, 40_000.0), (1_000, 1_000_000.0)]),
];

/// Trials of the search by many workers, and the number of these.
const TRIALS: u64 = 2_000;
const WORKERS: usize = 64;

fn space() -> Space {
    Space::parse(&json!({
        "lr": {"type": "real", "low": 1e-5, "high": 1.0, "prior": "log"},
        "decay": {"type": "real", "low": 1e-6, "high": 0.1, "prior": "log"},
        "momentum": {"type": "real", "low": 0.0, "high": 0.99},
        "hidden": {"type": "integer", "low": 8, "high": 512, "prior": "log"},
        "layers": {"type": "integer", "low": 1, "high": 6},
        "act": ["relu", "tanh", "gelu"]
    }))
    .expect("a space")
}

/// A training with a narrow valley: a higher momentum wants a lower learning rate, and the other way round.
fn loss(params: &Map<String, Value>) -> f64 {
    let number = |name: &str| params.get(name).and_then(Value::as_f64).unwrap_or(1.0);
    let rate = number("lr").log10() + 2.5 + 1.5 * (number("momentum") - 0.5);
    let act = match params.get("act").and_then(Value::as_str) {
        Some("relu") => 0.1,
        Some("gelu") => 0.0,
        _ => 0.2,
    };
    0.5 * rate * rate
        + 0.05 * (number("decay").log10() + 3.5).powi(2)
        + 0.5 * (number("momentum") - 0.8).powi(2)
        + 0.05 * (number("hidden").log2() - 7.5).powi(2)
        + 0.03 * (number("layers") - 3.0).abs()
        + act
}

/// A number in (0, 1), a hash of two others.
fn unit(a: u64, b: u64) -> f64 {
    let mut hash = (a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

fn round(engine: &mut Engine) {
    let asked = engine.ask().expect("an answer").expect("a trial");
    let state = PastState::Complete { values: vec![loss(&asked.params)] };
    engine.tell(asked.number, Told { state, curve: Vec::new() }).expect("told");
}

/// Returns an engine with a history: slow strategies would take hours to come there themselves.
fn engine_with(strategy: &str, history: u64) -> Engine {
    let mut engine = Engine::new(strategy, Setup::new(space(), 1)).expect("an engine");
    for number in 0..history {
        let at: Vec<f64> = (0..6).map(|k| unit(number, k)).collect();
        let params = engine.space().decode(&at);
        let state = PastState::Complete { values: vec![loss(&params)] };
        engine.put(Past::new(number, params, state));
    }
    round(&mut engine);
    engine
}

/// Prints the costs; returns those of strategies and histories [µs].
fn costs() -> HashMap<(String, String), f64> {
    let mut costs = HashMap::new();
    for (strategy, limits) in LIMITS {
        for (history, limit) in *limits {
            // Few rounds each, so that the history stays about as long as its name says.
            let turns = if *history <= 1_000 && *strategy != "gp" { TURNS } else { 1 };
            let mut spent = 0.0;
            for _ in 0..turns {
                let mut engine = engine_with(strategy, *history);
                let start = cpu_us();
                (0..ROUNDS).for_each(|_| round(&mut engine));
                spent += cpu_us() - start;
            }
            let own = spent / (turns * ROUNDS) as f64;
            println!("search.{strategy}.{history} {own:.1} us {:.2}", own / limit);
            costs.insert(((*strategy).to_owned(), history.to_string()), own);
        }
    }
    costs
}

/// Prints what peers cost, as multiples of what ours do.
fn peers(ours: &HashMap<(String, String), f64>) {
    let Some(python) = std::env::var_os("MLE_BENCH_PYTHON") else {
        println!("search.peers: no MLE_BENCH_PYTHON");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers.py");
    let output = Command::new(python).arg(script).output().expect("MLE_BENCH_PYTHON runs");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let [peer, sampler, history, cost] = line.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        let cost: f64 = cost.parse().expect("a number");
        let own = ours.get(&(sampler.to_owned(), history.to_owned())).copied().unwrap_or(f64::NAN);
        println!("search.{peer}.{sampler}.{history} {cost:.1} us {:.1}", cost / own);
    }
}

/// Returns the loss, without noise, of the trial that looks the best after a search whose trials take times drawn from an
/// exponential distribution, and of which one in twenty fails.
fn best(strategy: &str, workers: usize, noise: f64, seed: u64) -> f64 {
    let setup = Setup { trials: Some(TRIALS), workers, ..Setup::new(space(), seed) };
    let mut engine = Engine::new(strategy, setup).expect("an engine");
    let (mut now, mut asked, mut best) = (0.0, 0, (f64::INFINITY, f64::INFINITY));
    let mut at_work: Vec<(f64, u64, f64)> = Vec::new();
    loop {
        while asked < TRIALS && at_work.len() < workers {
            let trial = engine.ask().expect("an answer").expect("a trial");
            let end = now - unit(trial.number, seed).ln();
            at_work.push((end, trial.number, loss(&trial.params)));
            asked += 1;
        }
        let first = (0..at_work.len()).min_by(|a, b| at_work[*a].0.total_cmp(&at_work[*b].0));
        let Some(first) = first else { return best.1 };
        let (end, number, value) = at_work.swap_remove(first);
        now = end;
        let state = if unit(number, seed + 1_000) < 0.05 {
            PastState::Failed
        } else {
            // A bell, nearly: the sum of four numbers in (0, 1).
            let sum: f64 = (0..4).map(|k| unit(number, 5_000 + 4 * seed + k)).sum();
            let seen = value + noise * (sum - 2.0);
            if seen < best.0 {
                best = (seen, value);
            }
            PastState::Complete { values: vec![seen] }
        };
        engine.tell(number, Told { state, curve: Vec::new() }).expect("told");
    }
}

/// Prints what many workers find beside one, as a share of what a random point costs.
fn workers() {
    let middle = {
        let mut values: Vec<f64> = (0..1_001)
            .map(|n| loss(&space().decode(&(0..6).map(|k| unit(n, k)).collect::<Vec<_>>())))
            .collect();
        values.sort_by(f64::total_cmp);
        values[500]
    };
    // The best loss there is lies below 1e-8.
    for (strategy, seeds) in [("random", 10), ("tpe", 60), ("auto", 10)] {
        for (how, noise) in [("exact", 0.0), ("noisy", 0.2)] {
            // The mean, and the mean of the logarithms, which no single search rules.
            let means = |workers: usize| {
                let regret = |seed| (best(strategy, workers, noise, seed) / middle).max(1e-12);
                let all: Vec<f64> = (0..seeds).map(regret).collect();
                let mean = |of: &dyn Fn(f64) -> f64| {
                    all.iter().map(|regret| of(*regret)).sum::<f64>() / seeds as f64
                };
                (mean(&|regret| regret), mean(&f64::ln).exp())
            };
            let (one, many) = (means(1), means(WORKERS));
            for (what, one, many) in [("mean", one.0, many.0), ("of_logs", one.1, many.1)] {
                let name = format!("search.{strategy}.{how}.{what}");
                println!("{name}.1_worker {one:.7} regret 1.00");
                println!("{name}.{WORKERS}_workers {many:.7} regret {:.2}", many / one);
            }
        }
    }
}

/// Runs all.
pub fn run() {
    peers(&costs());
    workers();
}
