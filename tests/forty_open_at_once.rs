//! Many programs open a file that is new, empty or old at once: all succeed, and the schema is made once.

use std::process::Stdio;

use crate::lab::{Lab, said};

const PROGRAMS: usize = 40;
const SCHEMA: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";

type Make = fn(&Lab, &str);

/// What lies at the path before they come.
const BEFORE: [(&str, Make); 4] = [
    ("nothing", |_, _| ()),
    ("an empty file", |lab, db| drop(lab.write(db, ""))),
    ("a file without a schema", |lab, db| {
        lab.sql(db, "PRAGMA application_id = 0x6d6c6531");
        lab.sql(db, "PRAGMA user_version = 0");
    }),
    ("a file whose maker died before the schema", |lab, db| {
        lab.sql(db, "PRAGMA application_id = 0x6d6c6531");
        lab.sql(db, "PRAGMA journal_mode = WAL");
    }),
];

#[test]
fn forty_programs_open_a_file_at_once() {
    let lab = Lab::new();
    lab.mle(&["queue", "add", "--db", "alone.db", "--", "true"]).ok();
    let schema = lab.sql("alone.db", SCHEMA);
    let version = lab.sql("alone.db", "PRAGMA user_version");
    for round in 0..2 {
        for (i, (before, make)) in BEFORE.iter().enumerate() {
            let db = format!("{round}-{i}.db");
            make(&lab, &db);
            let children: Vec<_> = (0..PROGRAMS)
                .map(|_| {
                    let args = ["queue", "add", "--db", &db, "--", "true"];
                    let mut command = lab.command("mle", &args);
                    command
                        .stdout(Stdio::piped())
                        .stderr(Stdio::piped())
                        .spawn()
                        .expect("a program")
                })
                .collect();
            let mut jobs: Vec<usize> = children
                .into_iter()
                .map(|child| said(child.wait_with_output().expect("a program")).ok())
                .map(|out| out.trim().parse().expect("a job's number"))
                .collect();
            jobs.sort_unstable();
            assert_eq!(jobs, (1..=PROGRAMS).collect::<Vec<_>>(), "{before}");
            assert_eq!(lab.sql(&db, SCHEMA), schema, "{before}");
            assert_eq!(lab.sql(&db, "PRAGMA user_version"), version, "{before}");
            assert_eq!(lab.sql(&db, "PRAGMA application_id"), ["1835820337"], "{before}");
            assert_eq!(lab.sql(&db, "PRAGMA journal_mode"), ["wal"], "{before}");
            assert_eq!(lab.sql(&db, "PRAGMA integrity_check"), ["ok"], "{before}");
        }
    }
}

#[test]
fn a_look_at_a_file_that_is_being_made_never_sees_half_of_it() {
    let lab = Lab::new();
    let mut maker = lab.command("mle", &["queue", "add", "--db", "x.db", "--", "true"]);
    let mut maker = maker.stdout(Stdio::null()).spawn().expect("a program");
    loop {
        let over = maker.try_wait().expect("a program").is_some();
        let looked = lab.mle(&["status", "--db", "x.db", "--json"]);
        // Before there is a file, or while it has no header yet, it is not there.
        let early = [3, 4].contains(&looked.code) && !over;
        assert!(looked.code == 0 || early, "{looked:?}");
        if over {
            break;
        }
    }
}
