//! What functions count, as calls between two readings.
//!
//! Owns: subtracting, also our own calls, which are shown one by one. Never: hears or prints.

use std::collections::BTreeMap;

use nex_api::Time;
use nex_api::metrics::{FunctionMetrics, WorkloadMetrics};

use super::happening::{Happening, hundredths, milliseconds};

/// Workloads whose last reading is kept; at a redeploy all are forgotten.
const MOST: usize = 1000;

/// The last readings.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: BTreeMap<String, (Time, FunctionMetrics)>,
    n_ours: u64,
}

impl Meter {
    /// A call of ours, which will be counted by the function.
    pub(super) fn ours(&mut self) {
        self.n_ours += 1;
    }

    /// New copies begin at nothing; of others it is not known what they had before.
    pub(super) fn begin(&mut self, ids: impl IntoIterator<Item = String>) {
        let fresh =
            ids.into_iter().take(MOST).map(|id| (id, (Time::now(), FunctionMetrics::default())));
        self.last = fresh.collect();
        self.n_ours = 0;
    }

    /// The calls of others since the last reading; none when there were none, or nothing to compare with.
    pub(super) fn read(&mut self, metrics: WorkloadMetrics) -> Option<Happening> {
        let now = metrics.function?;
        let (time, before) = match self.last.len() < MOST || self.last.contains_key(&metrics.id) {
            true => self.last.insert(metrics.id, (metrics.time, now.clone()))?,
            false => return None,
        };
        let total = now.calls.saturating_sub(before.calls);
        let ours = self.n_ours.min(total);
        self.n_ours -= ours;
        let calls = total - ours;
        if calls == 0 {
            return None;
        }
        let half = now.duration.since(&before.duration).quantile(0.5);
        Some(Happening::Counted {
            calls,
            failed: now.n_errors().saturating_sub(before.n_errors()),
            seconds: milliseconds(metrics.time.since(time)) / 1000.0,
            half_within_milliseconds: half.map(hundredths),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nex_api::metrics::Histogram;

    use super::*;

    fn reading(id: &str, calls: u64, second: u64) -> WorkloadMetrics {
        let duration =
            Histogram { bounds: vec![0.001, 0.002], counts: vec![calls, 0, 0], sum: 0.0 };
        WorkloadMetrics {
            id: id.to_owned(),
            time: Time::from_unix_nanos(0).after(Duration::from_secs(second)),
            function: Some(FunctionMetrics { calls, duration, ..FunctionMetrics::default() }),
            ..WorkloadMetrics::default()
        }
    }

    #[test]
    fn calls_of_others_are_what_is_left_without_ours() {
        let mut meter = Meter::default();
        assert_eq!(meter.read(reading("old", 500, 1)), None, "it is not known since when");
        meter.begin(["new".to_owned()]);
        meter.ours();
        meter.ours();
        assert_eq!(meter.read(reading("new", 1, 2)), None, "it was ours");
        let counted = meter.read(reading("new", 5, 7));
        let expected = Happening::Counted {
            calls: 3,
            failed: 0,
            seconds: 5.0,
            half_within_milliseconds: Some(0.5),
        };
        assert_eq!(counted, Some(expected));
        assert_eq!(meter.read(reading("new", 5, 8)), None);
    }

    #[test]
    fn a_function_that_was_started_again_is_no_negative_number() {
        let mut meter = Meter::default();
        meter.begin(["w".to_owned()]);
        assert!(meter.read(reading("w", 9, 1)).is_some());
        assert_eq!(meter.read(reading("w", 2, 2)), None);
    }
}
