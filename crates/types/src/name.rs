//! Names of namespaces and workloads, and adjective-noun inventions (spec: CLI, "A workload's address").
//!
//! Owns: what a name may look like. Never: knows which names exist.

use std::fmt;

use rand::seq::IndexedRandom;

const MAX_LENGTH: usize = 63;

/// Text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not a {what}: start with a letter or digit, then up to 62 of letters, digits{more}"
)]
pub struct NameError {
    text: String,
    what: &'static str,
    more: &'static str,
}

/// A tenant's label and subject token: `[A-Za-z0-9][A-Za-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(String);

impl Namespace {
    /// The administrative namespace.
    pub const SYSTEM: &'static str = "system";

    /// Checks `text`.
    ///
    /// # Errors
    /// When it is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, "namespace", " and '-'", |c| c == '-').map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `system`, which may do all.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0 == Self::SYSTEM
    }
}

/// A workload's name: `[A-Za-z0-9][A-Za-z0-9_-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadName(String);

impl WorkloadName {
    /// Checks `text`.
    ///
    /// # Errors
    /// When it is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, "workload name", ", '-' and '_'", |c| matches!(c, '-' | '_')).map(Self)
    }

    /// Makes the nearest legal name of a file's stem; an invented one when nothing is left.
    #[must_use]
    pub fn from_stem(stem: &str) -> Self {
        let legal: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' })
            .collect();
        let trimmed: String = legal.trim_matches(['-', '_']).chars().take(MAX_LENGTH).collect();
        Self::parse(&trimmed).unwrap_or_else(|_| Self(invent()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Invents an adjective-noun, as nodes and unnamed workloads are called.
#[must_use]
pub fn invent() -> String {
    const ADJECTIVES: &[&str] = &[
        "amber", "brave", "bright", "calm", "clever", "crisp", "eager", "fair", "fleet", "gentle",
        "glad", "golden", "happy", "keen", "kind", "lively", "lucid", "merry", "mild", "nimble",
        "noble", "proud", "quick", "quiet", "rapid", "sharp", "silver", "spry", "steady", "sunny",
        "swift", "tidy", "vivid", "warm", "wise", "witty",
    ];
    const NOUNS: &[&str] = &[
        "badger", "beaver", "crane", "deer", "dolphin", "eagle", "falcon", "ferret", "finch",
        "fox", "gecko", "hare", "heron", "ibex", "jay", "kite", "lark", "lynx", "marten", "moose",
        "newt", "orca", "otter", "owl", "panda", "puffin", "raven", "robin", "seal", "sparrow",
        "stork", "swan", "tern", "tiger", "vole", "wren",
    ];
    let mut rng = rand::rng();
    let mut pick = |words: &[&'static str]| words.choose(&mut rng).copied().unwrap_or("nex");
    format!("{}-{}", pick(ADJECTIVES), pick(NOUNS))
}

fn check(
    text: &str,
    what: &'static str,
    more: &'static str,
    is_extra: impl Fn(char) -> bool,
) -> Result<String, NameError> {
    let starts_well = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let is_legal = text.chars().all(|c| c.is_ascii_alphanumeric() || is_extra(c));
    if starts_well && is_legal && text.len() <= MAX_LENGTH {
        return Ok(text.to_owned());
    }
    Err(NameError { text: text.chars().take(MAX_LENGTH + 1).collect(), what, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_without_surprises() {
        for good in ["a", "default", "a-b", "0x"] {
            assert!(Namespace::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a_b", "a.b", "a b", "$SYS", &"x".repeat(64)] {
            assert!(Namespace::parse(bad).is_err(), "{bad}");
        }
        assert!(WorkloadName::parse("a_b").is_ok());
    }

    #[test]
    fn a_file_stem_becomes_a_name() {
        assert_eq!(WorkloadName::from_stem("my func.v2").as_str(), "my-func-v2");
        assert!(WorkloadName::parse(WorkloadName::from_stem("…").as_str()).is_ok());
        assert!(WorkloadName::parse(&invent()).is_ok());
    }
}
