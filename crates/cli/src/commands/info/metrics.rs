//! What a workload counts, as lines for people.
//!
//! Owns: units and words. Never: reads metrics, or shows a number that was not counted.

use nex_api::metrics::{FunctionMetrics, Histogram, ProcessMetrics, WorkloadMetrics};
use nex_types::ByteSize;

/// The facts of a summary that the lines here tell better.
const TOLD: [&str; 7] =
    ["calls", "cpu_seconds", "errors", "memory", "pids", "replies_refused", "restarts"];

/// Whether a fact is told by these lines too.
pub(super) fn tells(fact: &str) -> bool {
    TOLD.contains(&fact) || fact.starts_with("errors_")
}

/// The lines of one workload.
pub(super) fn lines(metrics: &WorkloadMetrics) -> Vec<(&'static str, String)> {
    let function = metrics.function.iter().flat_map(of_function);
    let process = metrics.process.iter().flat_map(of_process);
    function.chain(process).collect()
}

fn of_function(counted: &FunctionMetrics) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("calls", format!("{} ({} in flight)", counted.calls, counted.in_flight)),
        ("errors", errors(counted)),
        ("run time", times(&counted.duration)),
        ("queue time", times(&counted.queue_time)),
        ("received", ByteSize(counted.bytes_received).to_string()),
        ("sent", ByteSize(counted.bytes_sent).to_string()),
        ("cold starts", counted.cold_starts.to_string()),
    ];
    if counted.refused_replies > 0 {
        lines.push(("replies refused", counted.refused_replies.to_string()));
    }
    lines
}

fn of_process(used: &ProcessMetrics) -> Vec<(&'static str, String)> {
    let memory = match (used.memory_bytes, used.memory_limit_bytes) {
        (Some(used), Some(limit)) => format!("{} of {}", ByteSize(used), ByteSize(limit)),
        (Some(used), None) => ByteSize(used).to_string(),
        (None, _) => NOT_KNOWN.to_owned(),
    };
    let processes = used.processes.map_or_else(|| NOT_KNOWN.to_owned(), |n| n.to_string());
    vec![
        ("processor", format!("{:.1} s", used.cpu_seconds)),
        ("memory", memory),
        ("processes", processes),
        ("restarts", used.restarts.to_string()),
    ]
}

const NOT_KNOWN: &str = "not known";

fn errors(counted: &FunctionMetrics) -> String {
    let all = counted.n_errors();
    let by_status: Vec<String> =
        counted.errors.iter().map(|(status, n)| format!("{status}: {n}")).collect();
    match by_status.is_empty() {
        true => all.to_string(),
        false => format!("{all} ({})", by_status.join(", ")),
    }
}

fn times(times: &Histogram) -> String {
    let part = |part: f64| {
        let seconds = times.quantile(part)?;
        let is_above = times.is_above(seconds);
        Some(if is_above { format!("over {}", time(seconds)) } else { time(seconds) })
    };
    match part(0.5).zip(part(0.99)) {
        Some((median, slow)) => format!("p50 {median}, p99 {slow}"),
        None => "none yet".to_owned(),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(lines: &[(&'static str, String)], key: &str) -> String {
        let found = lines.iter().find(|(name, _)| *name == key);
        found.map_or_else(|| panic!("no {key} in {lines:?}"), |(_, value)| value.clone())
    }

    #[test]
    fn a_function_s_counts_are_told_with_units() {
        let errors = [("429".to_owned(), 3), ("500".to_owned(), 1)].into();
        let duration =
            Histogram { bounds: vec![0.000_1, 0.01, 10.0], counts: vec![10, 0, 0, 10], sum: 200.0 };
        let function = FunctionMetrics {
            calls: 24,
            in_flight: 1,
            errors,
            duration,
            bytes_received: 2048,
            ..FunctionMetrics::default()
        };
        let lines = of_function(&function);
        assert_eq!(line(&lines, "calls"), "24 (1 in flight)");
        assert_eq!(line(&lines, "errors"), "4 (429: 3, 500: 1)");
        assert_eq!(line(&lines, "run time"), "p50 100 µs, p99 over 10.00 s");
        assert_eq!(line(&lines, "queue time"), "none yet");
        assert_eq!(line(&lines, "received"), "2 KiB");
    }

    #[test]
    fn what_is_not_counted_is_not_invented() {
        let unknown = of_process(&ProcessMetrics::default());
        assert_eq!(line(&unknown, "memory"), "not known");
        assert_eq!(line(&unknown, "processes"), "not known");
        let used = ProcessMetrics {
            memory_bytes: Some(3 << 20),
            memory_limit_bytes: Some(64 << 20),
            ..ProcessMetrics::default()
        };
        assert_eq!(line(&of_process(&used), "memory"), "3 MiB of 64 MiB");
    }
}
