//! Text and numbers of a start request within their bounds.
//!
//! Owns: the words for what is not one, or too small or too large; they name the key. Never: knows a key.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use nex_nexlet::StartFailure;
use nex_types::{ByteSize, format_go, parse_go};

use super::invalid;

pub(super) fn duration(
    key: &str,
    text: Option<&str>,
    default: Duration,
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, StartFailure> {
    let Some(text) = text else { return Ok(default) };
    let given = parse_go(text).map_err(|_| {
        let given = shown(text);
        invalid(format!("{key}: \"{given}\" is not a duration; write for example 10s or 500ms"))
    })?;
    if bounds.contains(&given) {
        return Ok(given);
    }
    let (least, most) = (format_go(*bounds.start()), format_go(*bounds.end()));
    Err(out_of_bounds(key, text, least, most))
}

pub(super) fn size(
    key: &str,
    text: Option<&str>,
    bounds: RangeInclusive<ByteSize>,
) -> Result<Option<u64>, StartFailure> {
    let Some(text) = text else { return Ok(None) };
    let given: ByteSize = text.parse().map_err(|error| invalid(format!("{key}: {error}")))?;
    if bounds.contains(&given) {
        return Ok(Some(given.0));
    }
    Err(out_of_bounds(key, text, bounds.start(), bounds.end()))
}

pub(super) fn number(
    key: &str,
    given: Option<u32>,
    bounds: RangeInclusive<u32>,
) -> Result<Option<u32>, StartFailure> {
    match given {
        Some(given) if !bounds.contains(&given) => {
            Err(out_of_bounds(key, &given.to_string(), bounds.start(), bounds.end()))
        }
        given => Ok(given),
    }
}

pub(super) fn out_of_bounds(
    key: &str,
    given: &str,
    least: impl Display,
    most: impl Display,
) -> StartFailure {
    let given = shown(given);
    invalid(format!("{key} is {given}, but must be from {least} to {most}"))
}

/// As much of a stranger's text as a message holds.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}
