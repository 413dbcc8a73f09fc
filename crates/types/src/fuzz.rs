//! Entry points for fuzzers: whatever the bytes are, they return, and what was accepted prints as it was read.
//!
//! Owns: one function per parser of this crate. Never: part of the interface.

use crate::{
    ByteSize, Digest, Id, Namespace, SubjectPattern, WorkloadName, denied_by, format_go,
    may_answer, parse_go,
};

/// Go durations.
pub fn fuzz_duration(data: &[u8]) {
    if let Ok(duration) = parse_go(&text(data)) {
        assert_eq!(parse_go(&format_go(duration)), Ok(duration));
    }
}

/// Ids, names and namespaces: what is accepted is one subject token.
pub fn fuzz_names(data: &[u8]) {
    let text = text(data);
    let accepted = [
        Id::parse(&text).map(|id| id.to_string()).ok(),
        Namespace::parse(&text).map(|name| name.to_string()).ok(),
        WorkloadName::parse(&text).map(|name| name.to_string()).ok(),
        Some(WorkloadName::from_stem(&text).to_string()),
    ];
    for token in accepted.into_iter().flatten() {
        let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=');
        assert!(
            !token.is_empty() && token.len() <= 128 && token.chars().all(is_token),
            "{token:?}"
        );
    }
}

/// Subject patterns, and the questions asked of any subject; at the first NUL byte apart.
pub fn fuzz_subjects(data: &[u8]) {
    let text = text(data);
    let (pattern, subject) = text.split_once('\0').unwrap_or((&text, &text));
    let is_answered = may_answer(subject, &[]);
    assert!(!is_answered || !subject.starts_with('$'), "{subject:?} may not be answered");
    let Ok(pattern) = SubjectPattern::parse(pattern) else { return };
    let _either = denied_by(&pattern, &[]);
    if let Ok(subject) = SubjectPattern::parse(subject) {
        assert_eq!(pattern.overlaps(&subject), subject.overlaps(&pattern));
        assert!(
            !subject.is_literal()
                || pattern.matches(subject.as_str()) == pattern.overlaps(&subject)
        );
    }
}

/// Sizes and digests.
pub fn fuzz_amounts(data: &[u8]) {
    let text = text(data);
    let _either = text.parse::<ByteSize>().map(|size| size.to_string());
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(data: &[u8]) {
        fuzz_duration(data);
        fuzz_names(data);
        fuzz_subjects(data);
        fuzz_amounts(data);
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            all(&data);
        }

        #[test]
        fn so_has_any_text(text in "\\PC{0,200}") {
            all(text.as_bytes());
        }

        #[test]
        fn so_have_near_misses(text in "[-+0-9.nuµmsh*>$_A-Zx\0 ]{0,40}") {
            all(text.as_bytes());
        }
    }
}
