//! Tags of nodes: a map of text to text, matched by equality (spec: control API, section 10).
//!
//! Owns: the matching rule. Never: interprets a value.

use std::collections::BTreeMap;

/// Tags, sorted by key as they go over the wire.
pub type Tags = BTreeMap<String, String>;

/// Whether every wanted pair stands in `actual` with an equal value; nothing wanted matches all.
#[must_use]
pub fn matches_tags(wanted: &Tags, actual: &Tags) -> bool {
    wanted.iter().all(|(key, value)| actual.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wanted_pairs_must_be_there() {
        let tags = |pairs: &[(&str, &str)]| -> Tags {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let actual = tags(&[("region", "lab"), ("nex.os", "linux")]);
        assert!(matches_tags(&tags(&[]), &actual));
        assert!(matches_tags(&tags(&[("region", "lab")]), &actual));
        assert!(!matches_tags(&tags(&[("region", "la")]), &actual));
        assert!(!matches_tags(&tags(&[("region", "lab"), ("zone", "1")]), &actual));
    }
}
