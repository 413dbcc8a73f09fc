//! A snapshot as Prometheus reads it.
//!
//! Owns: both text forms and choosing between them. Never: escapes by itself; the official encoder does.

use std::fmt::Error;

use nex_api::metrics::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::encoding::{prometheus_text, text as open_metrics};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit as PrometheusUnit};

use super::names::{Kind, Unit};
use super::snapshot::{Family, Point, Snapshot, Value};

/// The text forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, for everybody else.
    Prometheus,
}

impl Format {
    /// What an `Accept` header asks for.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        match accept.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// Its `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// The text of a snapshot.
#[must_use]
pub fn text(snapshot: Snapshot, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Encoded(snapshot)));
    let mut text = String::new();
    let written = match format {
        Format::OpenMetrics => open_metrics::encode(&mut text, &registry),
        Format::Prometheus => prometheus_text::encode(&mut text, &registry),
    };
    debug_assert!(written.is_ok(), "a String takes all that is written to it");
    text
}

#[derive(Debug)]
struct Encoded(Snapshot);

impl Collector for Encoded {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let attributes = self.0.resource.attributes();
        let labels = attributes.map(|(key, value)| (key.replace('.', "_"), value.to_owned()));
        let about = "Which node tells";
        let mut target = encoder.encode_descriptor("target", about, None, MetricType::Info)?;
        target.encode_info(&labels)?;
        self.0.families.iter().try_for_each(|family| encode_family(family, &mut encoder))
    }
}

fn encode_family(family: &Family, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let instrument = &family.instrument;
    if family.points.is_empty() {
        return Ok(());
    }
    let name = instrument.name.replace('.', "_");
    let unit = match instrument.unit {
        Unit::Seconds => Some(PrometheusUnit::Seconds),
        Unit::Bytes => Some(PrometheusUnit::Bytes),
        Unit::Of(_) => None,
    };
    let kind = match instrument.kind {
        Kind::Counter => MetricType::Counter,
        Kind::UpDown | Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let mut encoder = encoder.encode_descriptor(&name, instrument.about, unit.as_ref(), kind)?;
    for point in &family.points {
        let labels: Vec<(&str, &str)> =
            point.labels.iter().map(|(key, value)| (key.prometheus, value.as_str())).collect();
        encode_point(point, kind, encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

fn encode_point(
    point: &Point,
    kind: MetricType,
    mut encoder: MetricEncoder<'_>,
) -> Result<(), Error> {
    match (&point.value, kind) {
        (Value::Count(count), MetricType::Counter) => ConstCounter::new(*count).encode(encoder),
        (Value::Number(number), MetricType::Counter) => ConstCounter::new(*number).encode(encoder),
        (Value::Count(count), _) => ConstGauge::new(*count).encode(encoder),
        (Value::Number(number), _) => ConstGauge::new(*number).encode(encoder),
        (Value::Histogram(histogram), _) => {
            let Histogram { bounds, counts, sum } = histogram;
            let bounds = bounds.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
            encoder.encode_histogram::<NoLabelSet>(*sum, histogram.count(), &buckets, None)
        }
    }
}
