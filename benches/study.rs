//! What an ask and a tell cost through the file, beside the same strategy in memory. CPU time: other work on the machine
//! does not count.

use std::time::Instant;

use mle::protocol::{Goal, Provenance};
use mle::search::engine::{Engine, Told as Ended};
use mle::search::history::PastState;
use mle::search::space::Space;
use mle::search::strategy::Setup;
use mle::store::{Open, Store};
use mle::study::{self, Memory, NewStudy, Told};
use serde_json::{Map, Value, json};

/// Pairs of an ask and a tell whose mean is taken.
const ROUNDS: u64 = 200;

fn space() -> Space {
    Space::parse(&json!({
        "lr": {"type": "real", "low": 1e-5, "high": 1.0, "prior": "log"},
        "momentum": {"type": "real", "low": 0.0, "high": 1.0},
        "dropout": {"type": "real", "low": 0.0, "high": 0.5},
        "hidden": {"type": "integer", "low": 8, "high": 512, "prior": "log"},
        "layers": {"type": "integer", "low": 1, "high": 6},
        "act": ["relu", "tanh", "gelu"]
    }))
    .expect("a space")
}

fn value(params: &Map<String, Value>) -> f64 {
    params.values().filter_map(Value::as_f64).map(|x| (x.abs() + 1.0).ln()).sum()
}

/// CPU time of this thread [µs].
pub(super) fn cpu_us() -> f64 {
    // SAFETY: an all-zero timespec is valid, and the kernel fills it.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
        time
    };
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

struct InFile {
    store: Store,
    memory: Memory,
    study: mle::id::StudyId,
    _folder: tempfile::TempDir,
}

impl InFile {
    fn new(strategy: &str) -> InFile {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path().join("x.db"), Open::Create).expect("a file");
        let new = NewStudy {
            name: "bench".into(),
            purpose: String::new(),
            space: space(),
            strategy: strategy.into(),
            settings: Map::new(),
            objectives: vec![("loss".into(), Goal::Min)],
            trials: None,
            workers: 1,
            seed: 1,
            epochs: None,
            epoch_budget: None,
        };
        let provenance = Provenance::default();
        let study = store.write(|tx| study::new(tx, &new, &provenance, "me")).expect("a study");
        InFile { store, memory: Memory::default(), study, _folder: folder }
    }

    /// Two transactions that do next to nothing: what any pair costs.
    fn floor(&mut self) {
        for _ in 0..2 {
            let sql = "INSERT INTO setting VALUES ('bench', hex(randomblob(4)))
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            self.store.write(|tx| tx.run(sql, [])).expect("written");
        }
    }

    fn round(&mut self) {
        let study = self.study;
        let answer = self
            .memory
            .write(&mut self.store, |tx, memory| study::ask(tx, memory, study, 1, "me"))
            .expect("a trial");
        let trial = &answer.trials[0];
        let told = Told::Complete(vec![value(&trial.params)]);
        self.store
            .write(|tx| study::tell(tx, study, trial.number, &told, &[], "me"))
            .expect("told");
    }
}

fn round(engine: &mut Engine) {
    let asked = engine.ask().expect("an answer").expect("a trial");
    let state = PastState::Complete { values: vec![value(&asked.params)] };
    engine.tell(asked.number, Ended { state, curve: Vec::new() }).expect("told");
}

/// Prints for each strategy and length of history the cost of a pair in memory, and what the file adds.
pub fn run() {
    for strategy in ["random", "tpe"] {
        let mut file = InFile::new(strategy);
        let mut engine = Engine::new(strategy, Setup::new(space(), 1)).expect("an engine");
        let mut has = 0;
        for history in [100, 1_000, 10_000] {
            while has < history {
                file.round();
                round(&mut engine);
                has += 1;
            }
            let start = cpu_us();
            (0..ROUNDS).for_each(|_| round(&mut engine));
            let own = (cpu_us() - start) / ROUNDS as f64;
            let (start, clock) = (cpu_us(), Instant::now());
            (0..ROUNDS).for_each(|_| file.round());
            let through = (cpu_us() - start) / ROUNDS as f64;
            let wall = clock.elapsed().as_secs_f64() * 1e6 / ROUNDS as f64;
            has += ROUNDS;
            let start = cpu_us();
            (0..ROUNDS).for_each(|_| file.floor());
            let floor = (cpu_us() - start) / ROUNDS as f64;
            let name = format!("study.{strategy}.{history}");
            println!("{name}.memory {own:.1} us 1.00");
            println!("{name}.file_adds {:.1} us {:.2}", through - own, through / own);
            println!("{name}.two_empty_writes {floor:.1} us {:.2}", floor / own);
            println!("{name}.file_wall {wall:.1} us {:.2}", wall / own);
        }
        // A searcher that is started anew reads all.
        let clock = cpu_us();
        let mut anew = Memory::default();
        anew.write(&mut file.store, |tx, memory| memory.search(tx, file.study).map(drop))
            .expect("read");
        println!("study.{strategy}.open_{has} {:.1} us", cpu_us() - clock);
    }
}
