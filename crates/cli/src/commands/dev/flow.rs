//! The one flow of lines, and the line that is typed below it.
//!
//! Owns: time, mark and colour of each line, and keeping the typed line at the bottom. Never: knows what happens.

use nex_api::Time;
use serde::Serialize;

use super::happening::{Happening, Words};
use crate::commands::logs::Form;
use crate::ui;

/// Below the time and the mark of a first line.
const INDENT: &str = "           ";
/// Of a terminal that does not tell.
const USUAL_WIDTH: usize = 80;

/// Where happenings go.
#[derive(Debug)]
pub(super) struct Flow {
    form: Form,
    /// What stands below the flow: a question and what is typed.
    prompt: Option<String>,
    is_open: bool,
}

#[derive(Debug, Serialize)]
struct Timed<'a> {
    time: Time,
    #[serde(flatten)]
    happening: &'a Happening,
}

impl Flow {
    pub(super) fn new(form: Form) -> Self {
        Self { form, prompt: None, is_open: true }
    }

    /// Whether somebody reads.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn show(&mut self, happening: &Happening) {
        if self.form != Form::Text {
            // Remarks tell of keys, and what programs read has none.
            if !matches!(happening, Happening::Remark { .. }) {
                let timed = Timed { time: Time::now(), happening };
                self.is_open &= ui::follow(serde_json::to_string(&timed).unwrap_or_default());
            }
            return;
        }
        if self.prompt.is_some() {
            ui::raw(b"\r\x1b[K");
        }
        let time = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        for line in rows(&happening.words(), &time, ui::paint_out) {
            self.is_open &= ui::follow(line);
        }
        self.draw();
    }

    /// Asks, and shows what is typed so far; none ends it.
    pub(super) fn ask(&mut self, question: &str, typed: Option<&str>) {
        if self.prompt.is_some() {
            ui::raw(b"\r\x1b[K");
        }
        let told = crossterm::terminal::size().map_or(0, |(columns, _)| columns.into());
        let width = if told == 0 { USUAL_WIDTH } else { told };
        self.prompt = typed.map(|typed| fitting(&format!("{question} {typed}"), width));
        self.draw();
    }

    fn draw(&self) {
        if let Some(prompt) = &self.prompt {
            ui::raw(prompt.as_bytes());
        }
    }
}

/// The lines of a happening as they stand on a screen.
fn rows(words: &Words, time: &str, paint: impl Fn(&str, &str) -> String) -> Vec<String> {
    let mark = paint(words.mark, words.colour);
    let mut lines = words.lines.iter().map(|line| ui::harmless(line));
    let first = lines.next().unwrap_or_default();
    let first = format!("{} {mark} {first}", paint(time, "2"));
    [first].into_iter().chain(lines.map(|line| format!("{INDENT}{line}"))).collect()
}

/// The end of a text, on one row of that width.
fn fitting(text: &str, width: usize) -> String {
    let shown: Vec<char> = text.chars().map(|c| if c.is_control() { '⏎' } else { c }).collect();
    let from = shown.len().saturating_sub(width.saturating_sub(1).max(1));
    shown.iter().skip(from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, _: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn lines_stand_below_each_other_and_are_harmless() {
        let lines = vec!["one\u{1b}[2J".to_owned(), "two".to_owned()];
        let words = Words { mark: "✓", colour: ui::GREEN, lines };
        assert_eq!(
            rows(&words, "12:00:01", plain),
            ["12:00:01 ✓ one\u{fffd}[2J", "           two"]
        );
    }

    #[test]
    fn of_a_long_line_its_end_is_shown() {
        assert_eq!(fitting("call: abc", 80), "call: abc");
        assert_eq!(fitting("call: abcdef", 5), "cdef");
        assert_eq!(fitting("a\nb\u{1b}", 80), "a⏎b⏎");
        assert_eq!(fitting("ab", 0), "b");
    }
}
