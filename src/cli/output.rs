//! What a verb prints: tables that fit the terminal, or JSON for programs.
//!
//! All text of the file goes through [`sanitize`] on its way to a terminal. Colours are used on a terminal only, and
//! not when `NO_COLOR` is set. A reader that goes away (`mle … | head`) is no error; a full disk is. All of the command line
//! prints through here: `println!` would panic in both cases.

use std::io::{IsTerminal, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

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
    ///
    /// What does not fit is cut with `…`, the widest texts first, and numbers never; what cannot fit even so is a list of
    /// records, a line for each cell.
    pub fn table_text(&self, names: &[&str], rows: &[Vec<String>], width: Option<u16>) -> String {
        let names: Vec<String> = names.iter().map(|name| sanitize(name).into_owned()).collect();
        let rows: Vec<Vec<String>> = (rows.iter())
            .map(|row| row.iter().map(|text| sanitize(text).into_owned()).collect())
            .collect();
        let columns = columns(&names, &rows);
        let widths = match width {
            None => columns.iter().map(|column| column.width).collect(),
            Some(width) => match fit(&columns, width.into()) {
                Some(widths) => widths,
                None => return self.records_text(&names, &rows),
            },
        };
        let mut table = Table::new();
        table.load_style(TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─')));
        table.set_content_arrangement(ContentArrangement::Disabled);
        let cell = |at: usize, text: &str| {
            let side =
                if columns[at].is_number { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(cut(text, widths[at])).set_alignment(side)
        };
        table.set_header(names.iter().enumerate().map(|(at, name)| cell(at, name)));
        for row in &rows {
            table.add_row(row.iter().enumerate().map(|(at, text)| cell(at, text)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 1));
        }
        // The rule is as long as the longest line, without the blanks that end it.
        let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        let is_rule = |line: &String| line.starts_with('─');
        let longest = lines.iter().filter(|line| !is_rule(line)).map(|line| line.width()).max();
        for line in lines.iter_mut().filter(|line| is_rule(line)) {
            *line = "─".repeat(longest.unwrap_or(0));
        }
        let text = lines.join("\n");
        match text.split_once("\n─").filter(|_| self.color) {
            Some((header, rest)) => {
                let header: Vec<String> = header.lines().map(|line| self.bold(line)).collect();
                format!("{}\n─{rest}", header.join("\n"))
            }
            None => text,
        }
    }

    fn records_text(&self, names: &[String], rows: &[Vec<String>]) -> String {
        let longest = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let records = rows.iter().map(|row| {
            let lines = names.iter().zip(row).map(|(name, text)| {
                let pad = " ".repeat(longest - name.width());
                format!("{}{pad}  {text}", self.bold(name)).trim_end().to_owned()
            });
            lines.collect::<Vec<_>>().join("\n")
        });
        records.collect::<Vec<_>>().join("\n\n")
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
            return self.line(sanitize_lines(&text.replace("\r\n", "\n")).trim_end());
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

/// A column of texts is not cut below this.
const TEXT_MIN: usize = 6;

/// A column as it would like to be.
struct Column {
    width: usize,
    is_number: bool,
}

fn columns(names: &[String], rows: &[Vec<String>]) -> Vec<Column> {
    let of = |at: usize| rows.iter().filter_map(move |row| row.get(at));
    let column = |(at, name): (usize, &String)| Column {
        width: of(at).map(|text| text.width()).fold(name.width(), usize::max),
        is_number: of(at).any(|text| !text.is_empty()) && of(at).all(|text| is_number(text)),
    };
    names.iter().enumerate().map(column).collect()
}

/// A number, or what is made of numbers only, as an interval.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
        || text
            .replace(" of ", "/")
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.,/[]%… e–—".contains(c))
}

/// Returns how wide each column can be; `None` when the terminal is too narrow for all of them.
fn fit(columns: &[Column], width: usize) -> Option<Vec<usize>> {
    let least = |column: &Column| match column.is_number {
        true => column.width,
        false => column.width.min(TEXT_MIN),
    };
    let total = |widths: &[usize]| table_width(widths.iter().copied());
    let mut widths: Vec<usize> = columns.iter().map(|column| column.width).collect();
    while total(&widths) > width {
        let (at, _) = (widths.iter().enumerate())
            .filter(|(at, width)| **width > least(&columns[*at]))
            .max_by_key(|(_, width)| **width)?;
        widths[at] -= 1;
    }
    Some(widths)
}

/// A blank before each column and one after it, but for the last.
fn table_width(widths: impl ExactSizeIterator<Item = usize>) -> usize {
    (2 * widths.len()).saturating_sub(1) + widths.sum::<usize>()
}

/// Returns whether a table fits the terminal without cutting; it does where there is none.
pub fn fits(names: &[&str], rows: &[Vec<String>]) -> bool {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let wanted = table_width(columns(&names, rows).iter().map(|column| column.width));
    terminal_width().is_none_or(|width| wanted <= width.into())
}

/// Returns as much of a text as fits, with `…` in place of the rest.
fn cut(text: &str, width: usize) -> std::borrow::Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if short.width() >= width {
            // A wide character may reach beyond the place of the mark too.
            while short.width() >= width && short.pop().is_some() {}
            break;
        }
    }
    short.push('…');
    short.into()
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
    std::io::stdout().is_terminal().then(|| terminal_width_of(libc::STDOUT_FILENO))
}

/// Returns the columns of the terminal behind a descriptor; 80 when it does not say.
pub fn terminal_width_of(descriptor: i32) -> u16 {
    // SAFETY: an all-zero winsize is a valid value, and the kernel fills the struct it is given.
    let columns = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(descriptor, libc::TIOCGWINSZ, &raw mut size) == 0).then_some(size.ws_col)
    };
    columns
        .filter(|columns| *columns > 0)
        .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
        .unwrap_or(80)
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
        for width in 12..60 {
            let narrow = PLAIN.table_text(&["id", "name"], &rows(), Some(width));
            let fits = |line: &str| line.chars().count() <= width.into();
            assert!(narrow.lines().all(fits) && narrow.lines().count() == 4, "{narrow}");
            assert!(width < 24 || narrow.contains("\\u{1b}[31mred"), "{narrow}");
            assert!(!narrow.contains('\u{1b}'));
        }
        let wide = PLAIN.table_text(&["id", "name"], &rows(), None);
        assert_eq!(wide.lines().count(), 4, "{wide}");
    }

    #[test]
    fn numbers_are_not_cut_and_long_texts_first() {
        let names = ["name", "value", "why"];
        let why = "a very long reason that goes on and on";
        let row = ["conf_12345".into(), "0.12346".into(), why.into()].to_vec();
        let text = PLAIN.table_text(&names, std::slice::from_ref(&row), Some(40));
        assert_eq!(text.lines().last(), Some(" conf_12345  0.12346  a very long reaso…"), "{text}");
        // Twelve numbers do not fit at all: then each has a line.
        let names: Vec<String> = (0..12).map(|i| format!("p{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let row = vec!["0.12346".to_owned(); 12];
        let text = PLAIN.table_text(&names, &[row.clone(), row], Some(80));
        assert!(text.starts_with("p0   0.12346\np1   0.12346\n"), "{text}");
        assert_eq!(text.lines().count(), 25);
        assert_eq!(cut("猫猫猫猫", 5), "猫猫…");
        assert_eq!(cut("猫猫猫猫", 4), "猫…");
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
