//! What a workload says that it has counted, once it is known to make sense.
//!
//! Owns: the bounds of such a message, and what was counted between two of them. Never: adds up several
//! workloads.

use std::collections::BTreeMap;

use nex_api::decode;
use nex_api::metrics::{FunctionMetrics, Histogram, ProcessMetrics, WorkloadMetrics};

/// Ours has less than 2 KiB.
const LARGEST: usize = 64 * 1024;
/// Ours has 16.
const MOST_BOUNDS: usize = 64;
const MOST_ERRORS: usize = 64;
/// Counts above are not told apart by those who read them as floating-point numbers.
pub(crate) const MOST: u64 = 1 << 53;
const MOST_SUM: f64 = 9e15;

/// Numbers that can be added up without an overflow.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) function: Option<FunctionMetrics>,
    pub(crate) process: Option<ProcessMetrics>,
}

impl Reading {
    /// Reads a message about the workload `id`; `None` when it does not make sense.
    pub(crate) fn parse(payload: &[u8], id: &str) -> Option<Self> {
        if payload.len() > LARGEST {
            return None;
        }
        let message: WorkloadMetrics = decode(payload).ok()?;
        let WorkloadMetrics { function, process, .. } = message;
        let is_sound = message.id == id
            && function.as_ref().is_none_or(is_sound_function)
            && process.as_ref().is_none_or(is_sound_process);
        is_sound.then_some(Self { function, process })
    }
}

fn is_sound_function(it: &FunctionMetrics) -> bool {
    let counts = [it.calls, it.cold_starts, it.bytes_received, it.bytes_sent, it.in_flight];
    counts.iter().chain(it.errors.values()).all(|n| *n <= MOST)
        && it.errors.len() <= MOST_ERRORS
        && is_sound_histogram(&it.duration)
        && is_sound_histogram(&it.queue_time)
}

fn is_sound_process(it: &ProcessMetrics) -> bool {
    let gauges = [it.memory_bytes, it.memory_limit_bytes, it.processes];
    (0.0..=MOST_SUM).contains(&it.cpu_seconds)
        && it.restarts <= MOST
        && gauges.into_iter().flatten().all(|n| n <= MOST)
}

/// An empty one is nothing that was measured.
fn is_sound_histogram(it: &Histogram) -> bool {
    let Histogram { bounds, counts, sum } = it;
    let is_empty = bounds.is_empty() && counts.is_empty();
    (is_empty || counts.len() == bounds.len() + 1)
        && bounds.len() <= MOST_BOUNDS
        && bounds.iter().all(|bound| bound.is_finite())
        && bounds.windows(2).all(|pair| matches!(pair, [lower, upper] if lower < upper))
        && counts.iter().all(|n| *n <= MOST)
        && (0.0..=MOST_SUM).contains(sum)
}

/// Whether `now` may be a later reading of what `before` was read from: nothing has become less.
pub(crate) fn has_grown(now: &FunctionMetrics, before: &FunctionMetrics) -> bool {
    let counts = |it: &FunctionMetrics| {
        let (duration, queue_time) = (it.duration.count(), it.queue_time.count());
        [it.calls, it.cold_starts, it.bytes_received, it.bytes_sent, duration, queue_time]
    };
    counts(now).iter().zip(counts(before)).all(|(now, before)| *now >= before)
        && before.errors.iter().all(|(kind, n)| now.errors.get(kind).is_some_and(|it| it >= n))
}

/// What was counted after `before` was read.
pub(crate) fn since(now: &FunctionMetrics, before: &FunctionMetrics) -> FunctionMetrics {
    let errors = now.errors.iter().map(|(kind, n)| {
        let before = before.errors.get(kind).copied().unwrap_or_default();
        (kind.clone(), n.saturating_sub(before))
    });
    FunctionMetrics {
        bytes_received: now.bytes_received.saturating_sub(before.bytes_received),
        bytes_sent: now.bytes_sent.saturating_sub(before.bytes_sent),
        calls: now.calls.saturating_sub(before.calls),
        cold_starts: now.cold_starts.saturating_sub(before.cold_starts),
        duration: histogram_since(&now.duration, &before.duration),
        errors: errors.collect(),
        in_flight: 0,
        queue_time: histogram_since(&now.queue_time, &before.queue_time),
        refused_replies: 0,
    }
}

/// A sum that fell although the counts grew is a rounding error, or a lie.
fn histogram_since(now: &Histogram, before: &Histogram) -> Histogram {
    let since = now.since(before);
    Histogram { sum: since.sum.max(0.0), ..since }
}

/// Adds `more`; what is in `all` never becomes less.
pub(crate) fn add(all: &mut FunctionMetrics, more: &FunctionMetrics) {
    add_count(&mut all.bytes_received, more.bytes_received);
    add_count(&mut all.bytes_sent, more.bytes_sent);
    add_count(&mut all.calls, more.calls);
    add_count(&mut all.cold_starts, more.cold_starts);
    add_histogram(&mut all.duration, &more.duration);
    add_histogram(&mut all.queue_time, &more.queue_time);
    add_errors(&mut all.errors, &more.errors);
}

pub(crate) fn add_count(all: &mut u64, more: u64) {
    *all = all.saturating_add(more).min(MOST);
}

fn add_histogram(all: &mut Histogram, more: &Histogram) {
    if more.counts.is_empty() {
        return;
    }
    if all.counts.is_empty() {
        all.bounds.clone_from(&more.bounds);
        all.counts = vec![0; more.counts.len()];
    }
    all.sum = (all.sum + more.sum).min(MOST_SUM);
    for (i, n) in more.counts.iter().enumerate() {
        // Of other bounds, into the first bucket that surely holds it.
        let place = match more.bounds.get(i) {
            Some(bound) => all.bounds.partition_point(|it| it < bound),
            None => all.bounds.len(),
        };
        if let Some(count) = all.counts.get_mut(place) {
            add_count(count, *n);
        }
    }
}

/// Kinds of errors of one name; others are added up.
const MOST_KINDS: usize = 16;
const OTHER_KINDS: &str = "_OTHER";

fn add_errors(all: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (kind, n) in more {
        let is_kind =
            kind == "other" || (kind.len() == 3 && kind.bytes().all(|b| b.is_ascii_digit()));
        let has_place = all.contains_key(kind) || all.len() < MOST_KINDS;
        let kind = if is_kind && has_place { kind.as_str() } else { OTHER_KINDS };
        add_count(all.entry(kind.to_owned()).or_default(), *n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Option<Reading> {
        let text = format!(
            r#"{{"id":"w","name":"n","namespace":"a","time":"2026-01-01T00:00:00Z","type":"t"{rest}}}"#
        );
        Reading::parse(text.as_bytes(), "w")
    }

    #[test]
    fn what_makes_sense_is_read() {
        assert!(parse("").is_some());
        let read = parse(
            r#","function":{"calls":3,"duration":{"bounds":[1,2],"counts":[1,1,1],"sum":4}},
               "process":{"cpu_seconds":1.5,"memory_bytes":7},"more":{}"#,
        );
        let Reading { function, process } = read.unwrap();
        assert_eq!((function.unwrap().calls, process.unwrap().memory_bytes), (3, Some(7)));
    }

    #[test]
    fn what_does_not_is_not() {
        let hostile = [
            r#","function":{"calls":-1}"#,
            r#","function":{"calls":18446744073709551615}"#,
            r#","function":{"calls":1e400}"#,
            r#","function":{"errors":{"500":18446744073709551615}}"#,
            r#","function":{"duration":{"bounds":[1,2],"counts":[1,1],"sum":0}}"#,
            r#","function":{"duration":{"bounds":[2,1],"counts":[1,1,1],"sum":0}}"#,
            r#","function":{"duration":{"bounds":[1,1],"counts":[1,1,1],"sum":0}}"#,
            r#","function":{"duration":{"bounds":[1],"counts":[1,1],"sum":-1}}"#,
            r#","function":{"queue_time":{"bounds":[1],"counts":[1,9007199254740993],"sum":0}}"#,
            r#","process":{"cpu_seconds":-0.5}"#,
            r#","process":{"cpu_seconds":1e300}"#,
            r#","process":{"memory_bytes":18446744073709551615}"#,
        ];
        for rest in hostile {
            assert_eq!(parse(rest), None, "{rest}");
        }
        let many: Vec<String> = (0..=MOST_BOUNDS).map(|n| n.to_string()).collect();
        let zeros = vec!["0"; MOST_BOUNDS + 2].join(",");
        let wide = format!(
            r#","function":{{"duration":{{"bounds":[{}],"counts":[{zeros}],"sum":0}}}}"#,
            many.join(",")
        );
        assert_eq!(parse(&wide), None);
        assert_eq!(parse(&format!(r#","x":"{}""#, "x".repeat(LARGEST))), None);
        for payload in ["", "null", "[]", "\u{0}", "{}", "{\"id\":\"w\""] {
            assert_eq!(Reading::parse(payload.as_bytes(), "w"), None, "{payload}");
        }
    }

    #[test]
    fn a_message_speaks_of_its_own_workload_only() {
        let text =
            r#"{"id":"v","name":"n","namespace":"a","time":"2026-01-01T00:00:00Z","type":"t"}"#;
        assert_eq!(Reading::parse(text.as_bytes(), "w"), None);
    }

    #[test]
    fn other_bounds_are_put_into_the_first_bucket_that_holds_them() {
        let histogram = |bounds: &[f64], counts: &[u64]| Histogram {
            bounds: bounds.to_vec(),
            counts: counts.to_vec(),
            sum: 1.0,
        };
        let mut all = histogram(&[1.0, 2.0], &[0, 0, 0]);
        add_histogram(&mut all, &histogram(&[0.5, 1.5, 3.0], &[1, 2, 4, 8]));
        assert_eq!((all.counts, all.sum), (vec![1, 2, 12], 2.0));
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut all = BTreeMap::new();
        let more = (100..164).map(|n| (n.to_string(), 1)).collect();
        add_errors(&mut all, &more);
        add_errors(&mut all, &BTreeMap::from([("x\"y".to_owned(), 1)]));
        assert_eq!((all.len(), all[OTHER_KINDS]), (MOST_KINDS + 1, 49));
    }
}
