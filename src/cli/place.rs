//! Files that people ask for beside the one that everything is in.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How a file of SQLite begins.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Writes a file: all of it, or nothing; a database is not written over. A link is followed, and what is no plain file, such
/// as a pipe, is written to as it is.
///
/// # Errors
/// [`Error::Invalid`] when a database is there, or belongs to the one at `db`; [`Error::Io`].
pub fn write(path: &Path, content: &[u8], db: &Path) -> Result<()> {
    let io = |error| Error::io(path, error);
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let there = std::fs::metadata(&target).ok();
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        return std::fs::write(path, content).map_err(io);
    }
    if is_database(&target) || is_beside(&target, db) {
        return Err(Error::invalid(
            path.display().to_string(),
            "is a database, and stays as it is",
        )
        .with_hint("name another file"));
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    // As other programs make files: the user's mask decides.
    let mode = there.map_or_else(|| PermissionsExt::from_mode(0o666), |there| there.permissions());
    let mut file = tempfile::Builder::new()
        .prefix(".mle-")
        .permissions(mode)
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.persist(&target).map(drop).map_err(|error| io(error.error))
}

fn is_database(path: &Path) -> bool {
    let mut start = [0; SQLITE.len()];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    match read {
        Ok(()) => start == SQLITE,
        // What cannot be read may be anything.
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof),
    }
}

/// Says whether a path is that of a database's log or of the index of it.
fn is_beside(path: &Path, db: &Path) -> bool {
    let db = std::fs::canonicalize(db).unwrap_or_else(|_| db.to_owned());
    let with = |end: &str| {
        let mut name = db.clone().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    [with(""), with("-wal"), with("-shm")].iter().any(|other| other == path)
}

/// Returns the file in this folder for something of this name, with what no file name should have left out.
pub fn db_of(name: &str) -> PathBuf {
    let clean: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .take(100)
        .collect();
    let clean = clean.trim_matches(|c| c == '.' || c == '-');
    PathBuf::from(format!("{}.db", if clean.is_empty() { "experiment" } else { clean }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_and_no_database_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("x.db"), [SQLITE, b"and more"].concat()).unwrap();
        std::fs::write(at("x.db-wal"), "log").unwrap();
        std::os::unix::fs::symlink("x.db", at("link.csv")).unwrap();
        for name in ["x.db", "x.db-wal", "link.csv"] {
            let error = write(&at(name), b"new", &at("x.db")).unwrap_err();
            assert!(error.to_string().contains("is a database"), "{name}: {error}");
        }
        assert_eq!(std::fs::read(at("x.db-wal")).unwrap(), b"log");
        write(&at("a.csv"), b"old and long", &at("x.db")).unwrap();
        std::fs::set_permissions(at("a.csv"), PermissionsExt::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("a.csv", at("b.csv")).unwrap();
        write(&at("b.csv"), b"new", &at("x.db")).unwrap();
        assert_eq!(std::fs::read(at("a.csv")).unwrap(), b"new");
        assert_eq!(std::fs::metadata(at("a.csv")).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(at("b.csv").is_symlink());
        assert!(write(&at("no/such.csv"), b"new", &at("x.db")).is_err());
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 5, "nothing else is left");
    }

    #[test]
    fn a_name_stays_in_this_folder() {
        for (name, file) in [
            ("lr", "lr.db"),
            ("../../esc", "_.._esc.db"),
            ("a b/c", "a_b_c.db"),
            ("..", "experiment.db"),
        ] {
            assert_eq!(db_of(name), PathBuf::from(file));
        }
    }
}
