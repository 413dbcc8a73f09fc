//! Words that may stand in no file: marks of unfinished work, tests that do not run, paths of one machine.
//!
//! Owns: the list. Never: judges a sentence. Each word is written in two halves here, so that it is not found.

use super::{Source, Violation};

/// Whole words in any text file.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
/// In Rust files.
const IN_RUST: [(&str, &str); 4] = [
    (concat!("todo", "!("), "write it, or take it out and put a line into docs/roadmap.md"),
    (
        concat!("unimplemented", "!("),
        "write it, or take it out and put a line into docs/roadmap.md",
    ),
    (concat!("#[ig", "nore"), "let the test run, or take it out"),
    (concat!("should_", "panic"), "assert on the error or the message instead"),
];
/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/fa", "rm/")];

pub(super) fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (idx, line) in source.text.lines().enumerate() {
        for path in MACHINE_PATHS.iter().filter(|path| names_path(line, path)) {
            let what = format!("a path of one machine, `{path}`");
            violations.push(source.violation(idx, what, "name it from the root of the repository"));
        }
        if is_text(&source.path) {
            for mark in UNFINISHED.iter().filter(|mark| has_word(line, mark)) {
                let mend = "finish it, or put a line into docs/roadmap.md";
                violations.push(source.violation(idx, format!("the mark `{mark}`"), mend));
            }
        }
        if source.is_rust() {
            for (text, mend) in IN_RUST.iter().filter(|(text, _)| line.contains(text)) {
                violations.push(source.violation(idx, format!("`{text}`"), mend));
            }
        }
    }
    violations
}

fn is_text(path: &str) -> bool {
    let endings = [
        ".rs", ".toml", ".md", ".js", ".mjs", ".ts", ".wat", ".wit", ".c", ".h", ".sh", ".yml",
        ".json",
    ];
    endings.iter().any(|ending| path.ends_with(ending))
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        let before = line[..start].chars().next_back().is_some_and(joins);
        let after = line[start + word.len()..].chars().next().is_some_and(joins);
        !before && !after
    })
}

/// True when the path begins here, and is not the middle of a longer one.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}*~".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(path: &str, text: &str) -> usize {
        check(&Source { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn marks_are_found_as_whole_words_only() {
        let mark = UNFINISHED[2];
        assert_eq!(check_line("a.rs", &format!("// {mark}: later")), 1);
        assert_eq!(check_line("a.rs", &format!("mkdtemp(\"a{mark}{mark}\")")), 0);
        assert_eq!(check_line("Cargo.lock", mark), 0);
    }

    #[test]
    fn tests_that_do_not_run_are_found() {
        for (text, _) in IN_RUST {
            assert_eq!(check_line("a.rs", text), 1, "{text}");
            assert_eq!(check_line("a.md", text), 0, "{text}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_found_in_every_kind_of_file() {
        let path = MACHINE_PATHS[0];
        assert_eq!(check_line("a.wasm", &format!("\0\u{1}{path}main/x.rs")), 1);
        assert_eq!(check_line("a.md", &format!("see docs{path}x")), 0);
    }
}
