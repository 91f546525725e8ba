//! `mle doctor`: is the file whole, and what is around it?

use std::path::Path;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::study::orphans_of;
use crate::error::{Error, Result};
use crate::metric;
use crate::process::{self, Identity};
use crate::store::{SCHEMA_VERSION, SqlValue};

/// Check the file and this machine
///
/// Looks at the file's integrity, programs and scripts that are gone, leases that ran out, the disk, python3 and git. Exit code 1
/// when something needs care.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  mle doctor --db digits.db")]
pub struct DoctorArgs {
    /// Skip the integrity check, which reads the whole file
    #[arg(long)]
    quick: bool,
}

/// Checks.
///
/// # Errors
/// [`Error::Failed`] when something needs care; what opening the file returns.
pub fn run(args: &DoctorArgs, output: &Output, db: &Path) -> Result<()> {
    let mut rows: Vec<(String, bool, String)> = Vec::new();
    let mut say = |what: &str, good: bool, text: String| rows.push((what.into(), good, text));
    let store = metric::open_to_read(db)?;
    let size = std::fs::metadata(db).map_or(0, |metadata| metadata.len());
    say(
        "file",
        true,
        format!("{} · {:.1} MiB · schema {SCHEMA_VERSION}", db.display(), size as f64 / 1048576.0),
    );
    let host = process::host();
    store.read(|tx| {
        say("sqlite", true, tx.one("SELECT sqlite_version()", [], |row| row.get(0))?);
        if !args.quick {
            let problems: Vec<String> =
                tx.all("SELECT integrity_check FROM pragma_integrity_check LIMIT 5", [], |row| row.get(0))?;
            say("integrity", problems == ["ok"], problems.join("; "));
            let broken: i64 = tx.one("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
            say("references", broken == 0, format!("{broken} rows point nowhere"));
        }
        let live: Vec<(i64, String, u32, String, String)> = tx.all(
            "SELECT id, kind, pid, process_start, host FROM worker WHERE state = 'live' ORDER BY id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )?;
        let gone: Vec<&(i64, String, u32, String, String)> = live
            .iter()
            .filter(|(_, _, pid, start, on)| *on == host && process::start_of(*pid).as_deref() != Some(start))
            .collect();
        let at_work: Vec<String> = live
            .iter()
            .filter(|worker| !gone.contains(worker))
            .map(|(id, kind, pid, _, on)| format!("{kind} {id} ({on}, process {pid})"))
            .collect();
        say("programs", true, if at_work.is_empty() { "none at work".into() } else { at_work.join(", ") });
        if !gone.is_empty() {
            let ids: Vec<String> = gone.iter().map(|worker| worker.0.to_string()).collect();
            say(
                "gone",
                false,
                format!("worker {} ended without a word; any worker or scheduler started here clears up", ids.join(", ")),
            );
        }
        for lost in metric::lost_loggers(tx)? {
            // Opening the file ended their runs, unless it cannot be written.
            let Identity { host, pid, .. } = &lost.identity;
            say("logger", false, format!("process {pid} ({host}) is gone; its runs end when a program can write the file"));
        }
        let orphans = orphans_of(tx, None)?;
        orphans.into_iter().for_each(|line| say("trials", false, line));
        let expired: i64 = tx.one(
            "SELECT count(*) FROM job WHERE state = 'running' AND lease_until_ms < ?1",
            [tx.now_ms],
            |row| row.get(0),
        )?;
        say("leases", expired == 0, format!("{expired} ran out and wait to be given back"));
        let dead: i64 = tx.one("SELECT count(*) FROM job WHERE state = 'failed'", [], |row| row.get(0))?;
        say("failed jobs", true, format!("{dead} (`mle status --jobs failed{}`)", super::db_flag(db)));
        Ok(())
    })?;
    for program in ["python3", "git"] {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        });
        say(program, true, if found { "found".into() } else { "not on the PATH".into() });
    }
    say(
        "machine",
        true,
        format!(
            "{host} · {} cores · {} MiB · {} GPUs",
            process::cores(),
            process::memory_mib(),
            process::gpus().len()
        ),
    );
    let bad = rows.iter().filter(|(_, good, _)| !good).count();
    let table: Vec<Vec<SqlValue>> = rows
        .into_iter()
        .map(|(what, good, text)| {
            vec![
                what.into(),
                if good { "ok".to_owned() } else { "look".to_owned() }.into(),
                text.into(),
            ]
        })
        .collect();
    output.rows(&["what".into(), "state".into(), "detail".into()], &table)?;
    if bad > 0 {
        return Err(Error::Failed(format!("{bad} things need care")));
    }
    Ok(())
}
