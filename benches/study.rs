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
    /// What the next ask is to tell first.
    last: Option<(u64, Told)>,
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
        InFile { store, memory: Memory::default(), study, last: None, _folder: folder }
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

    /// As [`InFile::round`], where what came of a trial is told in the transaction that asks for the next.
    fn round_in_one(&mut self) {
        let study = self.study;
        let last = self.last.take();
        let mut answer = self
            .memory
            .write(&mut self.store, |tx, memory| {
                if let Some((number, told)) = &last {
                    study::tell(tx, study, *number, told, &[], "me")?;
                }
                study::ask(tx, memory, study, 1, "me")
            })
            .expect("a trial");
        let trial = answer.trials.remove(0);
        self.last = Some((trial.number, Told::Complete(vec![value(&trial.params)])));
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

/// The same search in its four ways, each with as many trials.
struct Place {
    engine: Engine,
    file: InFile,
    in_one: InFile,
    bare: Bare,
    has: u64,
}

impl Place {
    fn new(strategy: &str) -> Place {
        Place {
            engine: Engine::new(strategy, Setup::new(space(), 1)).expect("an engine"),
            file: InFile::new(strategy),
            in_one: InFile::new(strategy),
            bare: Bare::new(),
            has: 0,
        }
    }

    fn grow(&mut self, history: u64) {
        while (self.engine.history().trials().len() as u64) < history {
            round(&mut self.engine);
        }
        for _ in self.has..history {
            self.file.round();
            self.in_one.round_in_one();
            self.bare.round();
        }
        self.has = self.has.max(history);
    }

    /// Returns what the rows cost where the search has just used the caches, as it has in the file.
    fn bare_beside_search(&mut self) -> f64 {
        let mut spent = 0.0;
        for _ in 0..ROUNDS {
            round(&mut self.engine);
            let start = cpu_us();
            self.bare.round();
            spent += cpu_us() - start;
        }
        spent / ROUNDS as f64
    }
}

/// Returns the mean of [`ROUNDS`] in CPU time [µs].
fn mean(mut round: impl FnMut()) -> f64 {
    let start = cpu_us();
    (0..ROUNDS).for_each(|_| round());
    (cpu_us() - start) / ROUNDS as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints for each strategy and length of history the cost of a pair in memory, and what the file adds: each at the same
/// length.
pub fn run() {
    for strategy in ["random", "tpe"] {
        let mut places: Vec<Place> = (0..FILES).map(|_| Place::new(strategy)).collect();
        for history in [100, 1_000, 10_000] {
            let (mut memory, mut adds, mut in_one, mut limit) =
                (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for place in &mut places {
                place.grow(history);
                let own = mean(|| round(&mut place.engine));
                memory.push(own);
                adds.push(mean(|| place.file.round()) - own);
                in_one.push(mean(|| place.in_one.round_in_one()) - own);
                limit.push(place.bare_beside_search());
                place.has += ROUNDS;
            }
            let (memory, adds, in_one, limit) =
                (median(memory), median(adds), median(in_one), median(limit));
            let name = format!("study.{strategy}.{history}");
            println!("{name}.memory {memory:.1} us 1.00");
            println!("{name}.file_adds {adds:.1} us {:.2}", adds / limit);
            println!("{name}.file_adds_in_one {in_one:.1} us {:.2}", in_one / limit);
            println!("{name}.sqlite_alone {limit:.1} us 1.00");
        }
        // A searcher that is started anew reads all.
        let place = &mut places[0];
        let clock = cpu_us();
        let mut anew = Memory::default();
        let study = place.file.study;
        anew.write(&mut place.file.store, |tx, memory| memory.search(tx, study).map(drop))
            .expect("read");
        println!("study.{strategy}.open_{} {:.1} us", place.has, cpu_us() - clock);
    }
}
