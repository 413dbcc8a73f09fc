//! Finished spans, gathered into messages.
//!
//! Owns: how many and how long, and the size of a message. Never: sends one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource as Message;
use opentelemetry_proto::tonic::trace::v1 as wire;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::tracer::{Item, Resource, Tracer};

/// Spans of a batch.
const MOST_SPANS: usize = 512;
/// How long the first one waits for others.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a message's spans; far below what NATS and collectors take.
pub const MOST_BYTES: usize = 256 * 1024;

/// What has ended, in order.
pub struct Spans {
    waiting: mpsc::Receiver<Item>,
    tracer: Tracer,
}

/// Spans that are sent together.
#[derive(Default)]
pub struct Batch {
    own: Vec<wire::Span>,
    /// Of other processes.
    relayed: Vec<(Arc<Message>, Vec<wire::Span>)>,
    flushed: Vec<oneshot::Sender<()>>,
}

impl Spans {
    pub(crate) fn new(waiting: mpsc::Receiver<Item>, tracer: Tracer) -> Self {
        Self { waiting, tracer }
    }

    /// Waits for a span, then a moment for more. A flush ends it at once. Spans are lost when this is
    /// cancelled.
    pub async fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        let Some(first) = self.waiting.recv().await else { return batch };
        batch.add(first);
        let until = Instant::now() + PATIENCE;
        while batch.flushed.is_empty() && batch.n_spans() < MOST_SPANS {
            match timeout_at(until, self.waiting.recv()).await {
                Ok(Some(item)) => batch.add(item),
                Ok(None) | Err(_) => break,
            }
        }
        batch
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.tracer
    }
}

impl Batch {
    fn add(&mut self, item: Item) {
        match item {
            Item::Ended(span) => self.own.push(*span),
            Item::Flush(tell) => self.flushed.push(tell),
            Item::Relayed(span, of) => {
                match self.relayed.iter_mut().find(|(it, _)| Arc::ptr_eq(it, &of)) {
                    Some((_, spans)) => spans.push(*span),
                    None => self.relayed.push((of, vec![*span])),
                }
            }
        }
    }

    /// How many spans it has.
    #[must_use]
    pub fn n_spans(&self) -> usize {
        self.own.len() + self.relayed.iter().map(|(_, spans)| spans.len()).sum::<usize>()
    }

    /// Whether somebody waits for it to be sent.
    pub(crate) fn is_flush(&self) -> bool {
        !self.flushed.is_empty()
    }

    /// The messages, each with the number of its spans; `resource` is who tells of its own.
    pub(crate) fn messages(&mut self, resource: &Resource) -> Vec<(Vec<u8>, usize)> {
        let mut messages = Vec::new();
        if !self.own.is_empty() {
            let own = std::mem::take(&mut self.own);
            split(&resource.to_message(), &resource.version, own, &mut messages);
        }
        for (of, spans) in std::mem::take(&mut self.relayed) {
            split(&of, "", spans, &mut messages);
        }
        messages
    }

    /// Tells those who wait that it was sent, or cannot be.
    pub(crate) fn done(self) {
        for tell in self.flushed {
            let _nobody_waits = tell.send(());
        }
    }
}

fn split(of: &Message, version: &str, spans: Vec<wire::Span>, into: &mut Vec<(Vec<u8>, usize)>) {
    let (mut part, mut size) = (Vec::new(), 0);
    for span in spans {
        let len = span.encoded_len();
        if size + len > MOST_BYTES && !part.is_empty() {
            into.push(message(of, version, std::mem::take(&mut part)));
            size = 0;
        }
        size += len;
        part.push(span);
    }
    into.push(message(of, version, part));
}

fn message(of: &Message, version: &str, spans: Vec<wire::Span>) -> (Vec<u8>, usize) {
    let n_spans = spans.len();
    let (name, version) = ("nex".to_owned(), version.to_owned());
    let scope = Some(InstrumentationScope { name, version, ..InstrumentationScope::default() });
    let scope_spans = vec![wire::ScopeSpans { scope, spans, ..wire::ScopeSpans::default() }];
    let resource = Some(of.clone());
    let of_one = wire::ResourceSpans { resource, scope_spans, ..wire::ResourceSpans::default() };
    (ExportTraceServiceRequest { resource_spans: vec![of_one] }.encode_to_vec(), n_spans)
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("n_spans", &self.n_spans()).finish_non_exhaustive()
    }
}
