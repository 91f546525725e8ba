//! What an ask and a tell cost through the file, beside the same strategy in memory and the least that SQLite can do for
//! the same rows. CPU time, of many batches over a minute: on a machine whose processors others share, it changes twofold
//! within seconds. So the quietest batch says what the program costs, and the median what it cost here.

use mle::protocol::{Goal, Provenance};
use mle::search::engine::{Engine, Told as Ended};
use mle::search::history::PastState;
use mle::search::space::Space;
use mle::search::strategy::Setup;
use mle::store::{Open, Store};
use mle::study::{self, Memory, NewStudy, Told};
use serde_json::{Map, Value, json};

/// Pairs of an ask and a tell in a batch, whose history grows by as many: at 100 the model's own cost is that of 100 to 600. They change the pages after which the log is moved into the file, which comes at
/// the end of each.
const PAIRS: u64 = 500;

/// Files that grow at the same time, and how often all begins anew.
const FILES: usize = 5;
const SWEEPS: usize = 3;

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

/// CPU time of this thread [us].
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

    fn checkpoint(&self) {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("moved");
    }
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
    /// caches as it left them. Returns their CPU times [us].
    fn round(&mut self) -> Costs {
        let start = cpu_us();
        round(&mut self.engine);
        let own = cpu_us();
        self.bare.round();
        let bare = cpu_us();
        self.file.round();
        Costs { memory: own - start, alone: bare - own, file: cpu_us() - bare }
    }

    /// Returns the means of a batch.
    fn batch(&mut self) -> Costs {
        self.bare.checkpoint();
        self.file.store.checkpoint().expect("moved");
        let mut sum = Costs::default();
        for _ in 0..PAIRS {
            let spent = self.round();
            sum.memory += spent.memory;
            sum.alone += spent.alone;
            sum.file += spent.file;
        }
        let start = cpu_us();
        self.bare.checkpoint();
        let bare = cpu_us();
        self.file.store.checkpoint().expect("moved");
        let (alone, file) = (sum.alone + bare - start, sum.file + cpu_us() - bare);
        let pairs = PAIRS as f64;
        Costs { memory: sum.memory / pairs, alone: alone / pairs, file: file / pairs }
    }
}

/// CPU times of a pair [us].
#[derive(Clone, Copy, Default)]
struct Costs {
    memory: f64,
    alone: f64,
    file: f64,
}

impl Costs {
    fn file_adds(&self) -> f64 {
        self.file - self.memory
    }
}

/// Prints for each strategy and length of history the cost of a pair in memory, and what the file adds.
pub fn run() {
    for strategy in ["random", "tpe"] {
        let lengths = [100, 1_000, 10_000];
        let mut batches: [Vec<Costs>; 3] = Default::default();
        let mut opening = f64::INFINITY;
        for _ in 0..SWEEPS {
            let mut places: Vec<Place> = (0..FILES).map(|_| Place::new(strategy)).collect();
            let mut has = 0;
            for (length, batches) in lengths.into_iter().zip(&mut batches) {
                for place in &mut places {
                    for _ in has..length {
                        place.round();
                    }
                    batches.push(place.batch());
                }
                has = length + PAIRS;
            }
            // A searcher that is started anew reads all.
            let file = &mut places[0].file;
            let clock = cpu_us();
            let mut anew = Memory::default();
            anew.write(&mut file.store, |tx, memory| memory.search(tx, file.study).map(drop))
                .expect("read");
            opening = opening.min(cpu_us() - clock);
        }
        for (length, mut batches) in lengths.into_iter().zip(batches) {
            batches.sort_by(|a, b| a.file_adds().total_cmp(&b.file_adds()));
            let name = format!("study.{strategy}.{length}");
            for (which, Costs { memory, alone, file }) in
                [("", batches[0]), (".median", batches[batches.len() / 2])]
            {
                let adds = file - memory;
                println!("{name}{which}.memory {memory:.1} us 1.00");
                println!("{name}{which}.file_adds {adds:.1} us {:.2}", adds / alone);
                println!("{name}{which}.sqlite_alone {alone:.1} us 1.00");
            }
        }
        println!("study.{strategy}.open_{} {opening:.1} us", lengths[2] + PAIRS);
    }
}
