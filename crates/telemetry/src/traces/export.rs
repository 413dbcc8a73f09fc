//! Spans leave: to a collector, or to the node that relays them.
//!
//! Owns: when sending is tried again and when it is given up, and what is said of losses: once per outage.
//! Never: lets whoever is traced wait.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as RelayedSpan;
use prost::Message as _;
use tokio::time::{Instant, sleep};

use super::batch::Spans;
use super::tracer::{Item, Resource, Tracer};
use crate::otlp::{self, OtlpSettings};

/// Pauses between attempts; after the last one the spans are lost.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How often it is said that spans are lost because there are too many.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Of another process' span, and of its resource, in bytes; ours have far less. With the queue's bound, what
/// waits while a collector is away is bounded too.
const LARGEST_RELAYED: usize = 16 * 1024;

/// Takes messages to where they go.
#[async_trait]
pub trait Delivery: Send + Sync + fmt::Debug {
    /// Sends one, an `ExportTraceServiceRequest`.
    async fn deliver(&self, message: Vec<u8>) -> Result<(), Undelivered>;
}

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It may arrive later.
    #[error("{0}")]
    Now(String),
    /// It will never be taken.
    #[error("{0}")]
    Ever(String),
}

/// Sends what `spans` brings, for ever; `resource` is who tells of it.
pub async fn export(mut spans: Spans, delivery: impl Delivery, resource: Resource) {
    let mut told = Told::default();
    loop {
        let mut batch = spans.batch().await;
        for (message, n_spans) in batch.messages(&resource) {
            match send(spans.tracer(), &delivery, message, &mut told).await {
                Ok(()) => told.arrived(spans.tracer()),
                Err(error) => told.lost(spans.tracer(), n_spans, &error),
            }
        }
        told.overflow(spans.tracer());
        if batch.is_flush() {
            spans.tracer().flushed();
        }
        batch.done();
    }
}

/// One message, with further attempts unless somebody waits for the end of all this.
async fn send(
    tracer: &Tracer,
    delivery: &impl Delivery,
    message: Vec<u8>,
    told: &mut Told,
) -> Result<(), Undelivered> {
    let mut pauses = PAUSES.iter();
    loop {
        let error = match delivery.deliver(message.clone()).await {
            Ok(()) => return Ok(()),
            Err(error @ Undelivered::Ever(_)) => return Err(error),
            Err(error) => error,
        };
        told.away(&error);
        let Some(pause) = pauses.next().filter(|_| !tracer.is_hurried()) else { return Err(error) };
        tokio::select! {
            () = sleep(*pause) => {}
            () = tracer.hurried() => {}
        }
    }
}

/// What the log was told of losses.
#[derive(Debug, Default)]
struct Told {
    is_away: bool,
    n_dropped: u64,
    overflow: Option<Instant>,
}

impl Told {
    fn away(&mut self, error: &Undelivered) {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!(%error, "spans cannot be sent; nothing else waits for them");
        }
    }

    fn lost(&mut self, tracer: &Tracer, n_spans: usize, error: &Undelivered) {
        self.away(error);
        tracer.lost(u64::try_from(n_spans).unwrap_or(u64::MAX));
    }

    fn arrived(&mut self, tracer: &Tracer) {
        if std::mem::take(&mut self.is_away) {
            let dropped = tracer.dropped();
            let spans = dropped.saturating_sub(self.n_dropped);
            self.n_dropped = dropped;
            tracing::info!(spans, "spans can be sent again; so many were lost");
        }
    }

    fn overflow(&mut self, tracer: &Tracer) {
        let dropped = tracer.dropped();
        let n_new = dropped.saturating_sub(self.n_dropped);
        let was_said = self.overflow.is_some_and(|at| at.elapsed() < SAID_EVERY);
        if n_new > 0 && !self.is_away && !was_said {
            tracing::warn!(spans = n_new, "more spans than can be sent; so many were lost");
            (self.n_dropped, self.overflow) = (dropped, Some(Instant::now()));
        }
    }
}

/// A collector that is spoken to by OTLP over HTTP.
#[derive(Debug)]
pub struct Collector {
    client: reqwest::Client,
    url: String,
}

impl Collector {
    /// One at that address.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: &OtlpSettings) -> Result<Self, otlp::Error> {
        Ok(Self { client: settings.client()?, url: settings.traces_url() })
    }
}

#[async_trait]
impl Delivery for Collector {
    async fn deliver(&self, message: Vec<u8>) -> Result<(), Undelivered> {
        otlp::post(&self.client, &self.url, message.into()).await.map_err(|failure| {
            let why = format!("{}: {}", self.url, failure.reason);
            match failure.again_after {
                Some(_) => Undelivered::Now(why),
                None => Undelivered::Ever(why),
            }
        })
    }
}

/// Passes on what another process tells of its own spans. Those without ids are left out; beyond the queue's
/// bound they are dropped and counted.
///
/// # Errors
/// When it is no such message.
pub fn relay(tracer: &Tracer, message: &[u8]) -> Result<(), prost::DecodeError> {
    let request = ExportTraceServiceRequest::decode(message)?;
    for of_one in request.resource_spans {
        let resource = of_one.resource.unwrap_or_default();
        if resource.encoded_len() > LARGEST_RELAYED {
            tracer.lost(1);
            continue;
        }
        let resource = Arc::new(resource);
        let spans = of_one.scope_spans.into_iter().flat_map(|scope| scope.spans);
        for span in spans.filter(is_sound) {
            tracer.put(Item::Relayed(Box::new(span), Arc::clone(&resource)));
        }
    }
    Ok(())
}

/// What a collector takes, and no larger than what ours are.
fn is_sound(span: &RelayedSpan) -> bool {
    span.trace_id.len() == 16
        && span.span_id.len() == 8
        && matches!(span.parent_span_id.len(), 0 | 8)
        && span.encoded_len() <= LARGEST_RELAYED
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::traces::{Kind, Parent};

    /// Takes messages, or refuses all of them for ever.
    #[derive(Debug, Clone, Default)]
    struct Taker {
        taken: Arc<Mutex<Vec<Vec<u8>>>>,
        refuses: Option<Undelivered>,
    }

    #[async_trait]
    impl Delivery for Taker {
        async fn deliver(&self, message: Vec<u8>) -> Result<(), Undelivered> {
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            self.refuses.clone().map_or(Ok(()), Err)
        }
    }

    impl Taker {
        /// Sends all that has ended, and gives back the messages.
        async fn drain(&self, tracer: &Tracer) -> Vec<Vec<u8>> {
            let (service, instance) = ("test".to_owned(), "1".to_owned());
            let resource = Resource { service, instance, version: "0.0.0".to_owned() };
            let exporting = export(tracer.take_spans().unwrap(), self.clone(), resource);
            tokio::select! {
                () = exporting => {}
                () = tracer.flush() => {}
            }
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    fn make(tracer: &Tracer, n_spans: usize) {
        for _ in 0..n_spans {
            let mut span = tracer.span(Kind::Server, Parent::NONE, || "x".repeat(10_000));
            span.set("name", "a\u{1b}[31m");
        }
    }

    fn spans(message: &[u8]) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
        let request = ExportTraceServiceRequest::decode(message).unwrap();
        let resources = request.resource_spans.into_iter();
        resources.flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
    }

    #[tokio::test]
    async fn what_ended_is_sent_and_what_strangers_wrote_is_cut_and_harmless() {
        let tracer = Tracer::on(1.0);
        make(&tracer, 3);
        let messages = Taker::default().drain(&tracer).await;
        let spans: Vec<_> = messages.iter().flat_map(|message| spans(message)).collect();
        assert_eq!((messages.len(), spans.len(), tracer.dropped()), (1, 3, 0));
        assert!(spans.iter().all(|span| span.name.len() == 256), "{spans:?}");
        assert!(!format!("{spans:?}").contains("\\u{1b}"));
    }

    #[tokio::test]
    async fn what_does_not_fit_the_queue_is_counted() {
        let tracer = Tracer::on(1.0);
        make(&tracer, 3000);
        assert_eq!(tracer.dropped(), 3000 - 2048);
    }

    #[tokio::test]
    async fn a_collector_that_refuses_costs_the_spans_and_holds_nobody_up() {
        for refuses in [Undelivered::Ever("no".to_owned()), Undelivered::Now("away".to_owned())] {
            let tracer = Tracer::on(1.0);
            make(&tracer, 700);
            let taker = Taker { refuses: Some(refuses), ..Taker::default() };
            // Whoever flushes waits for one attempt each, not for the pauses between many.
            let n_attempts = taker.drain(&tracer).await.len();
            assert_eq!((n_attempts, tracer.dropped()), (2, 700));
        }
    }

    #[tokio::test]
    async fn spans_of_others_keep_their_resource_and_what_is_none_is_left_out() {
        let (other, tracer) = (Tracer::on(1.0), Tracer::on(1.0));
        make(&other, 2);
        let messages = Taker::default().drain(&other).await;
        for message in &messages {
            relay(&tracer, message).unwrap();
        }
        let mut broken = ExportTraceServiceRequest::decode(messages[0].as_slice()).unwrap();
        for span in broken.resource_spans.iter_mut().flat_map(|of| &mut of.scope_spans) {
            span.spans.iter_mut().for_each(|span| span.trace_id = vec![1]);
        }
        relay(&tracer, &broken.encode_to_vec()).unwrap();
        assert!(relay(&tracer, b"\xff\xffnonsense").is_err());
        let relayed = Taker::default().drain(&tracer).await;
        let [relayed] = relayed.as_slice() else { panic!("{} messages", relayed.len()) };
        let request = ExportTraceServiceRequest::decode(relayed.as_slice()).unwrap();
        let resource = format!("{:?}", request.resource_spans[0].resource);
        assert!(resource.contains("\"test\""), "{resource}");
        assert_eq!(spans(relayed).len(), 2);
    }
}
