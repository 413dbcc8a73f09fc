//! Timestamps on the wire: RFC 3339 with up to nine fractional digits.
//!
//! Owns: Go's zero time. Never: reads a clock, save in [`Time::now`], which edges call.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment. The default is Go's zero time, `0001-01-01T00:00:00Z`, which means "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(Timestamp);

/// Seconds from the Unix epoch back to Go's zero time.
const ZERO_SECONDS: i64 = -62_135_596_800;

impl Time {
    /// The system clock's time.
    #[must_use]
    pub fn now() -> Self {
        Self(Timestamp::now())
    }

    /// Reads RFC 3339 text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// A moment by the nanoseconds since 1970; the zero time when they are out of range.
    #[must_use]
    pub fn from_unix_nanos(nanos: i128) -> Self {
        Timestamp::from_nanosecond(nanos).map(Self).unwrap_or_default()
    }

    /// Whether it is the zero time.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// How long after `earlier` it is; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or_default()
    }

    /// The moment so much later; the same when that is out of range.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        self.0.checked_add(time).map(Self).unwrap_or(self)
    }

    /// RFC 3339 with whole seconds, as `WorkloadSummary.start_time` is written.
    #[must_use]
    pub fn to_seconds_text(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl From<&jiff::Zoned> for Time {
    fn from(zoned: &jiff::Zoned) -> Self {
        Self(zoned.timestamp())
    }
}

impl Default for Time {
    fn default() -> Self {
        Self(Timestamp::from_second(ZERO_SECONDS).expect("year 1 is in range"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_time_is_go_s() {
        assert_eq!(Time::default().to_string(), "0001-01-01T00:00:00Z");
        assert!(Time::parse("0001-01-01T00:00:00Z").unwrap().is_zero());
    }

    #[test]
    fn offsets_are_read() {
        let local = Time::parse("2026-04-23T08:58:10.5-06:00").unwrap();
        assert_eq!(local.to_string(), "2026-04-23T14:58:10.5Z");
        assert_eq!(local.to_seconds_text(), "2026-04-23T14:58:10Z");
    }
}
