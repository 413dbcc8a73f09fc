//! A nexlet's spans on their way to its node, which alone speaks to the collector.
//!
//! Owns: the message, and the spans of starts. Never: knows the collector or its secrets.

use std::time::Duration;

use async_trait::async_trait;
use nex_bus::{Client, is_connected};
use nex_telemetry::traces::{self, Delivery, Kind, Resource, Scope, Span, Spans, Undelivered};
use tokio_util::sync::CancellationToken;

use crate::{Description, StartFailure};

/// How long the last spans may take.
pub(crate) const FLUSH_BOUND: Duration = Duration::from_secs(1);

/// Publishes for the node.
#[derive(Debug)]
struct ToNode {
    client: Client,
    subject: String,
}

#[async_trait]
impl Delivery for ToNode {
    async fn deliver(&self, message: Vec<u8>) -> Result<(), Undelivered> {
        if !is_connected(&self.client) {
            return Err(Undelivered::Now("NATS is out of reach".to_owned()));
        }
        let published = self.client.publish(self.subject.clone(), message.into()).await;
        published.map_err(|error| Undelivered::Now(error.to_string()))
    }
}

/// Publishes what ends, until the token is cancelled.
pub(crate) async fn publish(
    spans: Spans,
    client: Client,
    subject: String,
    resource: Resource,
    token: CancellationToken,
) {
    let exporting = traces::export(spans, ToNode { client, subject }, resource);
    let _cancelled = token.run_until_cancelled(exporting).await;
}

/// Who tells of them.
pub(crate) fn resource(description: &Description, agent_id: &str) -> Resource {
    Resource {
        service: format!("nex-nexlet-{}", description.register_type),
        instance: agent_id.to_owned(),
        version: description.version.clone(),
    }
}

/// What came of it.
pub(crate) fn end<T>(mut span: Span, outcome: &Result<T, StartFailure>) {
    if let Err(failure) = outcome {
        span.fail(&failure.code.to_string(), &failure.message);
    }
}

/// Does one step of a start in a span of its own.
///
/// # Errors
/// Those of `work`.
pub async fn step<T>(
    scope: &Scope,
    name: &'static str,
    work: impl Future<Output = Result<T, StartFailure>>,
) -> Result<T, StartFailure> {
    let span = scope.child(Kind::Internal, || name.to_owned());
    let outcome = work.await;
    end(span, &outcome);
    outcome
}
