//! The node's spans, and those of its nexlets: both leave here.
//!
//! Owns: the one connection to the collector, and taking in what nexlets hand over. Never: gives the collector's
//! secrets to anybody.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nex_api::subject;
use nex_bus::Subscriber;
use nex_sandbox::OnFailure;
use nex_telemetry::OtlpSettings;
use nex_telemetry::traces::{self, Collector, MOST_BYTES, Resource, Tracer};
use tokio_util::sync::CancellationToken;

use crate::control::Shared;

/// How long the last spans may take.
pub(crate) const FLUSH_BOUND: Duration = Duration::from_secs(2);

/// What nexlets hand over at once is far below; it is decoded as a whole.
const LARGEST: usize = 2 * MOST_BYTES;

/// Where spans go, and how many.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// The collector.
    pub otlp: OtlpSettings,
    /// Which part of the traces that begin here is kept, 0 to 1.
    pub sample: f64,
}

/// The tracer of a node that was told where spans go.
pub(crate) fn tracer(tracing: Option<&Tracing>) -> Tracer {
    tracing.map_or_else(Tracer::off, |tracing| Tracer::on(tracing.sample))
}

/// Begins sending, and taking in what nexlets hand over.
///
/// # Errors
/// When TLS cannot be set up, or nothing be subscribed to.
pub(crate) async fn begin(shared: &Arc<Shared>, tracing: &Tracing) -> Result<(), String> {
    let Some(spans) = shared.tracer.take_spans() else { return Ok(()) };
    let collector = Collector::new(&tracing.otlp).map_err(|error| error.to_string())?;
    let handed_over = shared.client.subscribe(subject::agent_spans(&shared.node_id, "*")).await;
    let handed_over = handed_over.map_err(|error| error.to_string())?;
    let resource = Resource {
        service: nex_telemetry::metrics::SERVICE_NAME.to_owned(),
        instance: shared.node_id.clone(),
        version: shared.version.clone(),
    };
    let (tasks, tracer) = (&shared.tasks, shared.tracer.clone());
    let exporting = traces::export(spans, collector, resource);
    tasks.spawn_until(tasks.token(), "span exporter", OnFailure::Log, exporting);
    let relaying = relay(handed_over, tracer, tasks.token());
    tasks.spawn("span relay", OnFailure::Log, relaying);
    tracing::info!(endpoint = tracing.otlp.endpoint(), "spans are sent by OTLP");
    Ok(())
}

async fn relay(mut handed_over: Subscriber, tracer: Tracer, token: CancellationToken) {
    loop {
        let message = tokio::select! {
            message = handed_over.next() => message,
            () = token.cancelled() => return,
        };
        let Some(message) = message else {
            tracing::warn!("spans of nexlets are taken in no more: the subscription has ended");
            return;
        };
        if message.payload.len() > LARGEST {
            tracing::debug!(
                bytes = message.payload.len(),
                "spans of a nexlet are too many at once"
            );
            continue;
        }
        if let Err(error) = traces::relay(&tracer, &message.payload) {
            tracing::debug!(%error, "spans of a nexlet not understood");
        }
    }
}
