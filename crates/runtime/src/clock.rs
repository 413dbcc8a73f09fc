//! The clocks that guests see.
//!
//! Owns: the time of day for dates, and a steady clock for timers, which no clock change disturbs.
//! Never: decides a deadline (those are [`Instant`]s).

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Zero of the steady clock. Guests measure differences only.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time of day, in microseconds since the Unix epoch.
pub(crate) fn day_micros() -> f64 {
    since_epoch().as_secs_f64() * 1e6
}

/// The time of day at `instant`, in milliseconds since the Unix epoch.
pub(crate) fn day_millis_at(instant: Instant) -> f64 {
    let ahead = instant.saturating_duration_since(Instant::now());
    ((since_epoch() + ahead).as_secs_f64() * 1e3).floor()
}

/// The steady clock, in milliseconds.
pub(crate) fn steady_millis() -> f64 {
    Instant::now().saturating_duration_since(*START).as_secs_f64() * 1e3
}

/// When the steady clock shows `millis`; `None` where that is never.
pub(crate) fn instant_at_steady(millis: f64) -> Option<Instant> {
    START.checked_add(Duration::try_from_secs_f64(millis / 1e3).ok()?)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
