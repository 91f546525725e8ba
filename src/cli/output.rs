//! What a verb prints: tables that fit the terminal, or JSON for programs.
//!
//! All text of the file goes through [`sanitize`] on its way to a terminal. Colours are used on a terminal only, and
//! not when `NO_COLOR` is set. A reader that goes away (`mle … | head`) is no error; a full disk is. All of the command line
//! prints through here: `println!` would panic in both cases.

use std::io::{IsTerminal, Write};

use comfy_table::{Cell, ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::{Map, Value};

use crate::display::{cell, json, json_text};
pub use crate::display::{sanitize, sanitize_lines};
use crate::error::{Error, Result};
use crate::store::SqlValue;

/// How a verb prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// JSON instead of tables and sentences.
    pub json: bool,
    /// With colours.
    pub color: bool,
}

impl Output {
    /// Colours as the terminal and `NO_COLOR` have it.
    pub fn new(json: bool) -> Output {
        let color = !json
            && std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        Output { json, color }
    }

    /// Prints text as it stands, and a line end. What comes from the file must have been sanitized.
    ///
    /// # Errors
    /// [`Error::Io`], not when the reader went away.
    pub fn line(&self, text: &str) -> Result<()> {
        print(format!("{text}\n").as_bytes())
    }

    /// Prints rows of texts as a table that fits the terminal. Nothing is printed for no rows but `none`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn table(&self, names: &[&str], rows: &[Vec<String>], none: &str) -> Result<()> {
        if rows.is_empty() {
            return self.line(none);
        }
        self.line(&self.table_text(names, rows, terminal_width()))
    }

    /// Returns the table that [`Output::table`] prints; without a width it is as wide as it needs to be.
    pub fn table_text(&self, names: &[&str], rows: &[Vec<String>], width: Option<u16>) -> String {
        let mut table = Table::new();
        table.load_style(TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─')));
        match width {
            Some(width) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width)
            }
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        table.set_header(names.iter().map(|name| Cell::new(sanitize(name))));
        for row in rows {
            table.add_row(row.iter().map(|text| Cell::new(sanitize(text))));
        }
        let text = table.trim_fmt();
        match text.split_once("\n─").filter(|_| self.color) {
            Some((header, rest)) => {
                let header: Vec<String> = header.lines().map(|line| self.bold(line)).collect();
                format!("{}\n─{rest}", header.join("\n"))
            }
            None => text,
        }
    }

    /// Prints the rows of a query: a table, or a JSON array with an object a row.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rows(&self, names: &[String], rows: &[Vec<SqlValue>]) -> Result<()> {
        if self.json {
            let objects = rows.iter().map(|row| object(names, row)).collect::<Vec<_>>();
            return self.json_array(&objects);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        self.table(&names, &rows, "no rows")
    }

    /// Prints one JSON value on a line.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn json(&self, value: &Value) -> Result<()> {
        self.line(&json_text(value))
    }

    /// Prints a JSON array with each element on a line of its own.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn json_array(&self, values: &[Value]) -> Result<()> {
        let lines: Vec<String> =
            values.iter().map(|value| format!("  {}", json_text(value))).collect();
        match lines.is_empty() {
            true => self.line("[]"),
            false => self.line(&format!("[\n{}\n]", lines.join(",\n"))),
        }
    }

    /// Prints JSON values as lines, for streams.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn json_lines(&self, values: &[Value]) -> Result<()> {
        values.iter().try_for_each(|value| self.json(value))
    }

    /// Prints `text`, or with `--json` the value.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn done(&self, text: &str, value: &Value) -> Result<()> {
        if self.json { self.json(value) } else { self.line(text) }
    }

    /// Prints what was kept: to a file or a program as it is, to a terminal harmless.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn raw(&self, bytes: &[u8]) -> Result<()> {
        if std::io::stdout().is_terminal() {
            let text = String::from_utf8_lossy(bytes);
            return self.line(sanitize_lines(&text).trim_end());
        }
        print(bytes)
    }

    /// Lets `body` write to a file or a program without holding all of it in memory.
    ///
    /// # Errors
    /// What `body` returns, unless the reader went away.
    pub fn stream(&self, body: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        let flush = |mut out: std::io::BufWriter<std::io::StdoutLock<'_>>| {
            out.flush().map_err(|error| Error::io("standard output", error))
        };
        match body(&mut out).and_then(|()| flush(out)) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
                Ok(())
            }
            result => result,
        }
    }

    /// Returns the text in bold, where there are colours.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Returns the text dimmed, where there are colours.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Returns a state's word in its colour, where there are colours.
    pub fn state(&self, word: &str) -> String {
        let code = match word {
            "complete" | "succeeded" => "32",
            "failed" | "lost" => "31",
            "running" => "34",
            "cancelled" | "pruned" | "paused" | "preempted" => "33",
            _ => "2",
        };
        self.paint(code, word)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Says something on standard error: a warning, progress, an error. That nobody can be told stops no work.
pub fn note(text: &str) {
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Returns a path as JSON: what is not UTF-8 in it is replaced, as JSON has no place for it.
pub fn path_json(path: &std::path::Path) -> Value {
    path.to_string_lossy().into()
}

/// Returns a row of a query as a JSON object. Of columns with one name the last counts.
pub fn object(names: &[String], row: &[SqlValue]) -> Value {
    names.iter().cloned().zip(row.iter().map(json)).collect::<Map<_, _>>().into()
}

/// Returns the columns of the terminal; `None` when the output goes elsewhere.
pub fn terminal_width() -> Option<u16> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    // SAFETY: an all-zero winsize is a valid value, and the kernel fills the struct it is given.
    let columns = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) == 0)
            .then_some(size.ws_col)
    };
    columns
        .filter(|columns| *columns > 0)
        .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
        .or(Some(80))
}

fn print(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("standard output", error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Output = Output { json: false, color: false };

    fn rows() -> Vec<Vec<String>> {
        vec![
            vec!["1".into(), "a long name that must be wrapped somewhere".into()],
            vec!["20".into(), "\u{1b}[31mred".into()],
        ]
    }

    #[test]
    fn a_table_fits_the_terminal_and_is_harmless() {
        let narrow = PLAIN.table_text(&["id", "name"], &rows(), Some(30));
        assert!(narrow.lines().all(|line| line.chars().count() <= 30), "{narrow}");
        assert!(narrow.contains("\\u{1b}[31mred") && !narrow.contains('\u{1b}'));
        let wide = PLAIN.table_text(&["id", "name"], &rows(), None);
        assert_eq!(wide.lines().count(), 4, "{wide}");
    }

    #[test]
    fn colours_are_only_in_the_header() {
        let text = Output { json: false, color: true }.table_text(&["id", "name"], &rows(), None);
        assert!(text.lines().next().unwrap().starts_with("\u{1b}[1m"));
        assert_eq!(text.matches('\u{1b}').count(), 2);
        assert_eq!(PLAIN.state("failed"), "failed");
    }

    #[test]
    fn a_row_is_an_object() {
        let names = ["a".to_owned(), "b".to_owned()];
        let row = [SqlValue::Real(f64::INFINITY), SqlValue::Blob(vec![1, 255])];
        assert_eq!(object(&names, &row), serde_json::json!({"a": "inf", "b": "01ff"}));
    }
}
