//! What is counted about one function.
//!
//! Owns: counters, without locks. Never: shared between functions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Statuses that are counted apart; all others are a function's own.
const STATUSES: [u16; 6] = [400, 429, 500, 503, 504, 507];

/// Counters of one function. `in_flight` are calls that were received and have not yet ended.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    calls: AtomicU64,
    errors: [AtomicU64; STATUSES.len()],
    other_errors: AtomicU64,
    in_flight: AtomicU64,
    n_ran: AtomicU64,
    ran_nanos: AtomicU64,
    refused_replies: AtomicU64,
}

impl Stats {
    pub(crate) fn received(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn ran(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.n_ran.fetch_add(1, Ordering::Relaxed);
        self.ran_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, status: u16) {
        let counted = STATUSES.iter().position(|known| *known == status);
        let counter = counted.and_then(|idx| self.errors.get(idx)).unwrap_or(&self.other_errors);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody named a reply subject that may not be answered.
    pub(crate) fn reply_refused(&self) {
        self.refused_replies.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors_by_status().map(|(_, n)| n).sum::<u64>()
            + self.other_errors.load(Ordering::Relaxed)
    }

    /// Statuses that occurred, with how often.
    pub(crate) fn errors_by_status(&self) -> impl Iterator<Item = (u16, u64)> {
        let counts = self.errors.iter().map(|counter| counter.load(Ordering::Relaxed));
        STATUSES.into_iter().zip(counts).filter(|(_, n)| *n > 0)
    }

    pub(crate) fn refused_replies(&self) -> u64 {
        self.refused_replies.load(Ordering::Relaxed)
    }

    /// How long calls ran in all.
    pub(crate) fn ran_in_all(&self) -> Duration {
        Duration::from_nanos(self.ran_nanos.load(Ordering::Relaxed))
    }

    /// How long a call ran on average.
    pub(crate) fn ran_on_average(&self) -> Duration {
        let n_ran = self.n_ran.load(Ordering::Relaxed).max(1);
        Duration::from_nanos(self.ran_nanos.load(Ordering::Relaxed) / n_ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_status() {
        let stats = Stats::default();
        for status in [429, 500, 429, 404] {
            stats.failed(status);
        }
        assert_eq!(stats.errors_by_status().collect::<Vec<_>>(), [(429, 2), (500, 1)]);
        assert_eq!(stats.errors(), 4);
    }
}
