//! What people see: data on stdout, the rest on stderr, tables, errors, strangers' text made harmless.
//!
//! Owns: printing. Never: decides what to print. A broken pipe is success.
#![allow(clippy::print_stderr, reason = "the one place that prints")]

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{Cell, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use serde::Serialize;

use crate::commands::explain::has_page;
use crate::error::CliError;

/// Of a yes or no.
const LONGEST_ANSWER: u64 = 64;

/// Whether keys are read one by one: then the terminal takes a line feed for just that, without a return
/// to the first column.
static IS_RAW: AtomicBool = AtomicBool::new(false);

/// Says that the terminal is in raw mode, or no more.
pub(crate) fn set_raw(is_raw: bool) {
    IS_RAW.store(is_raw, Ordering::SeqCst);
}

/// Whether it is.
pub(crate) fn is_raw() -> bool {
    IS_RAW.load(Ordering::SeqCst)
}

/// Standard error for who writes whole lines and knows nothing of raw mode.
#[derive(Debug, Default)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_raw() {
            // In place of a line that is being typed, which is drawn again with the next happening.
            let text = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
            io::stderr().write_all(format!("\r\x1b[K{text}").as_bytes())?;
        } else {
            io::stderr().write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn end() -> &'static str {
    if is_raw() { "\r\n" } else { "\n" }
}

/// Writes one line of data.
pub(crate) fn line(text: impl Display) {
    raw(format!("{text}{}", end()).as_bytes());
}

/// Writes data as it is. When the reader has gone there is nobody left to tell, so the process is
/// to end well: the error is dropped, and followers ask [`is_open`].
pub(crate) fn raw(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _broken_pipe = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// Writes one line of data; false when nobody reads any more.
pub(crate) fn follow(text: impl Display) -> bool {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}{}", end()).and_then(|()| stdout.flush()).is_ok()
}

/// Writes one JSON document.
pub(crate) fn json(value: &impl Serialize) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    line(text);
}

/// Writes a remark to standard error.
pub(crate) fn note(text: impl Display) {
    let _closed = write!(io::stderr(), "{text}{}", end());
}

/// Asks, on a terminal, whether to go on; without one nobody is asked, and it goes on.
pub(crate) fn confirm(question: impl Display) -> Result<(), CliError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    let mut stderr = io::stderr();
    let _closed = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let _none = io::stdin().lock().take(LONGEST_ANSWER).read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::other("nothing was done").hint("without a question: --yes")),
    }
}

/// Writes an error with its detail and hint, and tells the exit code.
pub(crate) fn report(error: &CliError) -> ExitCode {
    let code = error.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
    note(format_args!("{} {}{code}", paint("error:", RED), harmless_lines(&error.message)));
    if let Some(detail) = &error.detail {
        for detail_line in detail.lines() {
            note(format_args!("  {}", harmless(detail_line)));
        }
    }
    if let Some(hint) = &error.hint {
        note(format_args!("{} {hint}", paint("hint:", CYAN)));
    }
    if let Some(code) = error.code.as_deref().filter(|code| has_page(code)) {
        note(format_args!("{} nex explain {code}", paint("more:", CYAN)));
    }
    ExitCode::from(error.kind.exit_code())
}

/// A table with a header; on a narrow terminal columns wrap.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(Cell::new));
    for row in rows {
        table.add_row(row.iter().map(|cell| Cell::new(harmless(cell))));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for text in table.lines() {
        line(text.trim_end());
    }
}

/// A table with a title in rounded lines, as the Go command line draws it.
pub(crate) fn titled_table(title: &str, header: &[&str], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table.load_style(ROUNDED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(Cell::new));
    for row in rows {
        table.add_row(row.iter().map(|cell| Cell::new(harmless(cell))));
    }
    let lines: Vec<String> = table.lines().collect();
    let top: Vec<char> = lines.first().map(|line| line.chars().collect()).unwrap_or_default();
    let width = top.len().saturating_sub(2);
    // The table's own top becomes the line between title and header.
    let between: String = top
        .iter()
        .map(|c| match c {
            '╭' => '├',
            '╮' => '┤',
            other => *other,
        })
        .collect();
    line(format_args!("╭{}╮", "─".repeat(width)));
    line(format_args!("│{:^width$}│", harmless(title)));
    line(between);
    lines.iter().skip(1).for_each(line);
}

const ROUNDED: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('╭', '─', '┬', '╮'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('╰', '─', '┴', '╯'));

/// Aligned `key: value` lines under a heading.
pub(crate) fn block(heading: &str, pairs: &[(&str, String)]) {
    line(paint_out(heading, BOLD));
    // Keys are strangers' text too: those of a nexlet's metadata.
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| (harmless(key), value)).collect();
    let width = pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
    for (key, value) in pairs {
        let mut lines = value.lines().map(harmless);
        line(format_args!("  {key:<width$}  {}", lines.next().unwrap_or_default()));
        // Below each other, and too far in to pass for a key of ours.
        lines.for_each(|more| line(format_args!("  {:width$}  {more}", "")));
    }
}

/// Strangers' text without control codes, on one line.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n  ")
}

pub(crate) const BOLD: &str = "1";
pub(crate) const RED: &str = "31";
pub(crate) const GREEN: &str = "32";
pub(crate) const YELLOW: &str = "33";
pub(crate) const CYAN: &str = "36";

/// Colour for standard output, on a terminal that wants it.
pub(crate) fn paint_out(text: &str, code: &str) -> String {
    coloured(text, code, io::stdout().is_terminal())
}

fn paint(text: &str, code: &str) -> String {
    coloured(text, code, io::stderr().is_terminal())
}

fn coloured(text: &str, code: &str, is_terminal: bool) -> String {
    if is_terminal && wants_colour() {
        return format!("\u{1b}[{code}m{text}\u{1b}[0m");
    }
    text.to_owned()
}

/// Whether whoever looks at the terminal likes colours.
pub(crate) fn wants_colour() -> bool {
    // NO_COLOR is a convention of the terminal, not a setting of Nex.
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_text_cannot_steer_a_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\n"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
        assert_eq!(harmless("tab\there"), "tab\there");
    }
}
