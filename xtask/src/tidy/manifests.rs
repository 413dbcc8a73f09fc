//! Manifests are sorted: our own crates first, then the others, each group by name.
//!
//! Owns: the order within every table of dependencies. Never: knows who may depend on whom.

use super::{Source, Violation};

pub(super) fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut in_dependencies = false;
    let mut previous: Option<(bool, &str)> = None;
    for (idx, line) in source.text.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.trim_end().ends_with("dependencies]");
            previous = None;
            continue;
        }
        let Some(name) = key(line).filter(|_| in_dependencies) else { continue };
        // `false` sorts first: ours.
        let place = (!is_own(name), name);
        if previous.is_some_and(|previous| previous > place) {
            let what = format!("the dependency `{name}` is out of order");
            violations.push(source.violation(idx, what, "own crates first, then by name"));
        }
        previous = Some(place);
    }
    violations
}

fn is_own(name: &str) -> bool {
    name.starts_with("nex-")
}

/// The key that an entry begins with; `None` for comments and the inside of longer values.
fn key(line: &str) -> Option<&str> {
    let first = line.chars().next()?;
    if !first.is_ascii_alphanumeric() {
        return None;
    }
    line.split(['=', '.', ' ']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> usize {
        check(&Source { path: "Cargo.toml".to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn own_crates_stand_first_and_each_group_is_sorted() {
        assert_eq!(check_text("[dependencies]\nnex-types.workspace = true\n\nbytes = \"1\"\n"), 0);
        assert_eq!(check_text("[dependencies]\nbytes = \"1\"\nnex-types.workspace = true\n"), 1);
        assert_eq!(check_text("[workspace.dependencies]\nserde = \"1\"\nbytes = \"1\"\n"), 1);
    }

    #[test]
    fn other_tables_and_continued_lines_have_no_order() {
        assert_eq!(check_text("[package]\nversion = \"1\"\nname = \"x\"\n"), 0);
        let text =
            "[dependencies]\nb = { version = \"1\", features = [\n    \"a\",\n] }\nc = \"1\"\n";
        assert_eq!(check_text(text), 0);
    }
}
