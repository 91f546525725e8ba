//! Artifacts back into files. A name comes from the file, perhaps a stranger's: it is never trusted as a path.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{read, show};
use crate::error::{Error, Result};
use crate::id::ArtifactId;
use crate::store::ReadTx;

/// The longest part of a path that common file systems take.
const PART_MAX_BYTES: usize = 200;

/// Returns the path inside a folder that a name stands for: its parts without `..`, without what is empty, and with
/// control characters and backslashes replaced. Never absolute, never empty.
pub fn relative_path(name: &str) -> PathBuf {
    let path: PathBuf = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .map(|part| {
            let clean = |c: char| if c.is_control() || c == '\\' { '_' } else { c };
            let mut part: String = part.chars().map(clean).collect();
            while part.len() > PART_MAX_BYTES {
                part.pop();
            }
            part
        })
        .collect();
    if path.as_os_str().is_empty() { PathBuf::from("artifact") } else { path }
}

/// Writes an artifact into `folder` under its name, in folders of its own where the name has slashes; returns the path.
///
/// # Errors
/// [`Error::Invalid`] when the file is there already, or a link on the way leads out of `folder`; those of [`read`].
pub fn export(tx: &ReadTx, id: ArtifactId, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(relative_path(&show(tx, id)?.name));
    let parent = path.parent().unwrap_or(folder);
    make_folders(folder, parent)?;
    export_to(tx, id, &path, false)?;
    Ok(path)
}

/// Makes the folders between `root` and `folder`, following no link.
fn make_folders(root: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(root).map_err(|error| Error::io(root, error))?;
    let mut at = root.to_owned();
    for part in folder.strip_prefix(root).unwrap_or(Path::new("")).components() {
        at.push(part);
        match std::fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(Error::invalid(
                    at.display().to_string(),
                    "is in the way: not a folder",
                ));
            }
            Err(_) => std::fs::create_dir(&at).map_err(|error| Error::io(&at, error))?,
        }
    }
    Ok(())
}

/// Writes an artifact to `path`: all of it, or nothing.
///
/// # Errors
/// [`Error::Invalid`] when the file is there already and `overwrite` is off; those of [`read`].
pub fn export_to(tx: &ReadTx, id: ArtifactId, path: &Path, overwrite: bool) -> Result<()> {
    let there = || {
        Error::invalid(path.display().to_string(), "is there already")
            .with_hint("give another path with --out, or remove the file")
    };
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(there());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let io = |error| Error::io(path, error);
    let mut file = tempfile::Builder::new().prefix(".mle-").tempfile_in(folder).map_err(io)?;
    read(tx, id, &mut std::io::BufWriter::with_capacity(1 << 20, &mut file))?;
    file.flush().map_err(io)?;
    use std::os::unix::fs::PermissionsExt;
    // A temporary file is the owner's only; what people ask for is like any other file.
    let mode = std::fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(io)?;
    let placed = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    match placed {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(there()),
        Err(error) => Err(io(error.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::relative_path;
    use std::path::Path;

    #[test]
    fn no_name_leads_outside() {
        for (name, expected) in [
            ("a/b.png", "a/b.png"),
            ("../../etc/passwd", "etc/passwd"),
            ("/etc/passwd", "etc/passwd"),
            ("..", "artifact"),
            ("/", "artifact"),
            ("a/./../b", "a/b"),
            ("x\n\u{1b}[2J\\y\0", "x__[2J_y_"),
            ("näme 'q\"", "näme 'q\""),
            ("...", "..."),
        ] {
            assert_eq!(relative_path(name), Path::new(expected));
        }
        let long = relative_path(&"é".repeat(1000));
        assert!(long.as_os_str().len() <= 200);
    }
}
