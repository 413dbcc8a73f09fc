//! Everything that is counted, under its names.
//!
//! Owns: which number goes under which name and labels. Never: counts.

use std::time::SystemTime;

use nex_telemetry::metrics::names::{self, Instrument, Key};
use nex_telemetry::metrics::{Family, Point, Resource, Snapshot, Value, label};

use super::Collected;
use super::totals::{Series, Total, Totals, Usage};
use crate::control::Shared;
use crate::view::Counts;

/// Pairs of type and state; the types are what nexlets say.
const MOST_PAIRS: usize = 64;
const OTHER_TYPES: &str = "_OTHER";

/// All values of this moment.
pub(super) fn snapshot(shared: &Shared, collected: &Collected) -> Snapshot {
    let mut families = collected.with(|inner| of_workloads(&inner.totals));
    families.extend(of_node(shared, collected));
    let (instance_id, version) = (shared.node_id.clone(), shared.version.clone());
    Snapshot { resource: Resource { instance_id, version }, time: SystemTime::now(), families }
}

pub(super) fn of_workloads(totals: &Totals) -> Vec<Family> {
    let mut table = Table::default();
    let usage = totals.usage();
    for (series, total) in totals.all() {
        let labels = labels(series);
        table.add_total(&labels, total);
        if let Some(usage) = usage.get(series) {
            table.add_usage(&labels, *usage, total.since);
        }
    }
    table.0
}

fn of_node(shared: &Shared, collected: &Collected) -> Vec<Family> {
    let mut table = Table::default();
    let since = collected.since;
    let (messages, exports, round_trip) =
        collected.with(|inner| (inner.dropped_messages, inner.dropped_exports, inner.round_trip));
    for ((workload_type, state), count) in bounded(shared.view.counts()) {
        let labels = [(names::TYPE, workload_type), (names::STATE, state.to_owned())];
        table.add(names::NODE_WORKLOADS, &labels, since, Value::Count(count));
    }
    for (nexlet, count) in shared.nexlet_restarts.all() {
        let labels = [(names::NEXLET, label(&nexlet))];
        table.add(names::NODE_NEXLET_RESTARTS, &labels, since, Value::Count(count));
    }
    if let Some(took) = round_trip {
        let seconds = Value::Number(took.as_secs_f64());
        table.add(names::NODE_NATS_ROUND_TRIP, &[], since, seconds);
    }
    for (what, count) in [("message", messages), ("export", exports)] {
        let labels = [(names::ERROR_TYPE, what.to_owned())];
        table.add(names::NODE_METRICS_DROPPED, &labels, since, Value::Count(count));
    }
    table.0
}

/// Types under which several would look alike are one, and so are those for which there is no room.
fn bounded(counts: Counts) -> Counts {
    let mut all = Counts::new();
    for ((workload_type, state), count) in counts {
        let mut key = (label(&workload_type), state);
        if all.len() >= MOST_PAIRS && !all.contains_key(&key) {
            key.0 = OTHER_TYPES.to_owned();
        }
        *all.entry(key).or_default() += count;
    }
    all
}

fn labels(series: &Series) -> Vec<(Key, String)> {
    match series {
        Series::Named(name) => vec![
            (names::NAMESPACE, name.namespace.clone()),
            (names::WORKLOAD, name.name.clone()),
            (names::TYPE, name.workload_type.clone()),
        ],
        Series::Overflow => vec![(names::OVERFLOW, "true".to_owned())],
    }
}

/// Points by metric, in the order in which metrics came.
#[derive(Debug, Default)]
struct Table(Vec<Family>);

impl Table {
    fn add(
        &mut self,
        instrument: Instrument,
        labels: &[(Key, String)],
        since: SystemTime,
        value: Value,
    ) {
        let point = Point { labels: labels.to_vec(), since, value };
        match self.0.iter_mut().find(|family| family.instrument == instrument) {
            Some(family) => family.points.push(point),
            None => self.0.push(Family { instrument, points: vec![point] }),
        }
    }

    fn add_total(&mut self, labels: &[(Key, String)], total: &Total) {
        let since = total.since;
        let with = |key: Key, value: &str| [labels, &[(key, value.to_owned())]].concat();
        if let Some(function) = &total.function {
            self.add(names::FUNCTION_CALLS, labels, since, Value::Count(function.calls));
            for (kind, count) in &function.errors {
                let labels = with(names::ERROR_TYPE, kind);
                self.add(names::FUNCTION_ERRORS, &labels, since, Value::Count(*count));
            }
            let histograms = [
                (names::FUNCTION_DURATION, &function.duration),
                (names::FUNCTION_QUEUE_TIME, &function.queue_time),
            ];
            for (instrument, histogram) in histograms {
                // An empty one was not measured.
                if !histogram.counts.is_empty() {
                    self.add(instrument, labels, since, Value::Histogram(histogram.clone()));
                }
            }
            let io = [("receive", function.bytes_received), ("transmit", function.bytes_sent)];
            for (direction, bytes) in io {
                let labels = with(names::DIRECTION, direction);
                self.add(names::FUNCTION_IO, &labels, since, Value::Count(bytes));
            }
            let cold_starts = Value::Count(function.cold_starts);
            self.add(names::FUNCTION_COLD_STARTS, labels, since, cold_starts);
        }
        if let Some(process) = &total.process {
            let (restarts, seconds) =
                (Value::Count(process.restarts), Value::Number(process.cpu_seconds));
            self.add(names::SERVICE_RESTARTS, labels, since, restarts);
            self.add(names::SERVICE_CPU_TIME, labels, since, seconds);
        }
    }

    fn add_usage(&mut self, labels: &[(Key, String)], usage: Usage, since: SystemTime) {
        let gauges = [
            (names::FUNCTION_IN_FLIGHT, usage.in_flight),
            (names::SERVICE_MEMORY_USAGE, usage.memory),
            (names::SERVICE_MEMORY_LIMIT, usage.memory_limit),
            (names::SERVICE_PROCESSES, usage.processes),
        ];
        for (instrument, value) in gauges {
            if let Some(value) = value {
                self.add(instrument, labels, since, Value::Count(value));
            }
        }
    }
}
