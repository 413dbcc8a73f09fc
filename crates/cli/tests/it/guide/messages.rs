//! The page about trouble tells of messages that Nex really prints, and of every error code.
//!
//! Its headings of the third level are messages, with `…` for what differs from time to time. A message is real
//! when a text of the sources has its parts in their order, or what the page's own commands print.

use std::path::Path;

use nex_testkit::root;

use super::folder;
use super::page::{Fence, Page};

const MOST_LIKELY: usize = 40;

#[test]
fn messages_that_are_explained_are_printed() {
    let page = Page::read(&folder().join("troubleshooting.md"));
    let messages: Vec<&str> = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    assert!(messages.len() >= MOST_LIKELY, "it explains {} messages", messages.len());
    let mut texts = texts();
    texts.extend(printed(&page));
    let unknown: Vec<&&str> = messages.iter().filter(|message| !is_said(message, &texts)).collect();
    assert!(unknown.is_empty(), "nothing in the sources says: {unknown:#?}");
}

#[test]
fn every_error_code_is_linked() {
    let page = Page::read(&folder().join("troubleshooting.md"));
    for file in std::fs::read_dir(root().join("docs/errors")).unwrap() {
        let file = file.unwrap().file_name().to_string_lossy().into_owned();
        assert!(page.text.contains(&format!("](../errors/{file})")), "{file} is not linked");
    }
}

fn is_said(message: &str, texts: &[String]) -> bool {
    let parts: Vec<&str> = message.split('…').filter(|part| !part.trim().is_empty()).collect();
    let n_letters: usize = parts.iter().map(|part| part.len()).sum();
    assert!(n_letters >= 10, "{message} could be anything");
    texts.iter().any(|text| {
        let mut rest = text.as_str();
        parts.iter().all(|part| {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
            true
        })
    })
}

/// What the page's own commands print, line by line; typing the page has proved it.
fn printed(page: &Page) -> Vec<String> {
    let mut lines = Vec::new();
    for fence in page.fences() {
        if let Fence::Commands(steps) = fence {
            let said = steps.iter().flat_map(|step| &step.expected);
            lines.extend(said.map(|line| (*line).to_owned()));
        }
    }
    lines
}

/// Every text between quotes in the sources of all crates.
fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    for member in std::fs::read_dir(root().join("crates")).unwrap() {
        read(&member.unwrap().path().join("src"), &mut texts);
    }
    assert!(texts.len() > 1000, "{} texts were found", texts.len());
    texts
}

fn read(path: &Path, texts: &mut Vec<String>) {
    if let Ok(entries) = std::fs::read_dir(path) {
        entries.for_each(|entry| read(&entry.unwrap().path(), texts));
    } else if path.extension().is_some_and(|ending| ending == "rs") {
        quoted(&std::fs::read_to_string(path).unwrap(), texts);
    }
}

/// Texts of a source file; line ends after a backslash are joined, comments are passed over.
fn quoted(source: &str, texts: &mut Vec<String>) {
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let from = &rest[at..];
        let is_raw = rest[..at].ends_with("r#");
        rest = if from.starts_with("//") {
            from.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(quote) =
            ["'\"'", "'\\\"'", "'\\''"].iter().find(|q| from.starts_with(**q))
        {
            &from[quote.len()..]
        } else if from.starts_with('"') && is_raw {
            let (text, after) = from[1..].split_once("\"#").unwrap_or((&from[1..], ""));
            texts.push(text.to_owned());
            after
        } else if let Some(inside) = from.strip_prefix('"') {
            let (text, after) = ended(inside);
            texts.push(text);
            after
        } else {
            &from[1..]
        };
    }
}

/// A text without its escapes, and what stands behind its end.
fn ended(from: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = from.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (text, &from[at + 1..]),
            '\\' => match letters.next() {
                Some((_, '\n')) => {
                    while letters.as_str().starts_with(char::is_whitespace) {
                        letters.next();
                    }
                }
                Some((_, 'n')) => text.push('\n'),
                Some((_, other)) => text.push(other),
                None => {}
            },
            letter => text.push(letter),
        }
    }
    (text, "")
}
