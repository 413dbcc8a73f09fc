//! Ids of workloads, agents, bids and errors: 22 random base62 characters, drawn anew each time, so
//! that a short prefix is unique (spec: control API, section 13).
//!
//! Owns: making them and checking strangers' ones. Never: demands a length of strangers' ids.

use std::fmt;

use rand::Rng;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH: usize = 22;
/// Longer ids than any peer makes; a bound for strangers' text.
const MAX_LENGTH: usize = 128;

/// An opaque id: `[-_=A-Za-z0-9]+`, one subject token and a key fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(String);

/// Text that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an id: use letters, digits, '-', '_' or '='")]
pub struct IdError(String);

impl Id {
    /// Draws a new one.
    #[must_use]
    pub fn random() -> Self {
        let mut rng = rand::rng();
        Self(
            (0..LENGTH)
                .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
                .collect(),
        )
    }

    /// Accepts a peer's id.
    ///
    /// # Errors
    /// When `text` is empty, longer than 128 bytes, or not one token of the id alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=');
        if text.is_empty() || text.len() > MAX_LENGTH || !text.chars().all(is_legal) {
            return Err(IdError(text.chars().take(MAX_LENGTH).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_have_22_characters_and_differ() {
        let (one, other) = (Id::random(), Id::random());
        assert_eq!(one.as_str().len(), 22);
        assert_ne!(one, other);
        assert_eq!(Id::parse(one.as_str()), Ok(one));
    }

    #[test]
    fn strangers_ids_are_one_token() {
        assert!(Id::parse("nope").is_ok());
        for bad in ["", "a.b", "a b", "*", ">", "é"] {
            assert!(Id::parse(bad).is_err(), "{bad}");
        }
    }
}
