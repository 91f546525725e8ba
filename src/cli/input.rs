//! What a verb reads: texts of bounded size, so that a device or a wrong file is an error and not the end of the memory.

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::spec::SIZE_MAX_BYTES;

/// The largest list of commands that is read.
const LIST_MAX_BYTES: u64 = 1 << 30;

/// Reads a spec, a space or a list of trials from a file, which may be a pipe.
///
/// # Errors
/// [`Error::Io`]; [`Error::Invalid`] when it is too large, or no UTF-8, with the line.
pub(super) fn document(path: &Path) -> Result<String> {
    let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    text(file, path, SIZE_MAX_BYTES as u64)
}

/// Reads standard input to its end, for a list with an entry a line.
///
/// # Errors
/// [`Error::Io`]; [`Error::Invalid`] when it is too large, or no UTF-8, with the line.
pub(super) fn lines_of_stdin() -> Result<String> {
    text(std::io::stdin().lock(), Path::new("standard input"), LIST_MAX_BYTES)
}

fn text(from: impl Read, path: &Path, max_bytes: u64) -> Result<String> {
    let mut bytes = Vec::new();
    from.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| Error::io(path, error))?;
    let what = path.display().to_string();
    if bytes.len() as u64 > max_bytes {
        let why = format!("is larger than the {} MiB that are read", max_bytes >> 20);
        return Err(Error::invalid(what, why));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
        Error::invalid(format!("{what}, line {line}"), "is not UTF-8 text")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_and_says_where_it_is_none() {
        let read = |bytes: &[u8]| text(bytes, Path::new("x"), 5).map_err(|error| error.to_string());
        assert_eq!(read("añb\n".as_bytes()).unwrap(), "añb\n");
        assert_eq!(read(b"a\nb\xff\n").unwrap_err(), "x, line 2: is not UTF-8 text");
        assert!(read(b"123456").unwrap_err().contains("is larger than"));
        let zeros = text(std::io::repeat(0), Path::new("x"), 3 << 20).unwrap_err();
        assert_eq!(zeros.to_string(), "x: is larger than the 3 MiB that are read");
    }
}
