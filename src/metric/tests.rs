use super::*;
use crate::id::{JobId, RunId};
use crate::protocol::{Goal, ValueFrom};
use crate::store::{Open, Store, params};

/// A file with one run (and, when asked, a running job of it).
struct Lab {
    store: Store,
    run: RunId,
    _folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path().join("x.db"), Open::Create).unwrap();
        let run = store.write(add_run).unwrap();
        Lab { store, run, _folder: folder }
    }

    fn append(&mut self, attempt: i64, updates: &[Update]) {
        let run = self.run;
        self.store.write(|tx| append(tx, run, attempt, updates)).unwrap();
    }

    fn values(&self, metric: &str) -> Vec<(i64, f64)> {
        let series = self.store.read(|tx| series(tx, self.run, metric)).unwrap().unwrap();
        series.steps.into_iter().zip(series.values).collect()
    }

    fn summary(&self, metric: &str) -> Summary {
        let all = self.store.read(|tx| summary(tx, self.run)).unwrap();
        all.into_iter().find(|summary| summary.metric == metric).unwrap()
    }

    /// What the summaries say must be what the points say.
    fn check(&self) {
        self.store
            .read(|tx| {
                for summary in summary(tx, self.run)?.iter().filter(|s| s.kind.is_number()) {
                    let series = series(tx, self.run, &summary.metric)?.unwrap();
                    let mut stats = stats::Stats::default();
                    for (step, value) in series.steps.iter().zip(&series.values) {
                        stats.add(*value, *step);
                    }
                    assert_eq!((summary.n, summary.nan), (stats.n, stats.nan), "{summary:?}");
                    assert_eq!((summary.first, summary.last), (stats.first, stats.last));
                    assert_eq!(summary.last_step, stats.last_step);
                    assert_eq!((summary.min, summary.max), (stats.min, stats.max));
                    let points: i64 = tx.one(
                        "SELECT count(*) FROM points WHERE run_id = ?1 AND metric = ?2",
                        params![self.run, summary.metric],
                        |row| row.get(0),
                    )?;
                    assert_eq!(points, summary.n);
                }
                Ok(())
            })
            .unwrap();
    }
}

fn add_run(tx: &crate::store::WriteTx<'_>) -> Result<RunId> {
    let experiment = tx.insert(
        "INSERT INTO experiment (uid, name, kind, state, created_at_ms, started_at_ms, changed_at_ms)
         VALUES (?1, 'x', 'log', 'running', 0, 0, 0)",
        params![crate::id::new_uid()],
    )?;
    tx.run("INSERT OR IGNORE INTO config (id, hash, params) VALUES (1, 'h', '{}')", [])?;
    tx.insert(
        "INSERT INTO run (uid, experiment_id, config_id, seed, state, created_at_ms, changed_at_ms)
         VALUES ('r', ?1, 1, 0, 'running', 0, 0)",
        params![experiment],
    )
    .map(RunId)
}

fn add_job(tx: &crate::store::WriteTx<'_>, run: RunId) -> Result<JobId> {
    let worker = tx.insert(
        "INSERT INTO worker (uid, kind, state, host, pid, process_start, started_at_ms, seen_at_ms)
         VALUES ('w', 'worker', 'live', 'here', 1, '', 0, 0)",
        [],
    )?;
    tx.insert(
        "INSERT INTO job (uid, run_id, state, command, attempt, worker_id, lease_until_ms, created_at_ms, changed_at_ms)
         VALUES ('j', ?1, 'running', '[]', 1, ?2, 1, 0, 0)",
        params![run, worker],
    )
    .map(JobId)
}

fn at(step: impl Into<Option<i64>>, values: &[(&str, f64)]) -> Update {
    Update {
        step: step.into(),
        at_ms: 1_000,
        values: values.iter().map(|(name, x)| ((*name).into(), Value::Scalar(*x))).collect(),
    }
}

#[test]
fn nan_and_infinities_come_back() {
    let mut lab = Lab::new();
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    for x in [1.0, nan, inf, -inf, -0.0, f64::MIN_POSITIVE, nan] {
        lab.append(0, &[at(None, &[("loss", x)])]);
    }
    let read: Vec<u64> = lab.values("loss").iter().map(|(_, x)| x.to_bits()).collect();
    let expected = [1.0, nan, inf, -inf, 0.0, f64::MIN_POSITIVE, nan].map(f64::to_bits);
    assert_eq!(read[..4], expected[..4]);
    assert_eq!(read[5], expected[5]);
    let summary = lab.summary("loss");
    assert_eq!((summary.n, summary.nan), (7, 2));
    assert_eq!((summary.min, summary.max), (Some(-inf), Some(inf)));
    assert_eq!(
        (summary.first, summary.last, summary.last_step),
        (Some(1.0), Some(f64::MIN_POSITIVE), Some(5))
    );
    let last = |from| {
        lab.store.read(|tx| final_value(tx, lab.run, "loss", from, Goal::Min)).unwrap().unwrap()
    };
    assert!(last(ValueFrom::Last).is_nan());
    assert_eq!(last(ValueFrom::Best), -inf);
    lab.check();
}

#[test]
fn ragged_updates_keep_their_steps_over_pages() {
    let mut lab = Lab::new();
    let mut appender = Appender::new(lab.run, 0);
    let mut expected = Vec::new();
    let mut i = 0i64;
    for batch in [1, 700, 1, 323, 1, 2500, 40] {
        let updates: Vec<Update> = (0..batch)
            .map(|_| {
                i += 1;
                let mut values = vec![("train", i as f64)];
                if i % 3 == 0 {
                    values.insert(0, ("test", -i as f64));
                    expected.push((i * 10, -i as f64));
                }
                at(i * 10, &values)
            })
            .collect();
        let done = lab.store.write(|tx| appender.append(tx, &updates)).unwrap();
        assert_eq!(done, Appended::Done);
    }
    assert_eq!(lab.values("test"), expected);
    assert_eq!(lab.values("train").len(), 3566);
    let stride: Option<i64> = lab
        .store
        .read(|tx| tx.one("SELECT step_stride FROM stream", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(stride, Some(10));
    // One step out of line, and steps are read from the ticks.
    lab.append(0, &[at(1, &[("test", 0.5)]), at(None, &[("test", 1.5)])]);
    expected.extend([(1, 0.5), (2, 1.5)]);
    assert_eq!(lab.values("test"), expected);
    let timed = lab.store.read(|tx| timed_series(tx, lab.run, "test")).unwrap().unwrap();
    assert_eq!(timed.steps.len(), timed.elapsed_s.len());
    lab.check();
}

#[test]
fn many_small_batches_become_as_dense_as_a_few_large_ones() {
    let updates: Vec<Update> = (0..20 * PAGE)
        .map(|i| {
            at(i * 10, &[("a", i as f64 / 7.0), ("b", -i as f64 / 7.0), ("c", 0.1 + i as f64)])
        })
        .collect();
    let pages_after = |batch: usize| {
        let mut lab = Lab::new();
        let pages = |lab: &Lab| -> i64 {
            let sql = "SELECT page_count FROM pragma_page_count";
            lab.store.read(|tx| tx.one(sql, [], |row| row.get(0))).unwrap()
        };
        let empty = pages(&lab);
        let mut appender = Appender::new(lab.run, 0);
        for part in updates.chunks(batch) {
            lab.store.write(|tx| appender.append(tx, part)).map(drop).unwrap();
        }
        lab.check();
        let b: Vec<(i64, f64)> = (0..20 * PAGE).map(|i| (i * 10, -i as f64 / 7.0)).collect();
        assert_eq!(lab.values("b"), b, "batches of {batch}");
        pages(&lab) - empty
    };
    let (small, large) = (pages_after(7), pages_after(updates.len()));
    assert!(small * 100 <= large * 105, "{small} pages and {large}");
}

#[test]
fn two_writers_of_one_attempt_take_turns() {
    let mut lab = Lab::new();
    let mut other = Store::open(lab.store.path(), Open::Existing).unwrap();
    let (mut one, mut two) = (Appender::new(lab.run, 0), Appender::new(lab.run, 0));
    for i in 0..1500i64 {
        let update = at(None, &[("a", i as f64), ("b", 1.0)]);
        let done = lab.store.write(|tx| one.append(tx, &[update])).unwrap();
        assert_eq!(done, Appended::Done);
        if i % 3 == 0 {
            let update = at(None, &[("b", 2.0), ("c", f64::NAN)]);
            let done = other.write(|tx| two.append(tx, &[update])).unwrap();
            assert_eq!(done, Appended::Done);
        }
    }
    assert_eq!(lab.values("a").len(), 1500);
    assert_eq!(
        lab.values("b").iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        (0..2000).collect::<Vec<_>>()
    );
    assert_eq!(lab.values("c").len(), 500);
    lab.check();
}

#[test]
fn a_failed_transaction_leaves_nothing_behind() {
    let mut lab = Lab::new();
    let mut appender = Appender::new(lab.run, 0);
    let update = [at(None, &[("a", 1.0)])];
    for fail in [true, false, true, false] {
        let result = lab.store.write(|tx| {
            let done = appender.append(tx, &update)?;
            if fail { Err(Error::Interrupted) } else { Ok(done) }
        });
        if result.is_err() {
            appender.reset();
        }
    }
    assert_eq!(lab.values("a"), [(0, 1.0), (1, 1.0)]);
    // Without the reset nothing wrong is written either.
    let _ = lab.store.write(|tx| {
        let _ = appender.append(tx, &[at(None, &[("new", 1.0)])])?;
        Err::<(), _>(Error::Interrupted)
    });
    let _ = lab.store.write(|tx| appender.append(tx, &[at(None, &[("new", 2.0)])]));
    lab.check();
}

#[test]
fn a_lost_lease_stops_the_points() {
    let mut lab = Lab::new();
    let run = lab.run;
    let job = lab.store.write(|tx| add_job(tx, run)).unwrap();
    let mut appender = Appender::for_job(job, 1);
    let update = [at(None, &[("a", 1.0)])];
    assert_eq!(lab.store.write(|tx| appender.append(tx, &update)).unwrap(), Appended::Done);
    lab.store.write(|tx| tx.run("UPDATE job SET attempt = 2", [])).unwrap();
    assert_eq!(lab.store.write(|tx| appender.append(tx, &update)).unwrap(), Appended::LeaseLost);
    assert_eq!(lab.values("a").len(), 1);
}

#[test]
fn a_new_attempt_hides_what_it_did_not_resume_from() {
    let mut lab = Lab::new();
    let run = lab.run;
    let updates: Vec<Update> = (0..3000).map(|i| at(i, &[("a", i as f64)])).collect();
    lab.append(1, &updates);
    let noted = Update {
        step: Some(2999),
        at_ms: 0,
        values: vec![("note".into(), Value::Text("end".into()))],
    };
    lab.append(1, &[noted]);
    lab.store.write(|tx| supersede(tx, run, 2, Some(1999))).unwrap();
    assert_eq!(lab.summary("a").last, Some(1999.0));
    assert_eq!(lab.summary("note").n, 0);
    lab.check();
    lab.append(2, &[at(None, &[("a", -1.0)])]);
    assert_eq!(lab.values("a")[1999..], [(1999, 1999.0), (2000, -1.0)]);
    lab.check();
    // Points that come late from the old attempt are kept, and do not count.
    lab.append(1, &[at(3001, &[("a", 5.0)]), at(3, &[("a", 6.0)])]);
    assert_eq!(lab.values("a").len(), 2002);
    assert_eq!(lab.summary("a").n, 2002);
    let thin = lab.store.read(|tx| thin(tx, run, "a", 2)).unwrap().unwrap();
    assert_eq!(thin.iter().map(|part| part.n).sum::<i64>(), 2002);
    lab.store.write(|tx| supersede(tx, run, 3, None)).unwrap();
    assert_eq!(lab.values("a"), []);
    assert_eq!(lab.summary("a").last, None);
    lab.check();
}

#[test]
fn values_go_in_the_kind_their_series_has() {
    let mut lab = Lab::new();
    let update = |values: Vec<(&str, Value)>| Update {
        step: None,
        at_ms: 0,
        values: values.into_iter().map(|(name, value)| (name.into(), value)).collect(),
    };
    lab.append(
        0,
        &[update(vec![
            ("x", Value::Scalar(1.0)),
            ("v", Value::vector(&[1.0, f64::NAN, f64::NEG_INFINITY])),
            ("t", Value::Text("it's\n\"é\"".into())),
        ])],
    );
    lab.append(
        0,
        &[update(vec![
            ("x", Value::Clock(2.0)),
            ("v", Value::Scalar(f64::INFINITY)),
            ("t", Value::Scalar(0.5)),
        ])],
    );
    let run = lab.run;
    let (vectors, texts) = lab
        .store
        .read(|tx| Ok((vectors(tx, run, "v")?.unwrap(), texts(tx, run, "t")?.unwrap())))
        .unwrap();
    assert_eq!(vectors[0].1.to_string(), r#"[1.0,null,"-inf"]"#);
    assert_eq!(vectors[1], (1, "inf".into()));
    assert_eq!(texts, [(0, "it's\n\"é\"".to_owned()), (1, "0.5".to_owned())]);
    for (table, rows) in [("vectors", 2), ("texts", 2), ("metrics", 3)] {
        let sql = format!("SELECT count(*) FROM {table}");
        let n: i64 = lab.store.read(|tx| tx.one(&sql, [], |row| row.get(0))).unwrap();
        assert_eq!(n, rows, "{table}");
    }
    let bad = [update(vec![
        ("ok", Value::Scalar(3.0)),
        ("x", Value::Text("no".into())),
        ("", Value::Scalar(1.0)),
    ])];
    let error = lab.store.write(|tx| append(tx, run, 0, &bad)).unwrap_err();
    assert!(error.to_string().contains("name"), "{error}");
    let mut lenient = Appender::new(run, 0).lenient();
    let done = lab.store.write(|tx| lenient.append(tx, &bad)).unwrap();
    assert_eq!(done, Appended::Done);
    assert_eq!(lenient.take_refused().len(), 2);
    assert_eq!(lab.values("ok"), [(2, 3.0)]);
    assert!(lab.store.write(|tx| append(tx, RunId(99), 0, &bad)).is_err());
    lab.check();
}

#[test]
fn extreme_steps_and_sums_do_not_overflow() {
    let mut lab = Lab::new();
    let updates = [
        at(i64::MIN, &[("a", f64::MAX)]),
        at(i64::MAX, &[("a", f64::MAX)]),
        at(None, &[("a", 1.0)]),
    ];
    lab.append(0, &updates);
    let steps: Vec<i64> = lab.values("a").iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [i64::MIN, i64::MAX, i64::MAX]);
    lab.check();
}

#[test]
fn points_go_with_their_run() {
    let mut lab = Lab::new();
    let updates: Vec<Update> = (0..2000).map(|i| at(i, &[("a", 1.0), ("b", 2.0)])).collect();
    let first = lab.run;
    lab.append(0, &updates);
    lab.run = lab.store.write(add_run).unwrap();
    lab.append(0, &updates);
    lab.store.write(|tx| tx.run("DELETE FROM run WHERE id = ?1", [lab.run])).unwrap();
    lab.run = lab.store.write(add_run).unwrap();
    lab.append(0, &updates[..10]);
    assert_eq!(lab.values("a").len(), 10);
    lab.check();
    lab.run = first;
    assert_eq!(lab.values("b").len(), 2000);
    let points = |lab: &Lab| -> i64 {
        lab.store.read(|tx| tx.one("SELECT count(*) FROM point", [], |row| row.get(0))).unwrap()
    };
    assert_eq!(points(&lab), 4020);
    lab.store.write(|tx| tx.run("DELETE FROM experiment", [])).unwrap();
    assert_eq!(points(&lab), 0);
}
