//! What workloads count, on `$NEX.FEED.<namespace>.metrics.<workload id>` (spec: control API, section 8.4).
//!
//! Owns: the message, its units, and what can be read out of a histogram. Never: counts, sends, or adds up
//! several workloads.
//!
//! Counters only grow while the workload has this id; a smaller one means that it was started again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;

/// Upper bounds of our histograms of durations, in seconds, each inclusive; what is slower falls into one
/// more bucket. From a tenth of a millisecond, which a reused instance takes, to the default deadline and
/// above; each is at most 2.5 times the one before, so that a percentile read between two is of use.
pub const DURATION_BOUNDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// What one workload has counted since it started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkloadMetrics {
    /// What it counts as a function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionMetrics>,
    /// The workload's id.
    pub id: String,
    /// The workload's name, which its copies share.
    pub name: String,
    /// The namespace it belongs to.
    pub namespace: String,
    /// What it uses as a program of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessMetrics>,
    /// When this was read.
    pub time: Time,
    /// Its type: `javascript`, `wasm`, `native`.
    #[serde(rename = "type")]
    pub workload_type: String,
}

/// What a function counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionMetrics {
    /// Bytes of payloads that were received.
    pub bytes_received: u64,
    /// Bytes of replies that were sent.
    pub bytes_sent: u64,
    /// Calls that were received, those that were refused included.
    pub calls: u64,
    /// Instances that were made because no idle one was there.
    pub cold_starts: u64,
    /// How long calls ran, in seconds, from the moment they had a place.
    pub duration: Histogram,
    /// Failed calls by the status of their error reply (`429`, `500`, `503`, `504`, `507`; `other` for what a
    /// function itself replied).
    pub errors: BTreeMap<String, u64>,
    /// Calls that were received and have not ended.
    pub in_flight: u64,
    /// How long calls waited for a place, in seconds.
    pub queue_time: Histogram,
    /// Reply subjects that were named and may not be answered.
    pub refused_replies: u64,
}

impl FunctionMetrics {
    /// Failed calls of whatever status.
    #[must_use]
    pub fn n_errors(&self) -> u64 {
        self.errors.values().fold(0, |all, n| all.saturating_add(*n))
    }
}

/// What a native program uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessMetrics {
    /// Processor time of all its processes since they started, in seconds.
    pub cpu_seconds: f64,
    /// Memory of all its processes, in bytes; absent where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// How much of it is allowed, in bytes; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    /// How many processes it has; absent where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// How often it was started again.
    pub restarts: u64,
}

/// How often a value fell between which bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// Upper bounds, each inclusive, growing.
    pub bounds: Vec<f64>,
    /// One count per bound and one for what is above the last.
    pub counts: Vec<u64>,
    /// All values added up.
    pub sum: f64,
}

impl Histogram {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |all, n| all.saturating_add(*n))
    }

    /// The value below which a part of all values lies (`0.99` for p99), guessed evenly between the bounds
    /// around it; the last bound when it is above that. `None` without values.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are not told apart")]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let wanted = self.count() as f64 * part.clamp(0.0, 1.0);
        if self.count() == 0 {
            return None;
        }
        let (mut below, mut lower) = (0.0, 0.0);
        for (bound, n) in self.bounds.iter().zip(&self.counts) {
            let n = *n as f64;
            if n > 0.0 && below + n >= wanted {
                return Some(lower + (bound - lower) * ((wanted - below) / n).clamp(0.0, 1.0));
            }
            below += n;
            lower = *bound;
        }
        self.bounds.last().copied()
    }

    /// Whether a quantile lies at or above the last bound, so that only that is known of it.
    #[must_use]
    pub fn is_above(&self, quantile: f64) -> bool {
        self.bounds.last().is_some_and(|last| quantile >= *last)
    }

    /// What was counted after `earlier` was read; all of it when this is not a later reading of the same.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let grown = self.bounds == earlier.bounds
            && self.counts.len() == earlier.counts.len()
            && self.counts.iter().zip(&earlier.counts).all(|(now, before)| now >= before);
        if !grown {
            return self.clone();
        }
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, before)| now - before);
        Self { bounds: self.bounds.clone(), counts: counts.collect(), sum: self.sum - earlier.sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: [u64; 3]) -> Histogram {
        Histogram { bounds: vec![1.0, 2.0], counts: counts.to_vec(), sum: 3.0 }
    }

    #[test]
    fn a_quantile_lies_between_the_bounds_around_it() {
        assert_eq!(histogram([0, 0, 0]).quantile(0.5), None);
        assert_eq!(histogram([10, 0, 0]).quantile(0.5), Some(0.5));
        assert_eq!(histogram([10, 10, 0]).quantile(0.75), Some(1.5));
        assert_eq!(histogram([1, 1, 8]).quantile(0.99), Some(2.0));
    }

    #[test]
    fn what_was_counted_since_then() {
        assert_eq!(histogram([5, 6, 7]).since(&histogram([1, 2, 3])).counts, [4, 4, 4]);
        let started_again = histogram([0, 1, 0]);
        assert_eq!(started_again.since(&histogram([1, 2, 3])), started_again);
    }

    #[test]
    fn a_message_from_another_nexlet_may_leave_things_out() {
        let text = r#"{"id":"w","name":"n","namespace":"a","time":"2026-01-01T00:00:00Z","type":"t",
            "function":{"calls":3},"more":1}"#;
        let read: WorkloadMetrics = serde_json::from_str(text).unwrap();
        assert_eq!(read.function.unwrap().calls, 3);
        assert_eq!(read.process, None);
    }
}
