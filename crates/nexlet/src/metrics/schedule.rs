//! Whose metrics are due when.
//!
//! Owns: the moments, and what was told last. Never: reads a clock or publishes; time is an argument.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use nex_types::Id;
use tokio::time::Instant;

use super::{Metrics, TICK};

/// Short enough that a person who watches sees load come and go, and long enough that a thousand workloads
/// are 200 small messages a second.
const PERIOD: Duration = Duration::from_secs(5);
/// The first ones come within a second of the start, so that whoever deploys sees them.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// What does not change is told again after this, for listeners that came meanwhile.
const REPEAT: Duration = Duration::from_secs(30);

/// When each workload is due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    known: BTreeMap<Id, Known>,
    n_rounds: u64,
}

#[derive(Debug)]
struct Known {
    due: Instant,
    /// It was never due.
    is_new: bool,
    told: Option<(Instant, Metrics)>,
    /// The last round in which it was there.
    seen: u64,
}

/// One look at all workloads.
#[derive(Debug)]
pub(super) struct Round<'a> {
    schedule: &'a mut Schedule,
}

impl Schedule {
    /// Looks at all workloads; those that `look` does not ask about are gone, and forgotten.
    pub(super) fn round<R>(&mut self, look: impl FnOnce(&mut Round<'_>) -> R) -> R {
        self.n_rounds += 1;
        let result = look(&mut Round { schedule: self });
        let now = self.n_rounds;
        self.known.retain(|_, known| known.seen == now);
        result
    }

    /// Whether these are to be published; then they count as told.
    pub(super) fn is_news(&mut self, id: &Id, metrics: &Metrics, now: Instant) -> bool {
        let Some(known) = self.known.get_mut(id) else { return true };
        let is_old = |(at, told): &(Instant, Metrics)| {
            told == metrics && now.saturating_duration_since(*at) < REPEAT
        };
        if known.told.as_ref().is_some_and(is_old) {
            return false;
        }
        known.told = Some((now, metrics.clone()));
        true
    }
}

impl Round<'_> {
    /// Whether the workload is due; then it is again a period later.
    pub(super) fn is_due(&mut self, id: &Id, now: Instant) -> bool {
        let Schedule { known, n_rounds } = &mut *self.schedule;
        if !known.contains_key(id) {
            // A tick may pass until it is found new, and another until it is found due.
            let due = now + share(id, "first", FIRST_WITHIN - TICK * 2);
            known.insert(id.clone(), Known { due, is_new: true, told: None, seen: 0 });
        }
        let Some(known) = known.get_mut(id) else { return false };
        known.seen = *n_rounds;
        if now < known.due {
            return false;
        }
        // Those that started together come apart with the second time, and stay so.
        let next = known.due + PERIOD;
        // After a pause, as when NATS was away, they would all be due again at once.
        let is_apart = !known.is_new && next > now;
        known.due = if is_apart { next } else { now + share(id, "later", PERIOD) };
        known.is_new = false;
        true
    }
}

/// A part of `time` that is the id's own, and another for each `purpose`.
fn share(id: &Id, purpose: &str, time: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    (id, purpose).hash(&mut hasher);
    let thousandths = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    time * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use nex_api::metrics::FunctionMetrics;

    use super::*;

    fn calls(calls: u64) -> Metrics {
        let function = FunctionMetrics { calls, ..FunctionMetrics::default() };
        Metrics { function: Some(function), process: None }
    }

    /// How many are due at each tick.
    fn ticks(schedule: &mut Schedule, ids: &[Id], from: Instant, n_ticks: u32) -> Vec<usize> {
        let at = |n: u32| from + TICK * n;
        let due = |n: u32| {
            schedule.round(|round| ids.iter().filter(|id| round.is_due(id, at(n))).count())
        };
        (0..n_ticks).map(due).collect()
    }

    #[test]
    fn the_first_come_within_a_second_and_a_thousand_make_no_burst() {
        let ids: Vec<Id> = (0..1000).map(|_| Id::random()).collect();
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        let due = ticks(&mut schedule, &ids, start, 100);
        // Each workload is due once in the first second; some are a second time already.
        assert!(due[..4].iter().sum::<usize>() >= 1000, "{due:?}");
        for (n, n_due) in due.iter().enumerate().skip(24) {
            assert!((10..150).contains(n_due), "{n_due} at tick {n}: {due:?}");
        }
        let in_a_period: usize = due[60..80].iter().sum();
        assert!((900..=1100).contains(&in_a_period), "{in_a_period}");
    }

    #[test]
    fn after_a_long_pause_each_is_due_once_and_those_that_are_gone_are_forgotten() {
        let ids = [Id::random(), Id::random()];
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        ticks(&mut schedule, &ids, start, 60);
        let much_later = start + Duration::from_secs(3600);
        let due = ticks(&mut schedule, &ids, much_later, 1);
        assert_eq!(due, [2]);
        ticks(&mut schedule, &ids[..1], much_later, 1);
        assert_eq!(schedule.known.len(), 1);
    }

    #[test]
    fn what_did_not_change_is_told_again_only_after_a_while() {
        let (id, mut schedule, start) = (Id::random(), Schedule::default(), Instant::now());
        schedule.round(|round| round.is_due(&id, start));
        let after = |seconds| start + Duration::from_secs(seconds);
        let told = [(0, 1), (5, 1), (10, 2), (15, 2), (39, 2), (40, 2), (45, 2)]
            .map(|(seconds, n)| schedule.is_news(&id, &calls(n), after(seconds)));
        assert_eq!(told, [true, false, true, false, false, true, false]);
    }
}
