//! Picks a named statement out of an included `.sql` file while compiling.
//!
//! A file of `sql/` holds statements, each after a line `-- name: verb_object`. A misspelt name fails the build.

/// Returns the statement after the line `-- name: <name>` of `text`, up to the next name or the end.
///
/// # Panics
/// While compiling, when there is no such name.
pub const fn named(text: &'static str, name: &str) -> &'static str {
    let (bytes, name) = (text.as_bytes(), name.as_bytes());
    let mut line = 0;
    while line < bytes.len() {
        let end = line_end(bytes, line);
        if is_name_line(bytes, line, end, Some(name)) {
            let mut stop = end;
            while stop < bytes.len() && !is_name_line(bytes, stop, line_end(bytes, stop), None) {
                stop = line_end(bytes, stop);
            }
            let (_, rest) = text.split_at(end);
            let (body, _) = rest.split_at(stop - end);
            return body;
        }
        line = end;
    }
    panic!("no statement of this name in the .sql file")
}

const MARK: &[u8] = b"-- name: ";

const fn line_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        if bytes[at] == b'\n' {
            return at + 1;
        }
        at += 1;
    }
    at
}

const fn is_name_line(bytes: &[u8], start: usize, end: usize, name: Option<&[u8]>) -> bool {
    if !matches(bytes, start, MARK) {
        return false;
    }
    match name {
        None => true,
        Some(name) => {
            let after = start + MARK.len() + name.len();
            matches(bytes, start + MARK.len(), name)
                && (after >= end || bytes[after] == b'\n' || bytes[after] == b'\r')
        }
    }
}

const fn matches(bytes: &[u8], start: usize, what: &[u8]) -> bool {
    if start + what.len() > bytes.len() {
        return false;
    }
    let mut i = 0;
    while i < what.len() {
        if bytes[start + i] != what[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::named;

    const TEXT: &str =
        "-- header\n-- name: add\n-- why\nINSERT 1;\n\n-- name: add_more\nINSERT 2;\n";

    #[test]
    fn a_name_is_matched_whole() {
        const ADD: &str = named(TEXT, "add");
        assert_eq!(ADD.trim(), "-- why\nINSERT 1;");
        assert_eq!(named(TEXT, "add_more").trim(), "INSERT 2;");
    }
}
