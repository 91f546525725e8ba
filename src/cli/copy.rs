//! `mle copy`: the whole file as it is now, beside programs that write it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::output::{Output, path_json, sanitize};
use crate::display::size;
use crate::error::{Error, Result};

/// Copy the file, whole and consistent, also while programs are at work on it
///
/// What is committed stands in the file and, while it is in use or after a kill, in the -wal file beside it, which a plain
/// copy leaves behind. This copy has it all, in one file and as of one moment. A target that is there already stays as it is.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  mle copy backup.db --db lab.db")]
pub struct CopyArgs {
    /// The file to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,
}

/// A name beside the target that is taken away again, whatever happens.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Copies.
///
/// # Errors
/// [`Error::Invalid`] for a target that is there, or that has no file name; [`Error::Io`]; those of the store.
pub fn run(args: &CopyArgs, output: &Output, db: &Path) -> Result<()> {
    let bytes = copy(db, &args.target)?;
    let (from, to) = (db.display(), args.target.display());
    let text = format!("copied {from} to {to} ({})", size(bytes));
    output.done(
        &sanitize(&text),
        &json!({ "db": path_json(db), "copy": path_json(&args.target), "size_bytes": bytes }),
    )
}

fn copy(db: &Path, target: &Path) -> Result<i64> {
    // SQLite takes the name as text, and one that begins with `file:` for more than a name.
    let target = std::path::absolute(target).map_err(|error| Error::io(target, error))?;
    let name =
        target.file_name().and_then(|name| name.to_str()).filter(|_| target.to_str().is_some());
    let Some(name) = name else {
        return Err(Error::invalid(
            target.display().to_string(),
            "is no name of a file that can be made",
        ));
    };
    let taken = || {
        Error::invalid(target.display().to_string(), "is there already")
            .with_hint("name a file that is not there yet")
    };
    if target.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let store = crate::metric::open_to_read(db)?;
    let part = Part(target.with_file_name(format!(".{name}.{}.part", std::process::id())));
    store.copy_to(&part.0)?;
    let whole = std::fs::File::open(&part.0).map_err(|error| Error::io(&part.0, error))?;
    whole.sync_all().map_err(|error| Error::io(&part.0, error))?;
    let bytes = whole.metadata().map_err(|error| Error::io(&part.0, error))?.len();
    // A link takes no name that somebody took meanwhile, as renaming would.
    match std::fs::hard_link(&part.0, &target) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(taken()),
        // Some file systems have no links.
        Err(_) if target.symlink_metadata().is_ok() => return Err(taken()),
        Err(_) => std::fs::rename(&part.0, &target).map_err(|error| Error::io(&target, error))?,
    }
    if let Some(folder) = target.parent() {
        // That the name is on the disk too cannot be asked of every file system.
        let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TrySendError;

    use super::*;
    use crate::protocol::tests::{experiment, store};
    use crate::store::{Open, Store};

    #[test]
    fn a_copy_beside_a_writer_is_of_one_moment() {
        let (_folder, mut store) = store();
        let db = store.path().to_owned();
        let id = experiment(&mut store, "x");
        let (sender, receiver) = std::sync::mpsc::sync_channel(0);
        let add = "INSERT INTO note (experiment_id, text, at_ms, user_name) VALUES (?1, ?2, 0, '')";
        std::thread::scope(|scope| {
            let (store, receiver) = (&mut store, receiver);
            scope.spawn(move || {
                for round in 0_i64.. {
                    let two = |tx: &crate::store::WriteTx<'_>| {
                        tx.insert(add, rusqlite::params![id, round.to_string()])?;
                        tx.insert(add, rusqlite::params![id, round.to_string()])
                    };
                    store.write(two).unwrap();
                    if let Err(TrySendError::Disconnected(())) = sender.try_send(()) {
                        break;
                    }
                }
            });
            let mut before = 0;
            for i in 0..5 {
                // What is told second was begun after the last copy.
                receiver.recv().unwrap();
                receiver.recv().unwrap();
                let target = db.with_file_name(format!("copy_{i}.db"));
                copy(&db, &target).unwrap();
                let copy = Store::open(&target, Open::ReadOnly).unwrap();
                let (notes, whole, twice): (i64, String, bool) = copy
                    .read(|tx| {
                        let pairs = "SELECT count(*) = 2 * count(DISTINCT text) FROM note";
                        Ok((
                            tx.one("SELECT count(*) FROM note", [], |row| row.get(0))?,
                            tx.one("PRAGMA integrity_check", [], |row| row.get(0))?,
                            tx.one(pairs, [], |row| row.get(0))?,
                        ))
                    })
                    .unwrap();
                assert!(whole == "ok" && twice && notes > before, "{notes} {before} {whole}");
                before = notes;
            }
        });
        // What is there stays, and nothing half-written does.
        let target = db.with_file_name("copy_0.db");
        let bytes = std::fs::read(&target).unwrap();
        assert_eq!(bytes[18..20], [2, 2], "it is not in write-ahead mode");
        let told = copy(&db, &target).unwrap_err().to_string();
        assert!(told.ends_with("copy_0.db: is there already"), "{told}");
        assert!(std::fs::read(&target).unwrap() == bytes);
        assert!(copy(&db, Path::new("/")).is_err());
        assert!(copy(&db, &db.with_file_name("no/such/folder.db")).is_err());
        let names = std::fs::read_dir(db.parent().unwrap()).unwrap();
        let names: Vec<_> =
            names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!names.iter().any(|name| name.contains(".part")), "{names:?}");
    }
}
