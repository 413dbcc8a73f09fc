//! A collector for tests: a real OTLP/HTTP receiver on a free port, which keeps what it got.
//!
//! Owns: its listener, what arrived, and being away for a while. Never: speaks gRPC or JSON, answers late.
//!
//! ```no_run
//! # async fn example() {
//! use std::time::Duration;
//! use nex_testkit::OtlpReceiver;
//!
//! let receiver = OtlpReceiver::start().await;
//! // nex up --otlp <receiver.url()> …
//! let calls = receiver
//!     .until("calls arrive", Duration::from_secs(30), |got| got.points("nex.function.calls").pop())
//!     .await;
//! assert_eq!(calls.attribute("nex.workload.name"), "echo");
//! # }
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::eventually;

pub use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
pub use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
pub use opentelemetry_proto::tonic::trace::v1::Span;

/// What exporters send at once is far below.
const LARGEST: usize = 64 * 1024 * 1024;

/// What arrived so far, in order.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// Bodies of `POST /v1/metrics`.
    pub metrics: Vec<ExportMetricsServiceRequest>,
    /// Bodies of `POST /v1/traces`.
    pub traces: Vec<ExportTraceServiceRequest>,
    /// The headers of the last request that was taken, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Requests that were not understood, or refused because the test wanted so.
    pub refused: usize,
}

/// A value of a metric, as the last export that has it tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// The number; the count of a histogram.
    pub value: f64,
    /// A histogram's bounds with their counts; the last, for what is above, is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// A histogram's sum.
    pub sum: f64,
}

impl Point {
    /// An attribute's value; empty when it has none.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Received {
    /// The points of a metric in the last export that has it.
    #[must_use]
    pub fn points(&self, metric: &str) -> Vec<Point> {
        let of = |request: &ExportMetricsServiceRequest| points_of(request, metric);
        self.metrics.iter().rev().map(of).find(|points| !points.is_empty()).unwrap_or_default()
    }

    /// All spans, each with the attributes of its resource.
    #[must_use]
    pub fn spans(&self) -> Vec<(BTreeMap<String, String>, Span)> {
        let mut spans = Vec::new();
        for of_resource in self.traces.iter().flat_map(|request| &request.resource_spans) {
            let resource = of_resource.resource.clone().unwrap_or_default();
            let resource = texts(&resource.attributes);
            let all = of_resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.extend(all.map(|span| (resource.clone(), span.clone())));
        }
        spans
    }

    /// The attributes of the resource of the last export of metrics.
    #[must_use]
    pub fn metrics_resource(&self) -> BTreeMap<String, String> {
        let last = self.metrics.last().and_then(|request| request.resource_metrics.first());
        let resource = last.and_then(|metrics| metrics.resource.as_ref());
        resource.map(|resource| texts(&resource.attributes)).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Shared {
    received: Received,
    /// What everybody is answered instead of being heard.
    refusing: Option<StatusCode>,
}

/// A receiver; it is gone, with its connections, when this is dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: Option<JoinHandle<()>>,
}

impl OtlpReceiver {
    /// Listens on a free port of this machine.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let serving = Some(tokio::spawn(serve(listener, Arc::clone(&shared))));
        Self { address, shared, serving }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that arrived until now.
    #[must_use]
    pub fn received(&self) -> Received {
        self.with(|shared| shared.received.clone())
    }

    /// Forgets what arrived.
    pub fn clear(&self) {
        self.with(|shared| shared.received = Received::default());
    }

    /// Answers everybody with this status from now on, and keeps nothing; `None` to take things again.
    ///
    /// # Panics
    /// When it is no status.
    pub fn refuse_with(&self, status: Option<u16>) {
        let status = status.map(|status| StatusCode::from_u16(status).expect("an HTTP status"));
        self.with(|shared| shared.refusing = status);
    }

    /// Closes the port and all connections.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _aborted = serving.await;
        }
    }

    /// Listens again on the same port.
    ///
    /// # Panics
    /// When somebody else has taken it for longer than a test's own connection takes.
    pub async fn start_again(&mut self) {
        self.stop().await;
        let listener = eventually("the port is free", Duration::from_secs(10), async || {
            TcpListener::bind(self.address).await
        })
        .await;
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
    }

    /// Waits until `find` finds something in what arrived.
    ///
    /// # Panics
    /// When it does not in time, with what arrived last.
    pub async fn until<T>(
        &self,
        what: &str,
        within: Duration,
        mut find: impl FnMut(&Received) -> Option<T>,
    ) -> T {
        eventually(what, within, async || {
            let received = self.received();
            find(&received).ok_or_else(|| {
                let (last, span) = (received.metrics.last().cloned(), received.spans().pop());
                (received.metrics.len(), received.traces.len(), received.refused, last, span)
            })
        })
        .await
    }

    fn with<R>(&self, work: impl FnOnce(&mut Shared) -> R) -> R {
        work(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Its connections end with it.
async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let builder = hyper::server::conn::http1::Builder::new();
            let _gone = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Mutex<Shared>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.map(|body| body.to_bytes());
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let status = match (shared.refusing, body) {
        (Some(status), _) => status,
        (None, Err(_)) => StatusCode::PAYLOAD_TOO_LARGE,
        (None, Ok(body)) => take(&mut shared.received, &head, &body),
    };
    if status != StatusCode::OK {
        shared.received.refused += 1;
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/x-protobuf"),
    );
    Ok(response)
}

fn take(received: &mut Received, head: &hyper::http::request::Parts, body: &[u8]) -> StatusCode {
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: BTreeMap<String, String> =
        head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    if head.method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    if headers.get("content-type").is_none_or(|it| it != "application/x-protobuf") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let is_understood = match head.uri.path() {
        "/v1/metrics" => {
            ExportMetricsServiceRequest::decode(body).map(|request| received.metrics.push(request))
        }
        "/v1/traces" => {
            ExportTraceServiceRequest::decode(body).map(|request| received.traces.push(request))
        }
        _ => return StatusCode::NOT_FOUND,
    };
    if is_understood.is_err() {
        return StatusCode::BAD_REQUEST;
    }
    received.headers = headers;
    StatusCode::OK
}

fn points_of(request: &ExportMetricsServiceRequest, name: &str) -> Vec<Point> {
    let scopes = request.resource_metrics.iter().flat_map(|metrics| &metrics.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics).filter(|metric| metric.name == name);
    let mut points = Vec::new();
    for metric in metrics {
        match &metric.data {
            Some(metric::Data::Gauge(data)) => points.extend(data.data_points.iter().map(number)),
            Some(metric::Data::Sum(data)) => points.extend(data.data_points.iter().map(number)),
            Some(metric::Data::Histogram(data)) => {
                points.extend(data.data_points.iter().map(histogram));
            }
            _ => {}
        }
    }
    points
}

#[expect(clippy::cast_precision_loss, reason = "tests count less than 2^53")]
fn number(point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint) -> Point {
    let value = match point.value {
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        Some(number_data_point::Value::AsDouble(value)) => value,
        None => f64::NAN,
    };
    Point { attributes: texts(&point.attributes), value, buckets: Vec::new(), sum: 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "tests count less than 2^53")]
fn histogram(point: &opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint) -> Point {
    let bounds = point.explicit_bounds.iter().copied().chain([f64::INFINITY]);
    Point {
        attributes: texts(&point.attributes),
        value: point.count as f64,
        buckets: bounds.zip(point.bucket_counts.iter().copied()).collect(),
        sum: point.sum.unwrap_or_default(),
    }
}

/// Attributes as text.
#[must_use]
pub fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| {
        let value = match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(value)) => value.clone(),
            Some(any_value::Value::IntValue(value)) => value.to_string(),
            Some(any_value::Value::DoubleValue(value)) => value.to_string(),
            Some(any_value::Value::BoolValue(value)) => value.to_string(),
            other => format!("{other:?}"),
        };
        (pair.key.clone(), value)
    };
    attributes.iter().map(text).collect()
}
