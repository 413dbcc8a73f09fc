//! The names under which things are told, once for all exporters.
//!
//! Owns: names, kinds, units, descriptions, and the keys of labels. Never: a value.
//!
//! They follow OpenTelemetry's conventions: lower case, dots, the unit beside the name and not in it. What
//! the conventions have a name for has that one (`error.type`), the rest begins with `nex.`. Prometheus gets
//! them as OpenTelemetry maps them: `_` for dots, the unit and `_total` appended.

/// How values of a metric go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down, and may be added up over nodes.
    UpDown,
    /// It goes up and down, and its sum means nothing.
    Gauge,
    /// How often a value fell between which bounds; only grows.
    Histogram,
}

/// What a value is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Things that are counted; in braces, as UCUM has annotations.
    Of(&'static str),
}

impl Unit {
    /// As UCUM writes it.
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes => "By",
            Self::Of(things) => things,
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instrument {
    /// Its name, with dots.
    pub name: &'static str,
    /// How its values go on.
    pub kind: Kind,
    /// What they are measured in.
    pub unit: Unit,
    /// One sentence without a full stop.
    pub about: &'static str,
}

impl Instrument {
    /// The name that Prometheus has of it, with unit and suffix.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let unit = match self.unit {
            Unit::Seconds => "_seconds",
            Unit::Bytes => "_bytes",
            Unit::Of(_) => "",
        };
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{suffix}", self.name.replace('.', "_"))
    }
}

/// The key of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// With dots.
    pub name: &'static str,
    /// With underscores.
    pub prometheus: &'static str,
}

/// The namespace of a workload.
pub const NAMESPACE: Key = Key { name: "nex.namespace", prometheus: "nex_namespace" };
/// The name of a workload, which its copies share.
pub const WORKLOAD: Key = Key { name: "nex.workload.name", prometheus: "nex_workload_name" };
/// The type of a workload.
pub const TYPE: Key = Key { name: "nex.workload.type", prometheus: "nex_workload_type" };
/// The state of a workload.
pub const STATE: Key = Key { name: "nex.workload.state", prometheus: "nex_workload_state" };
/// The type of workloads that a nexlet runs.
pub const NEXLET: Key = Key { name: "nex.nexlet.type", prometheus: "nex_nexlet_type" };
/// `receive` or `transmit`.
pub const DIRECTION: Key = Key { name: "nex.io.direction", prometheus: "nex_io_direction" };
/// What went wrong.
pub const ERROR_TYPE: Key = Key { name: "error.type", prometheus: "error_type" };
/// `true`: all that no label of its own was left for.
pub const OVERFLOW: Key = Key { name: "otel.metric.overflow", prometheus: "otel_metric_overflow" };

const CALL: Unit = Unit::Of("{call}");

/// `nex.function.calls`
pub const FUNCTION_CALLS: Instrument = Instrument {
    name: "nex.function.calls",
    kind: Kind::Counter,
    unit: CALL,
    about: "Calls of functions that were received, those that were refused included",
};
/// `nex.function.errors`
pub const FUNCTION_ERRORS: Instrument = Instrument {
    name: "nex.function.errors",
    kind: Kind::Counter,
    unit: CALL,
    about: "Calls of functions that failed, by the status of their error reply",
};
/// `nex.function.duration`
pub const FUNCTION_DURATION: Instrument = Instrument {
    name: "nex.function.duration",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    about: "How long calls of functions ran, from the moment they had a place",
};
/// `nex.function.queue_time`
pub const FUNCTION_QUEUE_TIME: Instrument = Instrument {
    name: "nex.function.queue_time",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    about: "How long calls of functions waited for a place",
};
/// `nex.function.io`
pub const FUNCTION_IO: Instrument = Instrument {
    name: "nex.function.io",
    kind: Kind::Counter,
    unit: Unit::Bytes,
    about: "Payloads that functions received, and replies that they sent",
};
/// `nex.function.cold_starts`
pub const FUNCTION_COLD_STARTS: Instrument = Instrument {
    name: "nex.function.cold_starts",
    kind: Kind::Counter,
    unit: Unit::Of("{instance}"),
    about: "Instances of functions that were made because no idle one was there",
};
/// `nex.function.in_flight`
pub const FUNCTION_IN_FLIGHT: Instrument = Instrument {
    name: "nex.function.in_flight",
    kind: Kind::UpDown,
    unit: CALL,
    about: "Calls of functions that were received and have not ended",
};
/// `nex.service.restarts`
pub const SERVICE_RESTARTS: Instrument = Instrument {
    name: "nex.service.restarts",
    kind: Kind::Counter,
    unit: Unit::Of("{restart}"),
    about: "How often programs were started again",
};
/// `nex.service.cpu.time`
pub const SERVICE_CPU_TIME: Instrument = Instrument {
    name: "nex.service.cpu.time",
    kind: Kind::Counter,
    unit: Unit::Seconds,
    about: "Processor time that programs have used",
};
/// `nex.service.memory.usage`
pub const SERVICE_MEMORY_USAGE: Instrument = Instrument {
    name: "nex.service.memory.usage",
    kind: Kind::UpDown,
    unit: Unit::Bytes,
    about: "Memory that programs use",
};
/// `nex.service.memory.limit`
pub const SERVICE_MEMORY_LIMIT: Instrument = Instrument {
    name: "nex.service.memory.limit",
    kind: Kind::UpDown,
    unit: Unit::Bytes,
    about: "Memory that programs may use",
};
/// `nex.service.processes`
pub const SERVICE_PROCESSES: Instrument = Instrument {
    name: "nex.service.processes",
    kind: Kind::UpDown,
    unit: Unit::Of("{process}"),
    about: "Processes that programs have",
};
/// `nex.node.workloads`
pub const NODE_WORKLOADS: Instrument = Instrument {
    name: "nex.node.workloads",
    kind: Kind::UpDown,
    unit: Unit::Of("{workload}"),
    about: "Workloads of the node, by type and state",
};
/// `nex.node.nexlet.restarts`
pub const NODE_NEXLET_RESTARTS: Instrument = Instrument {
    name: "nex.node.nexlet.restarts",
    kind: Kind::Counter,
    unit: Unit::Of("{restart}"),
    about: "How often nexlets ended unasked and were started again",
};
/// `nex.node.nats.round_trip`
pub const NODE_NATS_ROUND_TRIP: Instrument = Instrument {
    name: "nex.node.nats.round_trip",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    about: "How long a message took from the node to its NATS server and back, when last measured",
};
/// `nex.node.metrics.dropped`
pub const NODE_METRICS_DROPPED: Instrument = Instrument {
    name: "nex.node.metrics.dropped",
    kind: Kind::Counter,
    unit: Unit::Of("{message}"),
    about: "Messages with metrics that were not understood, and exports that no collector took",
};

/// All of them, in the order of the guide.
pub const ALL: [Instrument; 16] = [
    FUNCTION_CALLS,
    FUNCTION_ERRORS,
    FUNCTION_DURATION,
    FUNCTION_QUEUE_TIME,
    FUNCTION_IO,
    FUNCTION_COLD_STARTS,
    FUNCTION_IN_FLIGHT,
    SERVICE_RESTARTS,
    SERVICE_CPU_TIME,
    SERVICE_MEMORY_USAGE,
    SERVICE_MEMORY_LIMIT,
    SERVICE_PROCESSES,
    NODE_WORKLOADS,
    NODE_NEXLET_RESTARTS,
    NODE_NATS_ROUND_TRIP,
    NODE_METRICS_DROPPED,
];

/// All keys of labels.
pub const KEYS: [Key; 8] =
    [NAMESPACE, WORKLOAD, TYPE, STATE, NEXLET, DIRECTION, ERROR_TYPE, OVERFLOW];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_has_the_unit_and_the_kind_in_the_name() {
        assert_eq!(FUNCTION_IO.prometheus(), "nex_function_io_bytes_total");
        assert_eq!(FUNCTION_DURATION.prometheus(), "nex_function_duration_seconds");
        assert_eq!(FUNCTION_IN_FLIGHT.prometheus(), "nex_function_in_flight");
    }

    #[test]
    fn a_key_is_one_name_spelled_twice() {
        for key in KEYS {
            assert_eq!(key.name.replace('.', "_"), key.prometheus);
        }
    }

    #[test]
    fn the_guide_lists_every_name() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/observability.md");
        let guide = std::fs::read_to_string(path).unwrap();
        for instrument in ALL {
            let row = format!("| `{}` | `{}` |", instrument.name, instrument.prometheus());
            assert!(guide.contains(&row), "the guide lacks: {row}");
        }
        for key in KEYS {
            assert!(guide.contains(&format!("`{}`", key.name)), "the guide lacks {}", key.name);
        }
    }
}
