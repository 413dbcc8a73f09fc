//! Durations as Go writes them: `1m0s`, `250ms`, `1h2m3.5s` (spec: control API, section 4.0, rule 8).
//!
//! Owns: the grammar and the normal form. Never: accepts a bare number other than `0`.

use std::fmt::Write as _;
use std::time::Duration;

/// Text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time: invalid duration {0:?}")]
pub struct DurationError(String);

const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a Go duration. Negative ones are refused, since nothing in Nex waits backwards.
///
/// # Errors
/// When `text` does not follow the grammar, is negative, or overflows 64 bits of nanoseconds.
pub fn parse_go(text: &str) -> Result<Duration, DurationError> {
    let refused = || DurationError(text.chars().take(40).collect());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(refused());
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let number_len =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        let part = scale(number, *factor).ok_or_else(refused)?;
        nanos = nanos.checked_add(part).ok_or_else(refused)?;
        rest = tail;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Prints in Go's normal form.
#[must_use]
pub fn format_go(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000 {
        return format!("{nanos}ns");
    }
    if nanos < 1_000_000 {
        return format!("{}µs", decimal(nanos, 1_000));
    }
    if nanos < 1_000_000_000 {
        return format!("{}ms", decimal(nanos, 1_000_000));
    }
    let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
    let mut text = String::new();
    if minutes >= 60 {
        let _ = write!(text, "{}h", minutes / 60);
    }
    if minutes > 0 {
        let _ = write!(text, "{}m", minutes % 60);
    }
    text + &decimal(rest, 1_000_000_000) + "s"
}

fn scale(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(factor)?;
    let mut place = factor;
    for digit in fraction.chars() {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit.to_digit(10)?) * place)?;
    }
    Some(nanos)
}

fn decimal(value: u128, unit: u128) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_go_s_forms() {
        for (text, printed) in [
            ("60s", "1m0s"),
            ("250ms", "250ms"),
            ("1h2m3.5s", "1h2m3.5s"),
            ("0", "0s"),
            (".5s", "500ms"),
        ] {
            assert_eq!(format_go(parse_go(text).unwrap()), printed, "{text}");
        }
        for bad in ["", "5", "abc", "-1s", "1x", ".s", "1s2", "999999999h"] {
            assert!(parse_go(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_go("abc").unwrap_err().to_string(), "time: invalid duration \"abc\"");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(nanos in 0u64..) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_go(&format_go(duration)), Ok(duration));
        }
    }
}
