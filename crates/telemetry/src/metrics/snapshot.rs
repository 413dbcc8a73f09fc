//! All values of one moment.
//!
//! Owns: their shape, and what a stranger's text may be as a label. Never: how they were counted.

use std::time::SystemTime;

use nex_api::metrics::Histogram;

use super::names::{Instrument, Key};

/// What OpenTelemetry calls this service.
pub const SERVICE_NAME: &str = "nex-node";
/// Characters of a label; what is longer is cut.
const LONGEST_LABEL: usize = 128;

/// All values of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Whose they are.
    pub resource: Resource,
    /// When they were read.
    pub time: SystemTime,
    /// One per metric; those without points are left out by exporters.
    pub families: Vec<Family>,
}

/// The node that tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its id.
    pub instance_id: String,
    /// Its version.
    pub version: String,
}

impl Resource {
    /// As OpenTelemetry names it, with dots.
    #[must_use]
    pub fn attributes(&self) -> [(&'static str, &str); 3] {
        [
            ("service.name", SERVICE_NAME),
            ("service.instance.id", &self.instance_id),
            ("service.version", &self.version),
        ]
    }
}

/// The values of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Which.
    pub instrument: Instrument,
    /// With labels of which no two are alike.
    pub points: Vec<Point>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// What tells it from the others of its metric.
    pub labels: Vec<(Key, String)>,
    /// Since when it is counted.
    pub since: SystemTime,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// Any finite number.
    Number(f64),
    /// Well-formed: one count more than bounds.
    Histogram(Histogram),
}

/// A stranger's text as a label: of bounded length, and without what a terminal would obey.
#[must_use]
pub fn label(text: &str) -> String {
    let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(LONGEST_LABEL).map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_and_harmless() {
        assert_eq!(label("echo"), "echo");
        assert_eq!(label("\u{1b}[2Jx\r\ny"), "\u{fffd}[2Jx\u{fffd}\u{fffd}y");
        assert_eq!(label(&"ü".repeat(1000)).chars().count(), LONGEST_LABEL);
    }
}
