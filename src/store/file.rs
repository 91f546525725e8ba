//! What a path is before SQLite sees it: ours, foreign, new, or on a file system SQLite must not be used on.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use super::gate::Gate;
use crate::error::{Error, Result};

/// "mle1", in the header of every file of ours.
pub(super) const APPLICATION_ID: i32 = 0x6d6c_6531;

/// What lies at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Empty,
    Ours,
}

/// Looks at the header without SQLite, so that a file that is not ours stays as it is.
///
/// # Errors
/// [`Error::WrongFile`] for a foreign database, another kind of file, or a directory; [`Error::Io`].
pub(super) fn inspect(path: &Path) -> Result<Found> {
    let wrong = |why: &str| Error::WrongFile {
        path: path.to_owned(),
        why: why.into(),
        hint: Some("give the path of a file made by mle, or of a new one, with --db".into()),
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(Error::io(path, error)),
    };
    if metadata.is_dir() {
        return Err(wrong("is a directory, not a database"));
    }
    if !metadata.is_file() {
        return Err(wrong("is not a regular file"));
    }
    if metadata.len() == 0 {
        return Ok(Found::Empty);
    }
    let file = gate(path)?.file();
    let mut header = [0u8; 100];
    let read = file.read_at(&mut header, 0).map_err(|error| Error::io(path, error))?;
    if read < header.len() || &header[..16] != b"SQLite format 3\0" {
        return Err(wrong("is not a database"));
    }
    let application = i32::from_be_bytes([header[68], header[69], header[70], header[71]]);
    if application != APPLICATION_ID {
        return Err(wrong("is an SQLite database of another program"));
    }
    Ok(Found::Ours)
}

/// Returns the gate of the file, whose descriptor is never closed.
///
/// Closing any descriptor of a file drops all POSIX locks this process has on it, SQLite's among them, so one is kept
/// for each file for as long as the process lives.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened.
pub(super) fn gate(path: &Path) -> Result<&'static Gate> {
    static OPEN: OnceLock<Mutex<HashMap<(u64, u64), &'static Gate>>> = OnceLock::new();
    let open = OPEN.get_or_init(Mutex::default);
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
    let mut open = open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(gate) = open.get(&(metadata.dev(), metadata.ino())) {
        return Ok(gate);
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .or_else(|_| File::open(path))
        .map_err(|error| Error::io(path, error))?;
    let gate: &'static Gate = Box::leak(Box::new(Gate::new(file)));
    open.insert((metadata.dev(), metadata.ino()), gate);
    Ok(gate)
}

/// Refuses a file that folders know by two names: SQLite keeps its log beside the name it was opened by, and who opens it by
/// the other does not see it.
///
/// # Errors
/// [`Error::WrongFile`] with a remedy.
pub(super) fn refuse_two_names(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.nlink() > 1 => Err(Error::WrongFile {
            path: path.to_owned(),
            why: format!(
                "has {} names (hard links); two programs that use it by two of them would damage it",
                metadata.nlink()
            ),
            hint: Some("make a copy of it, and remove the other names".into()),
        }),
        _ => Ok(()),
    }
}

/// Refuses file systems whose locks and shared memory SQLite cannot rely on.
///
/// # Errors
/// [`Error::WrongFile`] with a remedy.
pub(super) fn refuse_network(path: &Path) -> Result<()> {
    let place = if path.exists() { path } else { folder_of(path) };
    let Some(kind) = assumed().or_else(|| magic(place)).and_then(network_name) else {
        return Ok(());
    };
    Err(Error::WrongFile {
        path: path.to_owned(),
        why: format!("lies on a network file system ({kind}), where SQLite's locks cannot be relied on"),
        hint: Some(
            "keep the file on a local disk (for example in /tmp or /var/tmp) and copy it when the programs have ended"
                .into(),
        ),
    })
}

/// Says why the system lets nobody write beside the file, where it does not.
pub(super) fn refusal(path: &Path) -> Option<std::io::Error> {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder_of(path);
    let text = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: `text` is a C string and `disk` a plain struct that the kernel fills.
    unsafe {
        if libc::access(text.as_ptr(), libc::W_OK) != 0 {
            return Some(std::io::Error::last_os_error());
        }
        let mut disk: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(text.as_ptr(), &raw mut disk) == 0
            && disk.f_blocks > 0
            && disk.f_bavail < 16)
            .then(|| std::io::Error::from_raw_os_error(libc::ENOSPC))
    }
}

/// Returns the folder a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A file system number to pretend, for tests: `MLE_ASSUME_FILESYSTEM=26985` is NFS.
fn assumed() -> Option<i64> {
    std::env::var("MLE_ASSUME_FILESYSTEM").ok()?.parse().ok()
}

fn magic(path: &Path) -> Option<i64> {
    use std::os::unix::ffi::OsStrExt;
    let text = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: `text` is a C string and `found` a plain struct that the kernel fills.
    unsafe {
        let mut found: libc::statfs = std::mem::zeroed();
        (libc::statfs(text.as_ptr(), &raw mut found) == 0)
            .then_some(found.f_type as i64 & 0xffff_ffff)
    }
}

fn network_name(magic: i64) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b => "SMB",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 => "SMB2",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x00c3_6400 => "Ceph",
        0x1983_0326 => "BeeGFS",
        0x5346_414f => "AFS",
        0x0102_1997 => "9p",
        0x6173_7064 => "PanFS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_and_local_ones_pass() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xef53), None, "ext4");
        assert_eq!(network_name(0x0102_1994), None, "tmpfs");
    }

    #[test]
    fn a_foreign_file_is_told_from_an_empty_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        assert_eq!(inspect(&path).unwrap(), Found::Nothing);
        std::fs::write(&path, "").unwrap();
        assert_eq!(inspect(&path).unwrap(), Found::Empty);
        std::fs::write(&path, "hello").unwrap();
        assert!(inspect(&path).is_err());
    }
}
