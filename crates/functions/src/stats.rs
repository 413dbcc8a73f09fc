//! What is counted about one function.
//!
//! Owns: counters, without locks: a call adds to a handful of them, and allocates nothing. Never: shared
//! between functions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nex_api::metrics::{DURATION_BOUNDS, FunctionMetrics, Histogram};

use crate::runtime::ColdStarts;

/// Statuses that are counted apart; all others are a function's own.
const STATUSES: [u16; 6] = [400, 429, 500, 503, 504, 507];
/// What the others are called.
const OTHER: &str = "other";

/// Counters of one function. `in_flight` are calls that were received and have not yet ended.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    calls: AtomicU64,
    in_flight: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    errors: [AtomicU64; STATUSES.len()],
    other_errors: AtomicU64,
    refused_replies: AtomicU64,
    queue_time: Timings,
    duration: Timings,
    cold_starts: ColdStarts,
}

impl Stats {
    /// Counts instances as the engine makes them.
    pub(crate) fn new(cold_starts: ColdStarts) -> Self {
        Self { cold_starts, ..Self::default() }
    }

    /// So many calls came, with so many bytes together.
    pub(crate) fn received(&self, n_calls: usize, n_bytes: usize) {
        self.calls.fetch_add(n_calls as u64, Ordering::Relaxed);
        self.in_flight.fetch_add(n_calls as u64, Ordering::Relaxed);
        self.bytes_received.fetch_add(n_bytes as u64, Ordering::Relaxed);
    }

    /// Replies with so many bytes together were sent.
    pub(crate) fn sent(&self, n_bytes: usize) {
        self.bytes_sent.fetch_add(n_bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// A call waited so long for its place.
    pub(crate) fn waited(&self, time: Duration) {
        self.queue_time.add(time);
    }

    pub(crate) fn ran(&self, duration: Duration) {
        self.duration.add(duration);
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
        self.duration.in_all()
    }

    /// How long a call ran on average.
    pub(crate) fn ran_on_average(&self) -> Duration {
        self.duration.average()
    }

    /// All of it; counters are read one after the other, while calls go on.
    pub(crate) fn metrics(&self) -> FunctionMetrics {
        let others = self.other_errors.load(Ordering::Relaxed);
        let others = (others > 0).then(|| (OTHER.to_owned(), others));
        let errors = self.errors_by_status().map(|(status, n)| (status.to_string(), n));
        FunctionMetrics {
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            calls: self.calls(),
            cold_starts: self.cold_starts.count(),
            duration: self.duration.histogram(),
            errors: errors.chain(others).collect(),
            in_flight: self.in_flight(),
            queue_time: self.queue_time.histogram(),
            refused_replies: self.refused_replies(),
        }
    }
}

/// How many durations lie between which bounds, and their sum.
#[derive(Debug, Default)]
struct Timings {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// [`DURATION_BOUNDS`] in nanoseconds, so that nothing is divided while a call is counted.
const BOUNDS: [u64; DURATION_BOUNDS.len()] = bounds_in_nanos();

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds above zero and of ten at most, rounded to whole nanoseconds"
)]
const fn bounds_in_nanos() -> [u64; DURATION_BOUNDS.len()] {
    let mut bounds = [0; DURATION_BOUNDS.len()];
    let mut idx = 0;
    while idx < bounds.len() {
        bounds[idx] = (DURATION_BOUNDS[idx] * 1e9 + 0.5) as u64;
        idx += 1;
    }
    bounds
}

impl Timings {
    fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // The first bound that is not below it, or the bucket after the last.
        let place = BOUNDS.partition_point(|bound| *bound < nanos);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn in_all(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    fn average(&self) -> Duration {
        let n: u64 = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed) / n.max(1))
    }

    fn histogram(&self) -> Histogram {
        Histogram {
            bounds: DURATION_BOUNDS.to_vec(),
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.in_all().as_secs_f64(),
        }
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
        let errors = stats.metrics().errors.into_iter().collect::<Vec<_>>();
        let expected = [("429", 2), ("500", 1), ("other", 1)];
        assert_eq!(errors, expected.map(|(status, n)| (status.to_owned(), n)));
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_that_it_ends() {
        let timings = Timings::default();
        for micros in [0, 100, 101, 250, 1_000, 10_000_000, 10_000_001, u64::MAX / 1000] {
            timings.add(Duration::from_micros(micros));
        }
        let counts = timings.histogram().counts;
        assert_eq!(counts.len(), DURATION_BOUNDS.len() + 1);
        assert_eq!((counts[0], counts[1], counts[3]), (2, 2, 1));
        assert_eq!((counts[15], counts[16]), (1, 2), "what is slower than the last has a bucket");
    }

    #[test]
    fn every_bound_is_the_number_of_nanoseconds_that_its_seconds_are() {
        for (nanos, seconds) in BOUNDS.iter().zip(DURATION_BOUNDS) {
            assert_eq!(Duration::from_nanos(*nanos), Duration::from_secs_f64(seconds));
        }
    }

    #[test]
    fn what_calls_did_is_told_as_a_whole() {
        let made = ColdStarts::default();
        let stats = Stats::new(made.clone());
        stats.received(3, 30);
        stats.waited(Duration::from_millis(4));
        stats.ran(Duration::from_millis(20));
        stats.ran(Duration::from_millis(40));
        stats.sent(7);
        stats.ended();
        made.add();
        assert_eq!(stats.ran_on_average(), Duration::from_millis(30));
        let metrics = stats.metrics();
        assert_eq!((metrics.calls, metrics.in_flight, metrics.cold_starts), (3, 2, 1));
        assert_eq!((metrics.bytes_received, metrics.bytes_sent), (30, 7));
        assert_eq!((metrics.duration.count(), metrics.queue_time.count()), (2, 1));
        assert!((metrics.duration.sum - 0.06).abs() < 1e-9);
    }
}
