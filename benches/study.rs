//! What an ask and a tell cost through the file, beside the same strategy in memory and the least that SQLite can do for
//! the same rows. CPU time: other work on the machine counts little.

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

/// Files of which the median is taken: moving pages from the log into the file falls unevenly on the rounds.
const FILES: usize = 5;

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

/// The rows of a pair in two transactions of SQLite alone, with what finds them again: no checks, no other process.
struct Bare {
    connection: rusqlite::Connection,
    number: i64,
    _folder: tempfile::TempDir,
}

impl Bare {
    fn new() -> Bare {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = rusqlite::Connection::open(folder.path().join("x.db")).expect("a file");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
                 CREATE TABLE trial (id INTEGER PRIMARY KEY, study INT, number INT, params TEXT, state TEXT, vals TEXT,
                                     at INT, ended INT);
                 CREATE UNIQUE INDEX by_number ON trial (study, number);
                 CREATE TABLE change (study INT, seq INT, number INT, state TEXT, vals TEXT, at INT, PRIMARY KEY (study, seq))
                 WITHOUT ROWID;",
            )
            .expect("a schema");
        Bare { connection, number: 0, _folder: folder }
    }

    fn round(&mut self) {
        self.number += 1;
        let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
            let mut statement = self.connection.prepare_cached(sql).expect("a statement");
            statement.execute(params).expect("done");
        };
        let params = "{\"lr\":0.0012345678901234,\"momentum\":0.12345678901234,\"dropout\":0.123456789012,\"hidden\":64,\
                      \"layers\":3,\"act\":\"tanh\"}";
        run("BEGIN IMMEDIATE", &[]);
        run(
            "INSERT INTO trial (study, number, params, state, at) VALUES (1, ?1, ?2, 'running', ?1)",
            &[&self.number, &params],
        );
        run("COMMIT", &[]);
        run("BEGIN IMMEDIATE", &[]);
        run(
            "UPDATE trial SET state = 'complete', vals = '[0.12345678]', ended = 1 WHERE study = 1 AND number = ?1",
            &[&self.number],
        );
        run(
            "INSERT INTO change VALUES (1, ?1, ?1, 'complete', '[0.12345678]', 1)",
            &[&self.number],
        );
        run("COMMIT", &[]);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The same search in memory and in a file, and its rows by SQLite alone.
struct Place {
    engine: Engine,
    file: InFile,
    bare: Bare,
}

impl Place {
    fn new(strategy: &str) -> Place {
        Place {
            engine: Engine::new(strategy, Setup::new(space(), 1)).expect("an engine"),
            file: InFile::new(strategy),
            bare: Bare::new(),
        }
    }

    /// Makes a pair of each, in turn: what slows the machine down for a while slows all of them, and none finds the
    /// caches as it left them. Returns their CPU times [µs].
    fn round(&mut self) -> [f64; 3] {
        let start = cpu_us();
        round(&mut self.engine);
        let own = cpu_us();
        self.bare.round();
        let bare = cpu_us();
        self.file.round();
        [own - start, bare - own, cpu_us() - bare]
    }
}

/// Prints for each strategy and length of history the cost of a pair in memory, and what the file adds.
pub fn run() {
    for strategy in ["random", "tpe"] {
        let mut places: Vec<Place> = (0..FILES).map(|_| Place::new(strategy)).collect();
        let mut has = 0;
        for history in [100, 1_000, 10_000] {
            let mut means: [Vec<f64>; 3] = Default::default();
            for place in &mut places {
                for _ in has..history {
                    place.round();
                }
                let mut sums = [0.0; 3];
                for _ in 0..ROUNDS {
                    let spent = place.round();
                    sums.iter_mut().zip(spent).for_each(|(sum, spent)| *sum += spent);
                }
                let [own, bare, file] = sums.map(|sum| sum / ROUNDS as f64);
                for (values, value) in means.iter_mut().zip([own, bare, file - own]) {
                    values.push(value);
                }
            }
            has = history + ROUNDS;
            let [memory, limit, adds] = means.map(median);
            let name = format!("study.{strategy}.{history}");
            println!("{name}.memory {memory:.1} us 1.00");
            println!("{name}.file_adds {adds:.1} us {:.2}", adds / limit);
            println!("{name}.sqlite_alone {limit:.1} us 1.00");
        }
        // A searcher that is started anew reads all.
        let file = &mut places[0].file;
        let clock = cpu_us();
        let mut anew = Memory::default();
        anew.write(&mut file.store, |tx, memory| memory.search(tx, file.study).map(drop))
            .expect("read");
        println!("study.{strategy}.open_{has} {:.1} us", cpu_us() - clock);
    }
}
