//! One snapshot with a value of each kind.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nex_api::metrics::Histogram;
use nex_telemetry::metrics::{Family, Point, Resource, Snapshot, Value, label, names};

pub(crate) const HOSTILE: &str = "a\"} 9\nnex_function_calls_total{x=\"\\\u{1b}[2J";

pub(crate) fn snapshot() -> Snapshot {
    let histogram = Histogram { bounds: vec![0.01, 0.1], counts: vec![2, 1, 1], sum: 3.25 };
    let families = vec![
        family(
            names::FUNCTION_CALLS,
            vec![point("echo", Value::Count(4)), point(HOSTILE, Value::Count(1))],
        ),
        family(names::FUNCTION_DURATION, vec![point("echo", Value::Histogram(histogram))]),
        family(names::FUNCTION_ERRORS, Vec::new()),
        family(names::SERVICE_CPU_TIME, vec![point("db", Value::Number(1.5))]),
        family(names::SERVICE_MEMORY_USAGE, vec![point("db", Value::Count(1_048_576))]),
        family(names::NODE_NATS_ROUND_TRIP, vec![unlabelled(Value::Number(0.000_25))]),
        family(names::NODE_METRICS_DROPPED, vec![overflow(Value::Count(0))]),
    ];
    let resource = Resource { instance_id: "NABC".to_owned(), version: "0.5.0".to_owned() };
    Snapshot { resource, time: since() + Duration::from_secs(60), families }
}

fn since() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn family(instrument: names::Instrument, points: Vec<Point>) -> Family {
    Family { instrument, points }
}

fn point(name: &str, value: Value) -> Point {
    let labels = vec![(names::NAMESPACE, "default".to_owned()), (names::WORKLOAD, label(name))];
    Point { labels, since: since(), value }
}

fn unlabelled(value: Value) -> Point {
    Point { labels: Vec::new(), since: since(), value }
}

fn overflow(value: Value) -> Point {
    let labels = vec![(names::OVERFLOW, "true".to_owned())];
    Point { labels, since: since(), value }
}
