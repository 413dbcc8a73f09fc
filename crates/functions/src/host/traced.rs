//! The spans of what guests ask of the world.
//!
//! Owns: their names and attributes, and that a message or request carries them on. Never: tells of a key, a
//! path or a payload, which may be secret.

use nex_telemetry::traces::{Kind, Scope, Span};

use super::{Headers, HostError, Request};

/// The methods that are names of spans; others are guests' inventions.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

/// An operation on a bucket, as `kv get`; `None` is the workload's own.
#[must_use]
pub fn bucket_span(scope: &Scope, name: &'static str, bucket: Option<&str>) -> Span {
    let mut span = scope.child(Kind::Client, || name.to_owned());
    if let Some(bucket) = bucket {
        span.set("nex.bucket", bucket);
    }
    span
}

/// A message, which carries the span on; `name` is `publish`, `request` or the like.
#[must_use]
pub fn message_span(
    scope: &Scope,
    name: &'static str,
    subject: &str,
    headers: &mut Headers,
) -> Span {
    let kind = if name == "publish" { Kind::Producer } else { Kind::Client };
    let mut span = scope.child(kind, || name.to_owned());
    if span.is_kept() {
        span.set("messaging.system", "nats");
        span.set("messaging.operation.type", "send");
        span.set("messaging.operation.name", name);
        span.set("messaging.destination.name", subject);
    }
    scope.carry(&span, headers);
    span
}

/// A request over HTTP, which carries the span on.
#[must_use]
pub fn http_span(scope: &Scope, request: &mut Request) -> Span {
    let known = METHODS.iter().find(|known| known.eq_ignore_ascii_case(&request.method));
    let method = known.copied().unwrap_or("_OTHER");
    let mut span = scope.child(Kind::Client, || method.replace("_OTHER", "HTTP"));
    if span.is_kept() {
        span.set("http.request.method", method);
        let url: Option<reqwest::Url> = request.url.parse().ok();
        if let Some(host) = url.as_ref().and_then(|url| url.host_str()) {
            span.set("server.address", host);
        }
        if let Some(port) = url.as_ref().and_then(reqwest::Url::port_or_known_default) {
            span.set("server.port", i64::from(port));
        }
    }
    scope.carry(&span, &mut request.headers);
    span
}

/// Does `work` in `span`, which ends with it.
///
/// # Errors
/// Those of `work`.
pub async fn traced<T>(
    mut span: Span,
    work: impl Future<Output = Result<T, HostError>>,
) -> Result<T, HostError> {
    let outcome = work.await;
    if let Err(error) = &outcome {
        span.fail(error.kind(), "");
    }
    outcome
}
