//! A page of the guide, taken apart: fences, commands, and what they print.
//!
//! Owns: the rules of how a page is written. Never: runs anything.

use std::path::{Path, PathBuf};

/// Kinds of fences without a name that are for reading.
const FOR_READING: &[&str] = &["", "json", "js", "yaml", "rust", "text"];

pub(super) struct Page {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) text: String,
}

pub(super) enum Fence<'a> {
    File { name: &'a str, text: &'a str },
    Commands(Vec<Step<'a>>),
    ForReading,
}

/// A command and what the page says about it.
pub(super) struct Step<'a> {
    pub(super) command: &'a str,
    /// Parts of its output, in order.
    pub(super) expected: Vec<&'a str>,
    /// What the command in the background prints by then.
    pub(super) background: Vec<&'a str>,
    pub(super) exit: i32,
}

impl Page {
    pub(super) fn read(file: &Path) -> Self {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let folder = file.parent().unwrap().to_owned();
        let text = std::fs::read_to_string(file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self { name, folder, text }
    }

    pub(super) fn fences(&self) -> Vec<Fence<'_>> {
        raw(&self.text).into_iter().map(|(info, text)| self.fence(info, text)).collect()
    }

    /// The page without its fences.
    pub(super) fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }

    /// Lines of fences with commands, typed or not, and of lists of them.
    pub(super) fn command_lines(&self) -> Vec<&str> {
        let mut lines = Vec::new();
        for (info, text) in raw(&self.text) {
            match info {
                "console" => lines.extend(text.lines().filter_map(|line| line.strip_prefix("$ "))),
                "json" | "js" | "yaml" | "rust" => {}
                _ => lines.extend(text.lines()),
            }
        }
        lines
    }

    fn fence<'a>(&self, info: &'a str, text: &'a str) -> Fence<'a> {
        match info.split_once(' ') {
            Some(("sh", reason)) if reason.len() > "not typed: ".len() => {
                assert!(reason.starts_with("not typed: "), "{}: ```{info}", self.name);
                Fence::ForReading
            }
            Some((_, name)) => Fence::File { name, text },
            None if info == "console" => Fence::Commands(steps(text)),
            None => {
                let is_known = FOR_READING.contains(&info) && !text.contains("\n$ ");
                assert!(
                    is_known && !text.starts_with("$ "),
                    "{}: a fence of kind {info:?} is neither a file, nor commands, nor for reading (commands \
                     that can be typed: ```console, and others: ```sh not typed: REASON):\n{text}",
                    self.name
                );
                Fence::ForReading
            }
        }
    }
}

/// What stands behind the opening mark, and the text, of each fence.
fn raw(page: &str) -> Vec<(&str, &str)> {
    let inside = page.split("```").skip(1).step_by(2);
    inside.map(|fence| fence.split_once('\n').expect("a fence has lines")).collect()
}

fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (expected, background) = (Vec::new(), Vec::new());
            steps.push(Step { command, expected, background, exit: 0 });
            continue;
        }
        let step = steps.last_mut().expect("a command comes first");
        if let Some(code) = line.strip_prefix("exit ") {
            step.exit = code.parse().expect("an exit code is a number");
        } else if let Some(said) = line.strip_prefix("& ") {
            step.background.push(said);
        } else {
            step.expected.push(line);
        }
    }
    steps
}
