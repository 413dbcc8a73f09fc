//! A snapshot as OTLP has it.
//!
//! Owns: the protobuf message. Never: sends it.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::names::{Key, Kind, OVERFLOW};
use super::snapshot::{Family, Point, Snapshot, Value};
use crate::otlp::nanoseconds;

/// Values are told since their beginning, not since the last export: a lost one loses nothing.
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// The message of a snapshot.
#[must_use]
pub fn message(snapshot: &Snapshot) -> ExportMetricsServiceRequest {
    let attributes = snapshot.resource.attributes();
    let resource = Resource {
        attributes: attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "nex".to_owned(),
        version: snapshot.resource.version.clone(),
        ..InstrumentationScope::default()
    };
    let told = snapshot.families.iter().filter(|family| !family.points.is_empty());
    let metrics = ScopeMetrics {
        scope: Some(scope),
        metrics: told.map(|family| metric(family, snapshot.time)).collect(),
        ..ScopeMetrics::default()
    };
    let of_resource = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![metrics],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }
}

fn metric(family: &Family, time: SystemTime) -> Metric {
    let instrument = &family.instrument;
    let numbers = || family.points.iter().filter_map(|point| number(point, time)).collect();
    let sum = |is_monotonic| Sum {
        data_points: numbers(),
        aggregation_temporality: CUMULATIVE,
        is_monotonic,
    };
    let data = match instrument.kind {
        Kind::Counter => metric::Data::Sum(sum(true)),
        Kind::UpDown => metric::Data::Sum(sum(false)),
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: family.points.iter().filter_map(|point| histogram(point, time)).collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    Metric {
        name: instrument.name.to_owned(),
        description: instrument.about.to_owned(),
        unit: instrument.unit.ucum().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(point: &Point, time: SystemTime) -> Option<NumberDataPoint> {
    let value = match &point.value {
        Value::Count(count) => {
            number_data_point::Value::AsInt(i64::try_from(*count).unwrap_or(i64::MAX))
        }
        Value::Number(number) => number_data_point::Value::AsDouble(*number),
        Value::Histogram(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: nanoseconds(point.since),
        time_unix_nano: nanoseconds(time),
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn histogram(point: &Point, time: SystemTime) -> Option<HistogramDataPoint> {
    let Value::Histogram(histogram) = &point.value else { return None };
    Some(HistogramDataPoint {
        attributes: attributes(point),
        start_time_unix_nano: nanoseconds(point.since),
        time_unix_nano: nanoseconds(time),
        count: histogram.count(),
        sum: Some(histogram.sum),
        bucket_counts: histogram.counts.clone(),
        explicit_bounds: histogram.bounds.clone(),
        ..HistogramDataPoint::default()
    })
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    let of = |(key, value): &(Key, String)| match *key {
        // The conventions have a truth value for it.
        OVERFLOW => key_value(key.name, any_value::Value::BoolValue(true)),
        _ => attribute(key.name, value),
    };
    point.labels.iter().map(of).collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    key_value(key, any_value::Value::StringValue(value.to_owned()))
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
