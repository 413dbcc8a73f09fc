//! Places in a function's own file, for people.
//!
//! Owns: reading the place out of a refusal, and the line with a caret below the column.
//! Never: decides whether the line may be shown.

/// Longest part of a line that is shown; bundles have lines of any length.
const MAX_LINE: usize = 200;

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// Of a byte of `source`.
    pub(crate) fn at(source: &str, offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }

    /// Splits `file:line:column: what` into the place and what is wrong there.
    pub(crate) fn of_message<'a>(message: &'a str, file: &str) -> Option<(Self, &'a str)> {
        let rest = message.strip_prefix(file)?.strip_prefix(':')?;
        let (line, rest) = rest.split_once(':')?;
        let (column, rest) = rest.split_once(": ")?;
        Some((Self { line: line.parse().ok()?, column: column.parse().ok()? }, rest))
    }

    /// Where `source` imports what a message says cannot be loaded.
    pub(crate) fn of_import(message: &str, source: &str) -> Option<Self> {
        let (_, rest) = message.split_once("could not load module '")?;
        let (module, _) = rest.split_once('\'')?;
        let is_import = |line: &str| line.contains("import") || line.contains("from");
        source.lines().enumerate().filter(|(_, line)| is_import(line)).find_map(|(idx, line)| {
            let quoted = ['\'', '"'].map(|quote| line.find(&format!("{quote}{module}{quote}")));
            let offset = quoted.into_iter().flatten().next()?;
            let column = line.get(..offset)?.chars().count() + 1;
            Some(Self { line: idx + 1, column })
        })
    }

    /// The line with a caret below the column; nothing if there is no such line.
    pub(crate) fn mark(self, source: &str) -> Option<String> {
        let line = source.lines().nth(self.line.checked_sub(1)?)?;
        let is_long = line.chars().count() > MAX_LINE;
        let n_skipped = if is_long { self.column.saturating_sub(MAX_LINE / 2) } else { 0 };
        let shown: String = line.chars().skip(n_skipped).take(MAX_LINE).collect();
        let n_before = self.column.saturating_sub(1 + n_skipped).min(MAX_LINE);
        let as_blank = |c: char| if c == '\t' { '\t' } else { ' ' };
        let indent: String = shown.chars().take(n_before).map(as_blank).collect();
        Some(format!("{shown}\n{indent}^"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_has_a_line_and_a_column() {
        for (offset, line, column) in [(0, 1, 1), (2, 1, 2), (4, 2, 1), (99, 2, 3)] {
            assert_eq!(Place::at("éx\nab", offset), Place { line, column }, "{offset}");
        }
    }

    #[test]
    fn a_message_begins_with_its_place() {
        let place = Place { line: 3, column: 14 };
        assert_eq!(Place::of_message("a.js:3:14: what: why", "a.js"), Some((place, "what: why")));
        assert_eq!(Place::of_message("a.js is not callable", "a.js"), None);
        assert_eq!(Place::of_message("b.js:3:14: x", "a.js"), None);
    }

    #[test]
    fn an_import_is_found_where_it_is_written() {
        let message = "could not load module 'fs'";
        let source = "const x = 'fs';\nimport a from \"a\";\nimport fs from \"fs\";\n";
        assert_eq!(Place::of_import(message, source), Some(Place { line: 3, column: 16 }));
        assert_eq!(Place::of_import("other", source), None);
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let source = format!("\t{}X{}", "a".repeat(1000), "b".repeat(1000));
        let marked = Place { line: 1, column: 1002 }.mark(&source).unwrap();
        let (line, caret) = marked.split_once('\n').unwrap();
        assert_eq!(line.len(), MAX_LINE);
        assert_eq!(line.find('X'), caret.find('^'));
        assert_eq!(Place { line: 1, column: 2 }.mark("\tx").unwrap(), "\tx\n\t^");
        assert_eq!(Place { line: 7, column: 2 }.mark("x"), None);
    }
}
