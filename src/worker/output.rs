//! What a job prints: kept as a head and a tail, and read for `::mle` lines.

/// Bytes kept from the start of each stream.
pub(super) const HEAD: i64 = 512 * 1024;
/// Bytes kept from its end.
pub(super) const TAIL: i64 = 512 * 1024;
/// A line longer than this is not looked at for `::mle`.
const LINE_MAX: usize = 1 << 20;
/// Pieces are stored when they are this long, or after a moment.
pub(super) const PIECE: usize = 64 * 1024;

/// One stream of a running job.
#[derive(Default)]
pub(super) struct Capture {
    /// Bytes written by the job so far.
    pub total: i64,
    /// Not stored yet; starts at `total - pending.len()`.
    pub pending: Vec<u8>,
    stored_to: i64,
    line: Vec<u8>,
    line_too_long: bool,
    /// Lines that start with `::mle ` and are too long to be read.
    pub too_long: u64,
}

/// A piece to store, and what to drop when it is.
pub(super) struct Piece {
    pub offset: i64,
    pub bytes: Vec<u8>,
    /// Stored pieces inside this range go.
    pub drop: Option<(i64, i64)>,
}

impl Capture {
    /// Takes bytes in; calls `on_line` for each complete line that starts with `::mle `, without that mark.
    pub fn take(&mut self, bytes: &[u8], on_line: &mut dyn FnMut(&[u8])) {
        self.total += i64::try_from(bytes.len()).unwrap_or(0);
        self.pending.extend_from_slice(bytes);
        // Between two stores a fast printer must not fill our memory: only a head and a tail can matter.
        let most = (HEAD + 2 * TAIL) as usize;
        if self.pending.len() > most {
            let start = self.total - self.pending.len() as i64;
            let head = usize::try_from((HEAD - start).max(0)).unwrap_or(0);
            let tail = self.pending.len() - TAIL as usize;
            if head == 0 {
                self.pending.drain(..tail);
            }
        }
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.add_to_line(&rest[..end]);
            self.end_line(on_line);
            rest = &rest[end + 1..];
        }
        self.add_to_line(rest);
    }

    /// The stream is over: its last line may lack a newline.
    pub fn finish(&mut self, on_line: &mut dyn FnMut(&[u8])) {
        self.end_line(on_line);
    }

    fn add_to_line(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LINE_MAX {
            self.line_too_long = true;
            // Its beginning says whether it was meant for us.
            self.line.extend_from_slice(&bytes[..bytes.len().min(64)]);
            self.line.truncate(64);
        } else if !self.line_too_long {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, on_line: &mut dyn FnMut(&[u8])) {
        if let Some(rest) = self.line.trim_ascii_start().strip_prefix(b"::mle ") {
            if self.line_too_long {
                self.too_long += 1;
            } else {
                on_line(rest);
            }
        }
        self.line.clear();
        self.line_too_long = false;
    }

    /// Returns what to store now.
    pub fn pieces(&mut self) -> Vec<Piece> {
        if self.pending.is_empty() {
            return Vec::new();
        }
        let bytes = std::mem::take(&mut self.pending);
        let start = self.total - bytes.len() as i64;
        let keep_from = (self.total - TAIL).max(HEAD);
        let drop = (self.total > HEAD + TAIL).then_some((HEAD, keep_from));
        let mut pieces = Vec::new();
        let mut offset = start;
        for part in bytes.chunks(PIECE) {
            let end = offset + part.len() as i64;
            if offset < HEAD || end > keep_from {
                pieces.push(Piece { offset, bytes: part.to_vec(), drop: None });
            }
            offset = end;
        }
        self.stored_to = self.total;
        if let Some(last) = pieces.last_mut() {
            last.drop = drop;
        }
        pieces
    }

    /// Returns the last line that says something, for an error message.
    pub fn last_words(tail: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(tail);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        let clean: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
        Some(clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_line_is_found_across_reads() {
        let mut capture = Capture::default();
        let mut lines = Vec::new();
        for part in ["hello\n::mle {\"a\"", ": 1}\n::ml", "e 2"] {
            capture.take(part.as_bytes(), &mut |line| lines.push(line.to_vec()));
        }
        capture.finish(&mut |line| lines.push(line.to_vec()));
        assert_eq!(lines, [b"{\"a\": 1}".to_vec(), b"2".to_vec()]);
    }

    #[test]
    fn a_marked_line_that_is_too_long_is_counted() {
        let mut capture = Capture::default();
        let long = "a".repeat(LINE_MAX);
        for part in ["::mle ", &long, "\n", &long, "b\n::mle ok\n::mle ", &long] {
            capture.take(part.as_bytes(), &mut |line| assert_eq!(line, b"ok"));
        }
        capture.finish(&mut |_| panic!("the last line is too long"));
        assert_eq!(capture.too_long, 2);
    }

    #[test]
    fn a_long_output_keeps_its_head_and_its_tail() {
        let mut capture = Capture::default();
        let mut kept = std::collections::BTreeMap::new();
        for i in 0..100u8 {
            capture.take(&vec![i; 100_000], &mut |_| {});
            for piece in capture.pieces() {
                kept.insert(piece.offset, piece.bytes.len() as i64);
                if let Some((from, to)) = piece.drop {
                    kept.retain(|offset, size| !(*offset >= from && offset + *size <= to));
                }
            }
        }
        let size: i64 = kept.values().sum();
        assert!((HEAD + TAIL..HEAD + TAIL + 3 * 100_000).contains(&size), "{size}");
        assert_eq!(kept.first_key_value().map(|(offset, _)| *offset), Some(0));
        assert_eq!(kept.last_key_value().map(|(offset, size)| offset + size), Some(10_000_000));
    }
}
