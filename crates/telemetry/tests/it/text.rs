//! The text forms, to the letter.

use nex_telemetry::metrics::{Format, text};

use crate::support::{HOSTILE, snapshot};

const OPEN_METRICS: &str = r##"# HELP target Which node tells
# TYPE target info
target_info{service_name="nex-node",service_instance_id="NABC",service_version="0.5.0"} 1
# HELP nex_function_calls Calls of functions that were received, those that were refused included
# TYPE nex_function_calls counter
nex_function_calls_total{nex_namespace="default",nex_workload_name="echo"} 4
nex_function_calls_total{nex_namespace="default",nex_workload_name="a\"} 9�nex_function_calls_total{x=\"\\�[2J"} 1
# HELP nex_function_duration_seconds How long calls of functions ran, from the moment they had a place
# TYPE nex_function_duration_seconds histogram
# UNIT nex_function_duration_seconds seconds
nex_function_duration_seconds_sum{nex_namespace="default",nex_workload_name="echo"} 3.25
nex_function_duration_seconds_count{nex_namespace="default",nex_workload_name="echo"} 4
nex_function_duration_seconds_bucket{le="0.01",nex_namespace="default",nex_workload_name="echo"} 2
nex_function_duration_seconds_bucket{le="0.1",nex_namespace="default",nex_workload_name="echo"} 3
nex_function_duration_seconds_bucket{le="+Inf",nex_namespace="default",nex_workload_name="echo"} 4
# HELP nex_service_cpu_time_seconds Processor time that programs have used
# TYPE nex_service_cpu_time_seconds counter
# UNIT nex_service_cpu_time_seconds seconds
nex_service_cpu_time_seconds_total{nex_namespace="default",nex_workload_name="db"} 1.5
# HELP nex_service_memory_usage_bytes Memory that programs use
# TYPE nex_service_memory_usage_bytes gauge
# UNIT nex_service_memory_usage_bytes bytes
nex_service_memory_usage_bytes{nex_namespace="default",nex_workload_name="db"} 1048576
# HELP nex_node_nats_round_trip_seconds How long a message took from the node to its NATS server and back, when last measured
# TYPE nex_node_nats_round_trip_seconds gauge
# UNIT nex_node_nats_round_trip_seconds seconds
nex_node_nats_round_trip_seconds 0.00025
# HELP nex_node_metrics_dropped Messages with metrics that were not understood, and exports that no collector took
# TYPE nex_node_metrics_dropped counter
nex_node_metrics_dropped_total{otel_metric_overflow="true"} 0
# EOF
"##;

#[test]
fn a_snapshot_as_open_metrics() {
    assert_eq!(text(snapshot(), Format::OpenMetrics), OPEN_METRICS);
}

#[test]
fn the_older_form_has_the_same_values() {
    let values = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let older = text(snapshot(), Format::Prometheus);
    // Where `le` stands among the labels means nothing.
    let sum_only = |lines: Vec<String>| {
        lines.into_iter().filter(|line| !line.contains("le=\"")).collect::<Vec<_>>()
    };
    assert_eq!(sum_only(values(&older)), sum_only(values(OPEN_METRICS)));
    assert!(older.contains("# TYPE nex_function_calls_total counter"));
}

#[test]
fn a_strangers_name_stays_within_its_quotes() {
    for format in [Format::OpenMetrics, Format::Prometheus] {
        let text = text(snapshot(), format);
        assert!(!text.contains('\u{1b}'));
        let hostile: Vec<&str> = text.lines().filter(|line| line.contains("x=")).collect();
        assert_eq!(hostile.len(), 1, "{hostile:?}");
        assert!(hostile[0].ends_with("\"} 1"), "{hostile:?}");
        assert!(!text.contains(HOSTILE));
    }
}

#[test]
fn who_asks_chooses_the_form() {
    let of_prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
    assert_eq!(Format::wanted(of_prometheus), Format::OpenMetrics);
    assert_eq!(Format::wanted("*/*"), Format::Prometheus);
    assert_eq!(Format::wanted(""), Format::Prometheus);
}
