//! The key of an entry: `<workload_type>_<workload_id>` (spec: control API, section 5.9).
//!
//! Owns: which texts are keys, and whether an entry is one of ours. Never: reads or writes one.

use std::fmt;

use nex_api::decode;
use nex_api::workload::StartWorkloadRequest;
use nex_types::Id;

/// Longer than any key that a node makes; file names have 255 bytes.
const LONGEST: usize = 200;

/// A legal key, which is a legal file name too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(String);

/// An entry that is none of ours: it is left where it is, and not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Foreign {
    #[error("its value is not a start request: {0}")]
    Value(String),
    #[error("its key is not that of a workload of type \"{0}\"")]
    Key(String),
}

impl Key {
    /// The key of a workload; none when its type cannot stand in one.
    pub(crate) fn of(workload_type: &str, id: &str) -> Option<Self> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=' | '.');
        let key = format!("{workload_type}_{id}");
        let is_plain = !workload_type.is_empty() && !key.starts_with('.') && !key.ends_with('.');
        let is_key = is_plain && !key.contains("..") && key.len() <= LONGEST;
        (is_key && Id::parse(id).is_ok() && key.chars().all(is_legal)).then_some(Self(key))
    }

    /// A text that [`Key::of`] has made.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        let (kind, id) = key.rsplit_once('_')?;
        Self::of(kind, id)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The workload that stands under `key`: its key, its id and its request.
pub(crate) fn read_entry(
    key: &str,
    value: &[u8],
) -> Result<(Key, String, StartWorkloadRequest), Foreign> {
    let request: StartWorkloadRequest =
        decode(value).map_err(|error| Foreign::Value(error.to_string()))?;
    let kind = &request.workload_type;
    let id = key.strip_prefix(kind.as_str()).and_then(|rest| rest.strip_prefix('_'));
    let checked = id.and_then(|id| Some((Key::of(kind, id)?, id.to_owned())));
    match checked {
        Some((key, id)) => Ok((key, id, request)),
        None => Err(Foreign::Key(kind.chars().take(80).collect())),
    }
}

#[cfg(test)]
mod tests {
    use nex_api::encode;
    use proptest::prelude::*;

    use super::*;

    fn value(kind: &str) -> Vec<u8> {
        encode(&StartWorkloadRequest {
            workload_type: kind.to_owned(),
            namespace: "a".to_owned(),
            ..StartWorkloadRequest::default()
        })
    }

    #[test]
    fn the_type_is_matched_with_the_separator() {
        let (key, id, _) = read_entry("native_W1", &value("native")).unwrap();
        assert_eq!((key.as_str(), id.as_str()), ("native_W1", "W1"));
        let (_, id, _) = read_entry("my_type_W1", &value("my_type")).unwrap();
        assert_eq!(id, "W1");
        for key in ["native2_W1", "nativeW1", "native", "native_", "wasm_W1", "_W1", "native_a.b"] {
            assert!(matches!(read_entry(key, &value("native")), Err(Foreign::Key(_))), "{key}");
        }
    }

    #[test]
    fn half_written_values_are_foreign() {
        let whole = value("native");
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            let entry = read_entry("native_W1", &whole[..cut]);
            assert!(matches!(entry, Err(Foreign::Value(_))), "{cut}");
        }
        assert!(read_entry("native_W1", b"null").is_err());
        assert!(read_entry("native_W1", b"[]").is_err());
    }

    #[test]
    fn a_type_that_would_leave_the_folder_has_no_key() {
        for kind in ["", "../x", "a/b", ".hidden", "a..b", "a b", "a*"] {
            assert_eq!(Key::of(kind, "W1"), None, "{kind}");
        }
        assert_eq!(Key::of("native", "a/b"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(key in ".*", value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _foreign_mostly = read_entry(&key, &value);
        }

        #[test]
        fn keys_are_read_back(kind in "[a-z][a-z_]{0,9}", id in "[A-Za-z0-9]{1,22}") {
            let key = Key::of(&kind, &id).unwrap();
            let (same, read, _) = read_entry(key.as_str(), &value(&kind)).unwrap();
            prop_assert_eq!((same, read), (key, id));
        }
    }
}
