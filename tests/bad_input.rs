//! Whatever is wrong with what a person gives, the answer is one clear message and its exit code, and nothing is left
//! half-written.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use crate::lab::{Lab, Said, program, said};

/// What is laid out beside the file that is always there, the arguments, the exit code, a part of the message.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], i32, &'a str);

/// All files of the folder and their bytes.
fn contents(lab: &Lab) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(lab.path("."))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect()
}

/// Runs each case in a folder of its own; afterwards the folder is as it was, byte by byte.
fn check(lay: impl Fn(&Lab), cases: &[Case]) {
    for (files, args, code, part) in cases {
        let lab = Lab::new();
        lay(&lab);
        for (name, text) in *files {
            lab.write(name, text);
        }
        let before = contents(&lab);
        let said = lab.mle(args);
        assert!(
            said.code == *code && said.err.contains(part) && !said.err.contains("panicked"),
            "{files:?}\n{args:?}\nwanted code {code} and {part:?}, got {said:?}"
        );
        let after = contents(&lab);
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>(),
            "{args:?} left or took a file"
        );
        assert!(before == after, "{args:?} changed a file: {said:?}");
    }
}

/// A spec `s.yaml`, `mle run s.yaml`, exit code 2: what most bad specs are.
fn check_specs(specs: &[(&str, &str)]) {
    for (text, part) in specs {
        check(|_| {}, &[(&[("s.yaml", text)], &["run", "s.yaml"], 2, part)]);
    }
}

/// Job 1 succeeded, job 2 failed, job 3 is cancelled, job 4 is queued; experiments `good` and `bad`.
fn lab_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let lab = Lab::new();
        lab.mle(&["run", "--db", "x.db", "--name", "good", "--", "true"]).ok();
        lab.mle(&["run", "--db", "x.db", "--name", "bad", "--", "false"]).fails(1, "");
        for _ in 0..2 {
            lab.mle(&["queue", "add", "--db", "x.db", "--", "true"]).ok();
        }
        lab.mle(&["cancel", "3", "--db", "x.db"]).ok();
        assert_eq!(left(&lab), ["x.db"]);
        std::fs::read(lab.path("x.db")).unwrap()
    })
}

fn left(lab: &Lab) -> Vec<String> {
    contents(lab).into_keys().collect()
}

fn with_file(lab: &Lab) {
    lab.write("x.db", lab_file());
}

#[test]
fn a_bad_spec_makes_no_file() {
    check_specs(&[
        ("command: x\nsedes: 3\n", "did you mean `seeds`?"),
        ("command: x\nsearch: {trails: 1, space: {a: [1]}}\n", "did you mean `trials`?"),
        (
            "command: x\nsearch: {trials: 1, space: {a: {type: real, low: 0, hihg: 1}}}\n",
            "did you mean `high`?",
        ),
        (
            "command: x\nsearch: {trials: 1, space: {a: {type: reel, low: 0, high: 1}}}\n",
            "did you mean `real`?",
        ),
        ("command: x\nresources: {core: 1}\n", "did you mean `cores`?"),
        ("command: x\nmetric: {name: loss, gaol: max}\n", "did you mean `goal`?"),
        ("command: x\nmetric: {name: loss, goal: maxx}\n", "did you mean `max`?"),
        (
            "command: x\nsearch: {trials: 1, space: {a: {type: real, low: 1, high: 0}}}\n",
            "low must be less than high",
        ),
        (
            "command: x\nsearch: {trials: 1, space: {a: {type: real, low: 1, high: 1}}}\n",
            "low must be less than high",
        ),
        (
            "command: x\nsearch: {trials: 1, space: {a: {type: real, low: 0, high: 1, prior: log}}}\n",
            "must be above 0",
        ),
        (
            "command: x\nsearch: {trials: 1, space: {a: {type: real, low: .nan, high: 1}}}\n",
            "must be a finite number, not .nan",
        ),
        (
            "command: x\nsearch: {trials: 1, space: {a: {type: real, low: 0, high: .inf}}}\n",
            "must be a finite number, not .inf",
        ),
        (
            "command: x\nsearch: {trials: 1, space: {a: {type: real, low: 0, high: 1, step: 0}}}\n",
            "step: must be above 0",
        ),
        ("script: train.py\n", "there is no file `train.py`"),
        ("command: x\nscript: s.yaml\n", "exclude each other"),
        ("name: x\n", "neither `command` nor `script`"),
        ("command: x\nsearch: {trials: 1, space: {a: [1]}}\nconfigs: [{}]\n", "exclude each other"),
        ("command: x\nsearch: {trials: 1, space: {}}\n", "the search space is empty"),
        ("command: x\nsearch: {trials: 0, space: {a: [1]}}\n", "trials: must be at least 1"),
        ("command: x\nsearch: {space: {a: [1]}}\n", "the key `trials` is missing"),
        ("command: x\nseeds: 0\n", "seeds: must be at least 1"),
        ("command: x\nseeds: -3\n", "at least 1, not -3"),
        ("command: x\nseeds: [4, 5, 4]\n", "the seed 4 is given twice"),
        (
            "command: x\nsearch: {strategy: randm, trials: 1, space: {a: [1]}}\n",
            "did you mean `random`?",
        ),
        (
            "command: x\nsearch: {strategy: grid, space: {a: {type: real, low: 0, high: 1}}}\n",
            "a grid needs `bins`",
        ),
        ("command: 'x {lr}'\nsearch: {trials: 1, space: {lrate: [1]}}\n", "placeholder {lr}"),
        ("command: x\nresources: {memory: lots}\n", "resources.memory: must be an amount"),
        ("command: x\nresources: {time: soon}\n", "resources.time: must be a time"),
        ("", "the document is empty"),
        ("# nothing\n", "the document is empty"),
        ("- a\n- b\n", "must be a mapping of keys, not a list"),
        ("just words\n", "must be a mapping of keys"),
        ("command: x\ncommand: y\n", "the key `command` is given twice"),
        ("command: [x\nseeds: 2\n", "s.yaml:"),
        ("command: x\nname: \"a\\nb\"\n", "control character"),
        ("command: x\nconfigs: [nope.yaml]\n", "cannot read the config file `nope.yaml`"),
        ("command: x\ncwd: nowhere\n", "there is no directory `nowhere`"),
    ]);
    check(
        |_| {},
        &[
            (
                &[("s.json", "{\"command\": \"x\",\n \"command\": \"y\"}")],
                &["run", "s.json"],
                2,
                "given twice",
            ),
            (&[("s.json", "{\"command\": }")], &["run", "s.json"], 2, "s.json:1:"),
            (
                &[("s.toml", "command = 'x'\nsedes = 2\n")],
                &["run", "s.toml"],
                2,
                "did you mean `seeds`?",
            ),
            (&[], &["run", "none.yaml"], 3, "none.yaml"),
            (&[("folder/inside", "")], &["run", "folder"], 2, "folder: is a directory"),
            (&[("s.yaml", "command: x\n")], &["run", "s.yaml", "--set", "seeds"], 2, "no `=`"),
            (
                &[("s.yaml", "command: x\n")],
                &["run", "s.yaml", "--set", "sedes=3"],
                2,
                "did you mean",
            ),
            (&[("s.yaml", "command: x\n")], &["run", "s.yaml", "--set", "seeds=[1"], 2, "--set"),
            (&[("s.yaml", "command: x\n")], &["run", "s.yaml", "--seeds", "0"], 2, "seeds"),
            (&[("s.yaml", "command: x\n")], &["run", "s.yaml", "--seeds", "-1"], 2, "--seeds"),
            (&[("s.yaml", "command: x\n")], &["run", "s.yaml", "--workers", "0"], 2, "--workers"),
            (
                &[("s.yaml", "command: x\n")],
                &["run", "s.yaml", "--name", " "],
                2,
                "the name is empty",
            ),
            (&[("s.yaml", "command: x\n")], &["run", "s.yaml", "--db", ""], 2, "--db"),
            (
                &[("s.yaml", "command: x\n")],
                &["run", "s.yaml", "--", "x"],
                2,
                "cannot be used with",
            ),
            (&[("s.yaml", "command: x\n")], &["run", "s.yaml", "--resume"], 3, "no file s.db"),
            (&[], &["run", "--name", "", "--", "true"], 2, "the name is empty"),
            (&[], &["run", "--name", "a\nb", "--", "true"], 2, "control character"),
            (&[], &["run", "--set", "a=1", "--", "true"], 2, "there is none"),
            (&[], &["run"], 2, "nothing to run"),
        ],
    );
    let lab = Lab::new();
    lab.write("s.yaml", [0, 159, 146, 150, 255]);
    lab.mle(&["run", "s.yaml"]).fails(2, "not UTF-8");
    assert_eq!(left(&lab), ["s.yaml"]);
}

#[test]
fn a_bad_command_line_changes_nothing() {
    check(
        |_| {},
        &[
            (&[], &[], 2, "Usage"),
            (&[], &["frobnicate"], 2, "unrecognized subcommand"),
            (&[], &["statsu"], 2, "status"),
            (&[], &["status", "--frobnicate"], 2, "--frobnicate"),
            (&[], &["status"], 2, "there is no .db file in this folder"),
            (&[("a.db", ""), ("b.db", "")], &["status"], 2, "which of a.db, b.db is meant?"),
            (&[], &["status", "--db", "none.db"], 3, "there is no file none.db"),
            (&[], &["cancel", "1", "--db", "none.db"], 3, "there is no file none.db"),
            (
                &[],
                &["queue", "add", "--db", "none.db", "--after", "1", "--", "x"],
                3,
                "no file none.db",
            ),
            (
                &[("t.py", "x = 1\n")],
                &["run", "t.py"],
                2,
                "mle run: t.py: is a script, not a spec\nhint: did you mean: mle run -- python3 t.py\n",
            ),
            (&[], &["run", "python3", "t.py"], 2, "hint: did you mean: mle run -- python3 t.py\n"),
            (&[], &["run"], 2, "mle run: there is nothing to run"),
            (&[], &["run", "--db", "none/x.db", "--", "true"], 3, "none: No such file"),
            (&[], &["queue", "add", "--db", "none/x.db", "--", "true"], 3, "none: No such file"),
        ],
    );
    check(
        with_file,
        &[
            (&[], &["logs", "99"], 3, "there is no job 99"),
            (&[], &["cancel", "99"], 3, "there is no job 99"),
            (&[], &["retry", "99"], 3, "there is no job 99"),
            (&[], &["explain", "99"], 3, "there is no job 99"),
            (&[], &["logs", "one"], 2, "invalid value"),
            (&[], &["cancel"], 2, "required"),
            (&[], &["cancel", "1"], 2, "job 1 is succeeded already"),
            (&[], &["cancel", "3"], 2, "job 3 is cancelled already"),
            (&[], &["cancel", "4", "1"], 2, "job 1 is succeeded already"),
            (&[], &["retry", "1"], 2, "only a failed or cancelled job can be retried"),
            (&[], &["retry", "4"], 2, "job 4 is queued"),
            (&[], &["cancel", "good"], 2, "an experiment is named with -e, as in `-e good`"),
            (&[], &["cancel", "--experiment", "none"], 3, "there is no experiment none"),
            (&[], &["status", "none"], 3, "there is no experiment none"),
            (&[], &["leaderboard", "none"], 3, "there is no experiment none"),
            (&[], &["report", "none"], 3, "there is no experiment none"),
            (&[], &["pause", "none"], 3, "there is no experiment none"),
            (&[], &["protocol", "show", "none"], 3, "there is no experiment none"),
            (&[], &["protocol", "note", "none", "x"], 3, "there is no experiment none"),
            (&[], &["protocol", "list", "--state", "runing"], 2, "runing"),
            (&[], &["resume", "good"], 2, "is not paused"),
            (&[], &["pause", "good"], 2, "experiment 1"),
            (&[], &["run", "--db", "x.db", "--resume"], 2, "no open experiment"),
            (&[], &["log", "a=1"], 2, "which run is not known here"),
            (&[], &["log", "--run", "1", "a"], 2, "is not NAME=VALUE"),
            (&[], &["log", "--run", "1", "=1"], 2, "name"),
            (&[], &["log", "--run", "99", "a=1"], 3, "there is no run 99"),
            (&[], &["param", "--run", "99", "a"], 3, "there is no run 99"),
            (&[], &["param", "--run", "1", "a"], 3, "there is no parameter a"),
            (&[], &["sql", "DELETE FROM job"], 2, "would change the file"),
            (&[], &["sql", "UPDATE experiments SET name = 'x'"], 2, "SQL"),
            (&[], &["sql", "PRAGMA user_version = 7"], 2, "would change the file"),
            (&[], &["sql", "ATTACH 'y.db' AS y"], 2, "would change the file"),
            (&[], &["sql", "SELECT * FROM nowhere"], 2, "no such table"),
            (&[], &["sql", "SELEKT"], 2, "syntax error"),
            (&[], &["queue", "add"], 2, "COMMAND"),
            (&[], &["queue", "add", "--env", "A", "--", "x"], 2, "is not NAME=VALUE"),
            (
                &[],
                &["queue", "add", "--time", "-1", "--", "x"],
                2,
                "not a positive number of seconds",
            ),
            (
                &[],
                &["queue", "add", "--delay", "nan", "--", "x"],
                2,
                "not a positive number of seconds",
            ),
            (&[], &["queue", "add", "--after", "99", "--", "x"], 3, "there is no job 99"),
            (&[], &["queue", "add", "--copies", "0", "--", "x"], 2, "--copies"),
            (&[], &["queue", "add", "--lines"], 2, "holds no command"),
            (&[], &["artifact", "add", "none.pt", "--run", "1"], 3, "none.pt"),
            (&[], &["artifact", "get", "none.pt"], 3, "none.pt"),
            (&[], &["worker", "--slots", "0"], 2, "--slots"),
        ],
    );
}

#[test]
fn a_file_that_is_not_ours_stays_as_it_is() {
    let verbs: [&[&str]; 3] = [
        &["status", "--db", "y.db"],
        &["queue", "add", "--db", "y.db", "--", "x"],
        &["worker", "--db", "y.db"],
    ];
    let foreign = |lab: &Lab| {
        lab.sql("y.db", "PRAGMA journal_mode = WAL");
        lab.sql("y.db", "CREATE TABLE t (a)");
    };
    let newer = |lab: &Lab| {
        lab.write("y.db", lab_file());
        lab.sql("y.db", "PRAGMA user_version = 999");
    };
    let cut = |lab: &Lab| drop(lab.write("y.db", &lab_file()[..20_000]));
    let cut_short = |lab: &Lab| drop(lab.write("y.db", &lab_file()[..60]));
    for verb in verbs {
        check(foreign, &[(&[], verb, 4, "is an SQLite database of another program")]);
        check(newer, &[(&[], verb, 4, "has schema version 999")]);
        check(cut, &[(&[], verb, 4, "y.db: is damaged")]);
        check(cut_short, &[(&[], verb, 4, "y.db: is not a database")]);
        check(|_| {}, &[(&[("y.db", "my notes\n")], verb, 4, "y.db: is not a database")]);
        check(
            |lab| std::fs::create_dir(lab.path("y.db")).unwrap(),
            &[(&[], verb, 4, "is a directory")],
        );
    }
    check(|_| {}, &[(&[("y.db", "")], verbs[0], 4, "y.db: is empty")]);
    // What makes a file may fill an empty one.
    let lab = Lab::new();
    lab.write("y.db", "");
    lab.mle(verbs[1]).ok();
    assert_eq!(lab.sql("y.db", "SELECT state FROM jobs"), ["queued"]);
}

#[test]
fn a_file_with_a_damaged_page_is_called_damaged() {
    let lab = Lab::new();
    let mut bytes = lab_file().to_vec();
    // All pages but the first, which says that the file is ours.
    bytes[4096..].fill(0x5a);
    lab.write("x.db", &bytes);
    lab.mle(&["status"]).fails(4, "damaged");
    lab.mle(&["queue", "add", "--", "true"]).fails(4, "damaged");
    assert_eq!(left(&lab), ["x.db"]);
}

#[test]
fn a_network_file_system_is_refused_before_a_file_is_made() {
    for verb in [["run", "--", "true"].as_slice(), &["queue", "add", "--db", "n.db", "--", "true"]]
    {
        let mut lab = Lab::new();
        lab.set("MLE_ASSUME_FILESYSTEM", "26985");
        lab.mle(verb).fails(4, "network file system (NFS)");
        assert!(left(&lab).is_empty(), "{verb:?} left {:?}", left(&lab));
    }
    let mut lab = Lab::new();
    with_file(&lab);
    lab.set("MLE_ASSUME_FILESYSTEM", "26985");
    lab.mle(&["status"]).fails(4, "network file system (NFS)");
    assert_eq!(left(&lab), ["x.db"]);
}

#[test]
fn reading_leaves_no_file_behind() {
    let lab = Lab::new();
    with_file(&lab);
    let before = contents(&lab);
    for args in [
        ["status"].as_slice(),
        &["protocol"],
        &["logs", "1"],
        &["explain", "1"],
        &["leaderboard"],
        &["sql", "SELECT 1"],
        &["doctor"],
        &["artifact"],
    ] {
        lab.mle(args).ok();
        assert!(contents(&lab) == before, "{args:?} left {:?}", left(&lab));
    }
}

/// Runs a script in which `M` is the program and folder `disk` a small disk of its own; `None` where one may not mount.
fn on_a_disk(lab: &Lab, script: &str) -> Option<Said> {
    std::fs::create_dir(lab.path("disk")).unwrap();
    let mount = "mount -t tmpfs -o size=3m none disk";
    let probe =
        Command::new("unshare").args(["-m", "sh", "-c", mount]).current_dir(lab.path(".")).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("left out: this machine lets us mount no disk");
        return None;
    }
    let script = format!("set -eu\n{mount}\n{script}");
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .current_dir(lab.path("."))
        .env("M", program("mle"))
        .output();
    Some(said(output.unwrap()))
}

#[test]
fn a_read_only_disk_can_be_read_and_not_written() {
    let lab = Lab::new();
    with_file(&lab);
    let script = "cp x.db disk; mount -o remount,ro disk
        $M status --db disk/x.db; $M logs 1 --db disk/x.db; $M doctor --db disk/x.db
        try() { code=0; \"$@\" 2>err || code=$?; echo \"code $code $(head -1 err)\"; }
        try $M queue add --db disk/x.db -- true
        try $M cancel 4 --db disk/x.db
        try $M run --db disk/new.db -- true
        ls disk";
    let Some(said) = on_a_disk(&lab, script) else { return };
    let out = said.ok();
    assert!(out.contains("1 queued") && out.contains("integrity"), "{out}");
    assert_eq!(out.matches("code 71 ").count(), 3, "{out}");
    assert_eq!(out.matches("Read-only file system").count(), 3, "{out}");
    assert!(out.ends_with("\nx.db\n"), "{out}");
}

#[test]
fn a_full_disk_is_said_and_the_file_stays_whole() {
    let lab = Lab::new();
    with_file(&lab);
    let script = "cp x.db disk
        dd if=/dev/zero of=disk/filler bs=4k 2>/dev/null || true
        try() { code=0; \"$@\" >out 2>err || code=$?; echo \"code $code\"; cat err; }
        try $M queue add --db disk/x.db -- true
        try $M run --db disk/new.db -- true
        try $M run --db disk/x.db -- true
        rm disk/filler
        $M doctor --db disk/x.db
        $M status --db disk/x.db
        $M queue add --db disk/x.db -- true
        $M run --db disk/new.db -- true
        cp disk/x.db after.db";
    let Some(said) = on_a_disk(&lab, script) else { return };
    let out = said.ok();
    assert_eq!(out.matches("code 71\n").count(), 3, "{out}");
    assert_eq!(out.matches("hint: free some disk space").count(), 3, "{out}");
    assert_eq!(lab.sql("after.db", "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(lab.sql("after.db", "SELECT count(*) FROM jobs"), ["5"]);
}

#[test]
fn a_disk_that_fills_during_a_run_stops_it_and_later_it_goes_on() {
    let lab = Lab::new();
    lab.write("s.yaml", "command: python3 talk.py\n");
    lab.write(
        "talk.py",
        "print('x' * 950_000, flush=True)\nimport time\ntime.sleep(0.5)\nprint('the end')\n",
    );
    let script = "cp x.db disk; export TMPDIR=/tmp
        dd if=/dev/zero of=disk/filler bs=4k count=450 2>/dev/null
        code=0; $M run s.yaml --db disk/x.db >out 2>err || code=$?; echo \"code $code\"; cat err
        rm disk/filler
        $M doctor --db disk/x.db
        $M run --db disk/x.db --resume
        cp disk/x.db after.db";
    with_file(&lab);
    let Some(said) = on_a_disk(&lab, script) else { return };
    let out = said.ok();
    assert!(out.contains("code 71\n") && out.contains("hint: free some disk space"), "{out}");
    assert_eq!(lab.sql("after.db", "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(lab.sql("after.db", "SELECT state FROM experiments WHERE name = 's'"), ["complete"]);
}

#[test]
fn a_value_that_is_nan_completes_its_run_and_takes_no_place() {
    let lab = Lab::new();
    lab.write(
        "s.yaml",
        "command: [sh, -c, 'echo \"::mle {{\\\"loss\\\": {v}}}\"']\nmetric: loss\nconfigs: [{v: NaN}, {v: 2}]\n",
    );
    lab.mle(&["run", "s.yaml"]).ok();
    let rows = "SELECT state, value IS NULL FROM runs ORDER BY id";
    assert_eq!(lab.sql("s.db", rows), ["complete|1", "complete|0"]);
    assert_eq!(lab.sql("s.db", "SELECT place, mean FROM leaderboard"), ["1|2"]);
}

#[test]
fn a_metric_that_is_never_logged_fails_its_run() {
    let lab = Lab::new();
    lab.write("s.yaml", "command: 'true'\nmetric: loss\n");
    lab.mle(&["run", "s.yaml"]).fails(1, "1 of 1 runs failed");
    let rows = lab.sql("s.db", "SELECT state, error FROM runs");
    assert_eq!(
        rows,
        ["failed|its job succeeded and never logged the metric \"loss\"; it logged nothing"]
    );
    lab.write("t.yaml", "command: [echo, '::mle {{\"loss\": \"low\"}}']\nmetric: loss\n");
    let told = "logged the metric \"loss\" as text only, not as a number";
    lab.mle(&["run", "t.yaml"]).fails(1, told);
}

const HOSTILE: [&str; 8] = [
    "it's \"quoted\"",
    "`touch pwned`",
    "$(touch pwned)",
    "; touch pwned #",
    "rm -rf ~ && touch pwned",
    "Ünïcödé 猫 \u{202e}gpj",
    "<script>alert(1)</script> {{ 7*7 }}",
    "../../pwned",
];

#[test]
fn hostile_names_are_kept_as_they_are_and_run_nothing() {
    let lab = Lab::new();
    for text in HOSTILE {
        lab.mle(&["run", "--db", "x.db", "--name", text, "--purpose", text, "--", "true", text])
            .ok();
        lab.mle(&["protocol", "tag", text, text, "--db", "x.db"]).ok();
        let note = format!("{text}\nnext line\u{1b}[2J");
        lab.mle(&["protocol", "note", text, &note, "--db", "x.db"]).ok();
        lab.write("file", "bytes");
        lab.mle(&["artifact", "add", "file", "--name", text, "--experiment", text, "--db", "x.db"])
            .ok();
        let id = lab.sql("x.db", "SELECT max(id) FROM experiments")[0].clone();
        let count = |sql: &str| {
            let connection = rusqlite::Connection::open(lab.path("x.db")).unwrap();
            connection.query_row(sql, [text], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(count("SELECT count(*) FROM experiments WHERE name = ?1 AND purpose = ?1"), 1);
        assert_eq!(count("SELECT count(*) FROM artifacts WHERE name = ?1"), 1);
        assert_eq!(count("SELECT count(*) FROM notes WHERE substr(text, 1, length(?1)) = ?1"), 1);
        assert_eq!(count("SELECT count(*) FROM jobs WHERE json_extract(command, '$[1]') = ?1"), 1);
        for args in [
            vec!["status", &id, "--jobs", "all"],
            vec!["protocol", "list", "--tag", text],
            vec!["protocol", "show", text],
            vec!["artifact", "list", "--experiment", text],
            vec!["report", text],
            vec!["report", text, "--format", "html"],
            vec!["explain", &id],
            vec!["leaderboard", text],
        ] {
            let out = lab.mle(&args).ok();
            for mark in ["\u{1b}", "\u{202e}", "<script>alert"] {
                let html = args.contains(&"html");
                let harmful = out.contains(mark)
                    && (html || !mark.starts_with('<'))
                    && !(html && mark == "\u{202e}");
                assert!(!harmful, "{args:?} printed {mark:?}:\n{out}");
            }
        }
    }
    assert_eq!(left(&lab), ["file", "x.db"]);
}

#[test]
fn hostile_parameters_reach_the_script_as_they_are() {
    let lab = Lab::new();
    let values: Vec<String> = HOSTILE
        .iter()
        .map(|text| (*text).to_owned())
        .chain(["two\nlines\t\u{1b}[31m".to_owned(), String::new()])
        .collect();
    let spec = serde_json::json!({
        "command": ["python3", "say.py", "{v}"],
        "configs": values.iter().map(|value| serde_json::json!({ "v": value })).collect::<Vec<_>>(),
    });
    lab.write("s.json", spec.to_string());
    lab.write(
        "say.py",
        "import json, os, sys\nassert json.loads(os.environ['MLE_PARAMS'])['v'] == sys.argv[1]\nprint(json.dumps(sys.argv[1:]))\n",
    );
    lab.mle(&["run", "s.json"]).ok();
    let printed = lab.sql("s.db", "SELECT text FROM outputs ORDER BY job_id");
    let back: Vec<Vec<String>> =
        printed.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(back, values.iter().map(|value| vec![value.clone()]).collect::<Vec<_>>());
    let out = lab.mle(&["status", "--jobs", "all"]).ok();
    assert!(!out.contains('\u{1b}') && out.contains("\\n"), "{out}");
    assert_eq!(left(&lab), ["s.db", "s.json", "say.py"]);
}

#[test]
fn config_files_with_hostile_names_are_only_names() {
    let lab = Lab::new();
    let files: Vec<String> =
        HOSTILE.iter().map(|text| format!("{}.json", text.replace('/', "_"))).collect();
    for file in &files {
        lab.write(file, "{\"a\": 1}");
    }
    let spec = serde_json::json!({ "command": ["cat", "{config}"], "configs": files });
    lab.write("s.json", spec.to_string());
    lab.mle(&["run", "s.json"]).ok();
    let names = lab.sql("s.db", "SELECT name || '.json' FROM runs ORDER BY id");
    assert_eq!(names, files);
    let mut expected = files.clone();
    expected.extend(["s.json".to_owned(), "s.db".to_owned()]);
    expected.sort();
    assert_eq!(left(&lab), expected);
}
