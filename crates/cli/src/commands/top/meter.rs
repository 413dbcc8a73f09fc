//! From readings of counters to what a screen shows: rates, percentiles, parts of a processor.
//!
//! Owns: the two last readings of each workload, and what may be read out of them. Never: shows a guess;
//! what two readings do not tell is `None`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use nex_api::metrics::{FunctionMetrics, Histogram, ProcessMetrics, WorkloadMetrics};
use nex_api::workload::{WorkloadState, WorkloadSummary, fact};

use super::state::Moment;

/// A nexlet tells a workload's counters every 5 s when they have changed: when two of these times, and
/// a little more, have passed without a word, nothing was counted.
const QUIET: Duration = Duration::from_secs(12);
/// It tells them every 30 s also when nothing has changed: after this, nothing is known any more.
const UNHEARD: Duration = Duration::from_secs(40);
/// Readings nearer to each other than this make no rate.
const NEAREST: f64 = 0.05;
/// Workloads whose readings are kept; those of more are not looked at.
const MOST: usize = 20_000;

/// What is shown of one workload in numbers; `None` is what is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) calls: Option<f64>,
    pub(super) p99: Option<Percentile>,
    pub(super) errors: Option<f64>,
    /// Of one processor: 100 is all of one.
    pub(super) cpu_percent: Option<f64>,
    pub(super) memory: Option<u64>,
    pub(super) restarts: Option<u64>,
    pub(super) uptime: Option<Duration>,
}

/// A percentile of durations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentile {
    pub(super) seconds: f64,
    /// It lies above the last bound, so that only that is known of it.
    pub(super) is_above: bool,
}

/// The last readings of all workloads.
#[derive(Debug, Default)]
pub(super) struct Meters(HashMap<String, Meter>);

#[derive(Debug)]
struct Meter {
    earlier: Option<WorkloadMetrics>,
    latest: WorkloadMetrics,
    /// On the program's own clock.
    heard: Duration,
}

impl Meters {
    pub(super) fn hear(&mut self, metrics: WorkloadMetrics, clock: Duration) {
        if let Some(meter) = self.0.get_mut(&metrics.id) {
            let before = std::mem::replace(&mut meter.latest, metrics);
            // A reading that is not later tells nothing of the time between.
            meter.earlier = (before.time < meter.latest.time).then_some(before);
            meter.heard = clock;
        } else if self.0.len() < MOST {
            let id = metrics.id.clone();
            self.0.insert(id, Meter { earlier: None, latest: metrics, heard: clock });
        }
    }

    /// Forgets those that are not listed.
    pub(super) fn keep(&mut self, ids: &HashSet<&str>) {
        self.0.retain(|id, _| ids.contains(id.as_str()));
    }

    /// Forgets all, as after a time in which nothing could be heard.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is known of a workload at this moment.
    pub(super) fn figures(&self, workload: &WorkloadSummary, at: &Moment) -> Figures {
        let counted = workload.metadata.get(fact::RESTARTS).and_then(|text| text.parse().ok());
        let listed =
            Figures { restarts: counted, uptime: uptime(workload, at), ..Figures::default() };
        match self.0.get(&workload.id) {
            Some(meter) => meter.figures(listed, at.clock),
            None => listed,
        }
    }
}

impl Meter {
    fn figures(&self, listed: Figures, clock: Duration) -> Figures {
        let silent = clock.saturating_sub(self.heard);
        if silent > UNHEARD {
            return listed;
        }
        let mut figures = listed;
        if let Some(process) = &self.latest.process {
            figures.memory = process.memory_bytes;
            figures.restarts = Some(process.restarts);
        }
        if silent > QUIET {
            let zero = |counts: bool| counts.then_some(0.0);
            figures.calls = zero(self.latest.function.is_some());
            figures.errors = figures.calls;
            figures.cpu_percent = zero(self.latest.process.is_some());
            return figures;
        }
        let Some(earlier) = &self.earlier else { return figures };
        let seconds = self.latest.time.since(earlier.time).as_secs_f64();
        if seconds < NEAREST {
            return figures;
        }
        if let (Some(now), Some(before)) = (&self.latest.function, &earlier.function) {
            called(&mut figures, now, before, seconds);
        }
        if let (Some(now), Some(before)) = (&self.latest.process, &earlier.process) {
            figures.cpu_percent = cpu_percent(now, before, seconds);
        }
        figures
    }
}

fn called(figures: &mut Figures, now: &FunctionMetrics, before: &FunctionMetrics, seconds: f64) {
    figures.calls = rate(now.calls, before.calls, seconds);
    figures.errors = rate(now.n_errors(), before.n_errors(), seconds);
    figures.p99 = percentile(&now.duration.since(&before.duration));
}

/// None when it has shrunk: what counts began anew, nobody knows when.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn rate(now: u64, before: u64, seconds: f64) -> Option<f64> {
    now.checked_sub(before).map(|n| n as f64 / seconds)
}

fn percentile(durations: &Histogram) -> Option<Percentile> {
    let seconds = durations.quantile(0.99)?;
    let is_above = durations.is_above(seconds);
    Some(Percentile { seconds, is_above })
}

fn cpu_percent(now: &ProcessMetrics, before: &ProcessMetrics, seconds: f64) -> Option<f64> {
    let used = now.cpu_seconds - before.cpu_seconds;
    (used >= 0.0).then(|| used / seconds * 100.0)
}

/// Since its start, of what runs as far as is known.
fn uptime(workload: &WorkloadSummary, at: &Moment) -> Option<Duration> {
    use WorkloadState::{Running, Starting, Stopping, Warm};
    let runs = matches!(workload.workload_state, Running | Starting | Stopping | Warm);
    let start = nex_api::Time::parse(&workload.start_time).filter(|time| !time.is_zero())?;
    runs.then(|| at.time.since(start))
}

#[cfg(test)]
mod tests {
    use nex_api::Time;

    use super::*;

    fn at(seconds: u64) -> Moment {
        let start = Time::parse("2026-01-01T00:00:00Z").unwrap();
        let clock = Duration::from_secs(seconds);
        Moment { clock, time: start.after(clock) }
    }

    fn reading(seconds: u64, calls: u64, counts: [u64; 3]) -> WorkloadMetrics {
        let duration = Histogram { bounds: vec![0.001, 0.01], counts: counts.to_vec(), sum: 0.0 };
        let errors = [("500".to_owned(), calls / 10)].into();
        let function = FunctionMetrics { calls, duration, errors, ..FunctionMetrics::default() };
        let time = at(seconds).time;
        let id = "w".to_owned();
        WorkloadMetrics { function: Some(function), id, time, ..WorkloadMetrics::default() }
    }

    fn figures(readings: &[WorkloadMetrics], heard: u64, now: u64) -> Figures {
        let mut meters = Meters::default();
        for metrics in readings {
            meters.hear(metrics.clone(), at(heard).clock);
        }
        let workload = WorkloadSummary { id: "w".to_owned(), ..WorkloadSummary::default() };
        meters.figures(&workload, &at(now))
    }

    #[test]
    fn rates_are_those_between_the_last_two_readings() {
        let readings = [
            reading(0, 900, [900, 0, 0]),
            reading(5, 1000, [1000, 0, 0]),
            reading(10, 1050, [1050, 0, 0]),
        ];
        let figures = figures(&readings, 10, 11);
        assert_eq!((figures.calls, figures.errors), (Some(10.0), Some(1.0)));
        let p99 = figures.p99.unwrap();
        assert!(p99.seconds > 0.000_9 && p99.seconds <= 0.001 && !p99.is_above, "{p99:?}");
    }

    #[test]
    fn one_reading_tells_no_rate_and_no_reading_tells_nothing() {
        let one = figures(&[reading(0, 900, [900, 0, 0])], 0, 1);
        assert_eq!((one.calls, one.p99), (None, None));
        assert_eq!(figures(&[], 0, 1), Figures::default());
    }

    #[test]
    fn what_began_anew_has_no_rate() {
        let restarted = [reading(0, 900, [900, 0, 0]), reading(5, 20, [20, 0, 0])];
        assert_eq!(figures(&restarted, 5, 6).calls, None);
        let not_later = [reading(5, 900, [900, 0, 0]), reading(5, 950, [950, 0, 0])];
        assert_eq!(figures(&not_later, 5, 6).calls, None);
    }

    #[test]
    fn a_workload_that_is_silent_counts_nothing_and_then_is_unknown() {
        let readings = [reading(0, 0, [0, 0, 0]), reading(5, 100, [0, 0, 100])];
        let slow = figures(&readings, 5, 6).p99.unwrap();
        assert!(slow.is_above, "{slow:?}");
        let quiet = figures(&readings, 5, 20);
        assert_eq!((quiet.calls, quiet.errors, quiet.p99), (Some(0.0), Some(0.0), None));
        assert_eq!(figures(&readings, 5, 60).calls, None);
    }

    #[test]
    fn a_program_s_use_of_processors_is_a_part_of_one() {
        let reading = |seconds: u64, cpu_seconds: f64| {
            let process = ProcessMetrics {
                cpu_seconds,
                memory_bytes: Some(7),
                restarts: 2,
                ..ProcessMetrics::default()
            };
            WorkloadMetrics {
                process: Some(process),
                id: "w".to_owned(),
                time: at(seconds).time,
                ..WorkloadMetrics::default()
            }
        };
        let figures = figures(&[reading(0, 1.0), reading(5, 3.5)], 5, 6);
        assert_eq!(
            (figures.cpu_percent, figures.memory, figures.restarts),
            (Some(50.0), Some(7), Some(2))
        );
        assert_eq!(figures.calls, None);
    }
}
