//! Folders of jobs, under the system's temporary one. Their names say which worker made them, so that what a killed worker
//! leaves can be taken away by others.

use std::io;

use tempfile::{Builder, TempDir};

/// Makes a folder for a job of the worker `uid`, which goes when the value does.
///
/// # Errors
/// What the system says.
pub fn make(uid: &str) -> io::Result<TempDir> {
    Builder::new().prefix(&prefix(uid)).tempdir()
}

/// Takes away what the worker `uid`, which is gone, left.
pub fn clear(uid: &str) {
    if !is_uid(uid) {
        return;
    }
    let prefix = prefix(uid);
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            // What cannot be removed is another user's, or held by what hangs in the kernel.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn prefix(uid: &str) -> String {
    format!("mle-{uid}-")
}

/// Uids also come from files that strangers made: only one that could be ours names folders to remove.
fn is_uid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok_and(|uid| uid.hyphenated().to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_named_worker_left_is_taken_away() {
        let [gone, live] = [0; 2].map(|_| uuid::Uuid::now_v7().to_string());
        let left = make(&gone).unwrap().keep();
        std::fs::write(left.join("config.json"), "{}").unwrap();
        let kept = make(&live).unwrap();
        for uid in [gone.as_str(), "", "..", &gone[..35]] {
            clear(uid);
        }
        assert!(!left.exists());
        assert!(kept.path().exists());
    }
}
