//! Rules for `.rs` files: a module doc, and budgets for files and functions.
//!
//! Owns: the budgets. Never: parses Rust; it relies on the layout that rustfmt gives.

use super::{Source, Violation};

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 100;

pub(super) fn check(source: &Source) -> Vec<Violation> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut violations = Vec::new();
    let is_build_script = source.path.ends_with("/build.rs") && !source.path.contains("/src/");
    if !is_build_script && !lines.first().is_some_and(|line| line.starts_with("//!")) {
        let mend = "say in `//!` what the file owns and what it never does";
        violations.push(source.violation(0, "no module documentation", mend));
    }
    if lines.len() > FILE_LINES {
        let what = format!("{} lines, the budget is {FILE_LINES}", lines.len());
        violations.push(source.violation(FILE_LINES, what, "split the file"));
    }
    violations.extend(long_functions(source, &lines));
    violations
}

fn long_functions(source: &Source, lines: &[&str]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut idx = 0;
    while let Some(line) = lines.get(idx) {
        if line.trim() == "#[cfg(test)]"
            && lines.get(idx + 1).is_some_and(|next| opens_module(next))
        {
            idx = end_of_block(lines, idx + 1);
        } else if let Some(name) = function_name(line) {
            let n_lines = end_of_block(lines, idx) - idx + 1;
            if n_lines > FUNCTION_LINES {
                let what = format!(
                    "function `{name}` has {n_lines} lines, the budget is {FUNCTION_LINES}"
                );
                violations.push(source.violation(idx, what, "give its parts names of their own"));
            }
        }
        idx += 1;
    }
    violations
}

fn opens_module(line: &str) -> bool {
    line.trim_start().trim_start_matches("pub ").starts_with("mod ") && line.ends_with('{')
}

/// The name, if a function's signature begins on this line.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_qualifier = |word: &str| {
        ["pub", "const", "async", "unsafe", "extern", "\"C\"", "in"].contains(&word)
            || word.starts_with("pub(")
            || word.ends_with(')')
    };
    if !before.split_whitespace().all(is_qualifier) {
        return None;
    }
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
    (end > 0).then(|| &after[..end])
}

/// The index of the line that closes what opens at `start`: the first `}` at the same indentation. A signature that
/// ends with `;`, or a body on the same line, ends where it is.
fn end_of_block(lines: &[&str], start: usize) -> usize {
    let indentation = indentation(lines[start]);
    for (idx, line) in lines.iter().enumerate().skip(start) {
        if idx > start
            && self::indentation(line) == indentation
            && line.trim_start().starts_with('}')
        {
            return idx;
        }
        let same_level = idx == start || self::indentation(line) == indentation;
        if same_level
            && !line.trim().is_empty()
            && (line.ends_with(';') || line.ends_with("{}") || line.ends_with(" }"))
        {
            return idx;
        }
    }
    lines.len() - 1
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Vec<String> {
        let source = Source { path: "crates/x/src/lib.rs".to_owned(), text: text.to_owned() };
        check(&source).into_iter().map(|violation| violation.what).collect()
    }

    fn function_of(n_lines: usize, indentation: &str) -> String {
        let body = format!("{indentation}    call();\n").repeat(n_lines - 2);
        format!("{indentation}pub(crate) async fn long(\n{body}{indentation}}}\n")
    }

    #[test]
    fn a_file_without_module_documentation_is_told() {
        assert_eq!(check_text("use std::fmt;\n"), ["no module documentation"]);
        assert_eq!(check_text("//! Owns it.\n"), Vec::<String>::new());
    }

    #[test]
    fn long_files_and_long_functions_are_told() {
        let long_file = format!("//! x\n{}", "// y\n".repeat(800));
        assert_eq!(check_text(&long_file), ["801 lines, the budget is 800"]);
        let fits = format!("//! x\n{}", function_of(100, ""));
        assert_eq!(check_text(&fits), Vec::<String>::new());
        let too_long = format!("//! x\nimpl X {{\n{}}}\n", function_of(101, "    "));
        assert_eq!(check_text(&too_long), ["function `long` has 101 lines, the budget is 100"]);
    }

    #[test]
    fn functions_of_test_modules_may_be_long() {
        let tests = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(200, "    "));
        assert_eq!(check_text(&tests), Vec::<String>::new());
    }

    #[test]
    fn signatures_are_told_from_other_uses_of_the_word() {
        assert_eq!(function_name("    pub(crate) const unsafe fn new() -> Self {"), Some("new"));
        assert_eq!(function_name("    work: &mut dyn Fn(&str), fn other"), None);
        assert_eq!(function_name("// the fn that"), None);
        assert_eq!(function_name("    f: fn (u8)"), None);
    }

    #[test]
    fn one_line_functions_and_signatures_end_at_once() {
        let lines = ["fn a() {}", "fn b();", "fn c() { 1 }", "fn d() {", "    1", "}"];
        assert_eq!([0, 1, 2, 3].map(|start| end_of_block(&lines, start)), [0, 1, 2, 5]);
    }
}
