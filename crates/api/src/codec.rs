//! JSON as Go peers read and write it (spec: control API, section 4.0).
//!
//! Owns: the rules of absent, `null` and unknown keys. Never: knows a particular message.
//!
//! A required key must be there, but may be `null`, which stands for its zero value; a body that is
//! `null` as a whole is the zero message; an empty body is an error.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A body that is not the message it should be. The text is for people; nobody may parse it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(String);

/// Reads a message.
///
/// # Errors
/// When `body` is empty, is not JSON, lacks a required key or has a value of another type.
pub fn decode<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, DecodeError> {
    if body.is_empty() {
        return Err(DecodeError("unexpected end of JSON input".to_owned()));
    }
    if is_list(body) && serde_json::from_slice::<T>(b"[]").is_err() {
        // Else a list of a message's values, in the order of its keys, would be taken for it.
        return Err(DecodeError("cannot unmarshal array into an object".to_owned()));
    }
    let message: Option<T> =
        serde_json::from_slice(body).map_err(|error| DecodeError(error.to_string()))?;
    Ok(message.unwrap_or_default())
}

/// Writes a message. Ours hold only maps with text keys and numbers that JSON has, so this cannot fail.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message).expect("wire messages have text keys and finite numbers")
}

fn is_list(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

/// For required keys that keep `null` apart from the empty value.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// For numbers that are whole but for peers that send a fraction: `0`, not `0.0`, as Go prints.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn whole_or_fraction<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    /// Up to here every whole number is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and in the range of i64")]
        return to.serialize_i64(*number as i64);
    }
    to.serialize_f64(*number)
}

/// Names, types and versions that peers give themselves are repeated in answers about all of them: one
/// that is longer than any honest one would burst those.
const LONGEST_NAME: usize = 256;

/// For required names: likewise `null`, and a bound.
pub(crate) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name: String = nullable(deserializer)?;
    match name.len() <= LONGEST_NAME {
        true => Ok(name),
        false => Err(D::Error::custom(format_args!(
            "a name of {} bytes, more than {LONGEST_NAME}",
            name.len()
        ))),
    }
}

/// For required keys: `null` stands for the zero value.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodePingRequest;

    #[test]
    fn required_keys_may_be_null_but_not_absent() {
        assert!(decode::<NodePingRequest>(b"{}").is_err());
        assert!(decode::<NodePingRequest>(b"").is_err());
        assert!(
            decode::<NodePingRequest>(br#"{"filter":null,"new":1}"#).unwrap().filter.is_empty()
        );
        assert!(decode::<NodePingRequest>(b"null").is_ok());
        assert!(decode::<NodePingRequest>(br#"{"filter":3}"#).is_err());
    }
}
