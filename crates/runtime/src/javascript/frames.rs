//! From the lines of what the engine ran back to those of the author's file.
//!
//! Owns: the table, and rewriting places in texts. Never: changes a text that names no place.

use std::borrow::Cow;

use super::place::Place;

/// Where the parts of a printed file come from.
pub(crate) struct Frames {
    file: String,
    /// By place in what was printed.
    parts: Box<[Part]>,
}

/// Printed line and column, and those of the author, all from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) printed: (u32, u32),
    pub(crate) written: (u32, u32),
}

impl Frames {
    /// `parts` are in the order in which they were printed.
    pub(crate) fn new(file: &str, parts: Box<[Part]>) -> Self {
        Self { file: file.to_owned(), parts }
    }

    /// Where the author wrote what was printed at `place`.
    pub(crate) fn written(&self, place: Place) -> Place {
        let zero_based =
            |number: usize| u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX);
        let printed = (zero_based(place.line), zero_based(place.column));
        let n_before = self.parts.partition_point(|part| part.printed <= printed);
        let Some(part) = n_before.checked_sub(1).and_then(|idx| self.parts.get(idx)) else {
            return place;
        };
        let one_based =
            |number: u32| usize::try_from(number).unwrap_or(usize::MAX).saturating_add(1);
        Place { line: one_based(part.written.0), column: one_based(part.written.1) }
    }

    /// Rewrites every `file:line:column`.
    pub(crate) fn rewrite<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !text.contains(&self.file) {
            return Cow::Borrowed(text);
        }
        let mut rewritten = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(&self.file) {
            rewritten.push_str(before);
            rewritten.push_str(&self.file);
            rest = after;
            if let Some((place, after)) = leading_place(after) {
                let Place { line, column } = self.written(place);
                rewritten.push_str(&format!(":{line}:{column}"));
                rest = after;
            }
        }
        rewritten.push_str(rest);
        Cow::Owned(rewritten)
    }
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("file", &self.file).finish_non_exhaustive()
    }
}

/// `:line:column` at the beginning of `text`, and what follows.
fn leading_place(text: &str) -> Option<(Place, &str)> {
    let (line, rest) = leading_number(text.strip_prefix(':')?)?;
    let (column, rest) = leading_number(rest.strip_prefix(':')?)?;
    Some((Place { line, column }, rest))
}

fn leading_number(text: &str) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_rewritten_and_nothing_else() {
        let part = |printed, written| Part { printed, written };
        let parts = [part((0, 0), (4, 0)), part((0, 8), (4, 12)), part((2, 0), (9, 3))];
        let frames = Frames::new("a.ts", Box::new(parts));
        let text = "at f (a.ts:1:10)\nat a.ts:3:1, a.ts:x, b.ts:1:1, a.ts";
        assert_eq!(frames.rewrite(text), "at f (a.ts:5:13)\nat a.ts:10:4, a.ts:x, b.ts:1:1, a.ts");
        assert_eq!(
            frames.rewrite("a.ts:99999999999999999999999:1"),
            "a.ts:99999999999999999999999:1"
        );
    }
}
