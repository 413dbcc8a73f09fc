//! A node's view of a nexlet's health (spec: control API, section 5.4).
//!
//! Owns: the rule, with a grace over Go's 10 s so that timer jitter flips nobody. Never: reads a clock.

use std::time::Duration;

/// Older than this, the last heartbeat makes a nexlet `degraded`; section 11.2 advises a grace over 10 s.
const DEGRADED_AFTER: Duration = Duration::from_secs(12);
/// Older than this, or never: `offline`.
const OFFLINE_AFTER: Duration = Duration::from_secs(30);

/// Health, as INFO spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the wire's own words")]
pub enum Health {
    Healthy,
    ShuttingDown,
    Degraded,
    Offline,
    Unknown,
}

impl Health {
    /// As the wire spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::ShuttingDown => "shutting down",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }

    /// The light that INFO shows beside the word.
    #[must_use]
    pub fn stoplight(self) -> &'static str {
        match self {
            Self::Healthy => "🟢",
            Self::ShuttingDown => "🟠",
            Self::Degraded => "🟡",
            Self::Offline => "🔴",
            Self::Unknown => "⚪\u{fe0f}",
        }
    }
}

/// Health by the nexlet's own state and the age of its last heartbeat. A nexlet that registered but
/// has not sent one yet is `unknown` until its registration is old.
#[must_use]
pub fn judge(state: Option<&str>, age: Duration) -> Health {
    if age > OFFLINE_AFTER {
        return Health::Offline;
    }
    match state {
        None => Health::Unknown,
        Some(_) if age > DEGRADED_AFTER => Health::Degraded,
        Some("running") => Health::Healthy,
        Some("error" | "starting") => Health::Degraded,
        Some("lameduck" | "stopping") => Health::ShuttingDown,
        Some(_) => Health::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_ages_become_health() {
        let fresh = Duration::from_secs(1);
        for (state, health) in [
            ("running", Health::Healthy),
            ("starting", Health::Degraded),
            ("error", Health::Degraded),
            ("lameduck", Health::ShuttingDown),
            ("stopping", Health::ShuttingDown),
            ("fancy", Health::Unknown),
        ] {
            assert_eq!(judge(Some(state), fresh), health, "{state}");
        }
        assert_eq!(judge(Some("running"), Duration::from_secs(11)), Health::Healthy);
        assert_eq!(judge(Some("running"), Duration::from_secs(13)), Health::Degraded);
        assert_eq!(judge(Some("running"), Duration::from_secs(31)), Health::Offline);
        assert_eq!(judge(None, fresh), Health::Unknown);
    }
}
