//! Every error code has a page in `docs/errors`, and every page a code.
//!
//! Owns: that correspondence. Never: reads what a page says beyond its first line.

use std::collections::BTreeMap;

use super::{Source, Violation};

const CODES: &str = "crates/api/src/error.rs";
const PAGES: &str = "docs/errors/";

pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let Some(list) = sources.iter().find(|source| source.path == CODES) else {
        let nowhere = Source { path: CODES.to_owned(), text: String::new() };
        return vec![nowhere.violation(
            0,
            "the list of error codes is gone",
            "put it back, or tell tidy where it is",
        )];
    };
    let codes = codes(&list.text);
    let mut violations = Vec::new();
    for (code, line_idx) in &codes {
        let page = format!("{PAGES}NEX-{code}.md");
        let Some(source) = sources.iter().find(|source| source.path == page) else {
            let what = format!("NEX-{code} has no page {page}");
            violations.push(list.violation(
                *line_idx,
                what,
                "write what it means, why, and what to do",
            ));
            continue;
        };
        if !source.text.starts_with(&format!("# NEX-{code}")) {
            let what = "the page does not begin with its code";
            violations.push(source.violation(0, what, "begin with `# NEX-NNN: what it means`"));
        }
    }
    for source in sources {
        let code = source.path.strip_prefix(PAGES).and_then(|name| name.strip_prefix("NEX-"));
        let code = code.and_then(|name| name.strip_suffix(".md")?.parse::<u32>().ok());
        if code.is_some_and(|code| !codes.contains_key(&code)) {
            let mend = "take the page out, or the code back in";
            violations.push(source.violation(0, "a page for a code that does not exist", mend));
        }
    }
    violations
}

/// The numbers in the `codes!` block, with the lines that they stand on.
fn codes(text: &str) -> BTreeMap<u32, usize> {
    let block = text.lines().enumerate().skip_while(|(_, line)| !line.starts_with("codes! {"));
    let block = block.take_while(|(_, line)| *line != "}");
    let number = |line: &str| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse().ok();
    block.filter_map(|(idx, line)| Some((number(line)?, idx))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn codes_and_pages_must_match() {
        let list =
            source(CODES, "macro\ncodes! {\n    /// One.\n    One = 100,\n    Two = 101,\n}\n");
        let first = source("docs/errors/NEX-100.md", "# NEX-100: one\n");
        let stray = source("docs/errors/NEX-999.md", "# NEX-999: gone\n");
        let told = check(&[list, first, stray]);
        let told: Vec<&str> = told.iter().map(|violation| violation.what.as_str()).collect();
        assert_eq!(
            told,
            ["NEX-101 has no page docs/errors/NEX-101.md", "a page for a code that does not exist"]
        );
    }
}
