//! NATS subjects and patterns: checked once, then matched and compared.
//!
//! Owns: the grammar, matching, and whether two patterns can meet. Never: subscribes.

use std::fmt;

/// NATS servers accept more; nobody types more.
const MAX_LENGTH: usize = 1024;

/// A legal subject, with or without wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectPattern(String);

/// Text that is no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a subject: {why}")]
pub struct SubjectError {
    text: String,
    why: &'static str,
}

impl SubjectPattern {
    /// Checks `text`; wildcards are allowed.
    ///
    /// # Errors
    /// When a token is empty, has white space or a wildcard inside, or `>` is not last.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let refused =
            |why| Err(SubjectError { text: text.chars().take(MAX_LENGTH).collect(), why });
        if text.is_empty() {
            return refused("it is empty");
        }
        if text.len() > MAX_LENGTH {
            return refused("it is longer than 1024 bytes");
        }
        let mut tokens = text.split('.').peekable();
        while let Some(token) = tokens.next() {
            if token.is_empty() {
                return refused("it has an empty token");
            }
            if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return refused("it has white space or a control character");
            }
            if token == ">" && tokens.peek().is_some() {
                return refused("'>' must be the last token");
            }
            if token.len() > 1 && token.contains(['*', '>']) {
                return refused("a wildcard must be a whole token");
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names exactly one subject.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.tokens().all(|token| token != "*" && token != ">")
    }

    /// Whether some subject matches both patterns.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.tokens(), other.tokens());
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) => return true,
                (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }

    /// Whether every subject that matches `other` matches this pattern too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.tokens(), other.tokens());
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) => return true,
                (_, Some(">")) => return false,
                (Some(a), Some(b)) if a == b || a == "*" => {}
                _ => return false,
            }
        }
    }

    /// Whether the literal `subject` matches this pattern.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let (mut pattern, mut subject) = (self.tokens(), subject.split('.'));
        loop {
            match (pattern.next(), subject.next()) {
                (None, None) => return true,
                (Some(">"), Some(_)) => return true,
                (Some(a), Some(b)) if a == b || a == "*" => {}
                _ => return false,
            }
        }
    }

    fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> SubjectPattern {
        SubjectPattern::parse(text).unwrap()
    }

    #[test]
    fn refuses_what_a_server_would() {
        for bad in ["", ".", "a..b", "a.", "a b", "a.>.b", "a*", "fo>o", "a\n"] {
            assert!(SubjectPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns_meet_where_a_subject_fits_both() {
        assert!(pattern(">").overlaps(&pattern("a.b")));
        assert!(pattern("*.b").overlaps(&pattern("a.*")));
        assert!(!pattern("a.>").overlaps(&pattern("a")));
        assert!(!pattern("a.b").overlaps(&pattern("a.c")));
    }

    #[test]
    fn a_pattern_covers_what_is_within_it() {
        for (wide, narrow) in [("a.>", "a.b"), ("a.>", "a.*.>"), ("a.*", "a.b"), ("a", "a")] {
            assert!(pattern(wide).covers(&pattern(narrow)), "{wide} {narrow}");
        }
        for (one, other) in [("a.*", "a.>"), ("a.b", "a.*"), ("a.>", "a"), ("a.b", "a"), ("*", ">")]
        {
            assert!(!pattern(one).covers(&pattern(other)), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_overlaps_what_it_matches(
            subject in proptest::collection::vec("[abc]", 1..5),
            wild in proptest::collection::vec(0..3u8, 1..5),
        ) {
            let mut tokens: Vec<&str> = Vec::new();
            for (token, kind) in subject.iter().zip(&wild) {
                tokens.push(match kind { 0 => token, 1 => "*", _ => ">" });
                if *kind == 2 { break; }
            }
            let (subject, pattern) = (subject.join("."), pattern(&tokens.join(".")));
            let literal = SubjectPattern::parse(&subject).unwrap();
            prop_assert_eq!(pattern.matches(&subject), pattern.overlaps(&literal));
        }
    }
}
