//! The tracer: where spans begin, and the queue that takes those that have ended.
//!
//! Owns: what happens when the queue is full: the span is dropped and counted. Never: waits.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::resource::v1::Resource as Message;
use opentelemetry_proto::tonic::trace::v1 as wire;
use tokio::sync::{Notify, mpsc, oneshot};

use super::batch::Spans;
use super::context::{Ratio, SpanContext, state};
use super::span::{Kind, Span, attribute};

/// Spans that have ended and wait to be sent.
const MOST_WAITING: usize = 2048;

/// Who tells of spans, as OpenTelemetry names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `nex-node`, `nex-cli`, the name of a nexlet.
    pub service: String,
    /// Which of them.
    pub instance: String,
    /// Its version.
    pub version: String,
}

impl Resource {
    pub(crate) fn to_message(&self) -> Message {
        let attributes = vec![
            attribute("service.name", self.service.clone().into()),
            attribute("service.instance.id", self.instance.clone().into()),
            attribute("service.version", self.version.clone().into()),
        ];
        Message { attributes, ..Message::default() }
    }
}

/// Makes spans; one that is off makes none, at the price of a branch. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tracer {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    ratio: Ratio,
    queue: mpsc::Sender<Item>,
    waiting: Mutex<Option<mpsc::Receiver<Item>>>,
    dropped: AtomicU64,
    /// Somebody waits for a flush: what cannot be sent now is given up.
    is_hurried: AtomicBool,
    hurried: Notify,
}

/// What stands in the queue.
#[derive(Debug)]
pub(crate) enum Item {
    Ended(Box<wire::Span>),
    /// Of another process.
    Relayed(Box<wire::Span>, Arc<Message>),
    /// Everything before it is to be sent now; then this is told.
    Flush(oneshot::Sender<()>),
}

impl Tracer {
    /// Makes no spans.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Keeps that part of the traces that begin here (0 to 1); of others' traces what those keep.
    #[must_use]
    pub fn on(ratio: f64) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let waiting = Mutex::new(Some(waiting));
        Self {
            shared: Some(Arc::new(Shared {
                ratio: Ratio::new(ratio),
                queue,
                waiting,
                dropped: AtomicU64::new(0),
                is_hurried: AtomicBool::new(false),
                hurried: Notify::new(),
            })),
        }
    }

    /// Whether it makes spans.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Begins a span below `parent`, as it stood in a header; the first one of a trace without it. The name is
    /// asked for only when the span is kept.
    pub fn span(&self, kind: Kind, parent: Parent<'_>, name: impl FnOnce() -> String) -> Span {
        let Some(shared) = &self.shared else { return Span::none() };
        let above = parent.traceparent.and_then(SpanContext::parse);
        let state = above.and(parent.tracestate).and_then(state).unwrap_or_default();
        let context = above.map_or_else(|| SpanContext::root(shared.ratio), SpanContext::child);
        if !context.is_sampled() {
            return Span::unsampled(context, self, state);
        }
        let above = above.map(|above| above.span_id);
        Span::begin(self, context, above, state, kind, name())
    }

    /// The span of a request that is answered here, below that of whoever asks.
    pub fn answering(&self, name: &'static str, traceparent: Option<&str>) -> Span {
        let parent = Parent { traceparent, ..Parent::NONE };
        self.span(Kind::Server, parent, || name.to_owned())
    }

    /// What has ended and is to be sent; `None` when it is off or somebody else sends it.
    #[must_use]
    pub fn take_spans(&self) -> Option<Spans> {
        let shared = self.shared.as_ref()?;
        let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take().map(|waiting| Spans::new(waiting, self.clone()))
    }

    /// Waits until what has ended before was sent, or cannot be. The caller bounds it.
    pub async fn flush(&self) {
        let Some(shared) = &self.shared else { return };
        shared.is_hurried.store(true, Ordering::Relaxed);
        shared.hurried.notify_one();
        let (tell, told) = oneshot::channel();
        if shared.queue.send(Item::Flush(tell)).await.is_ok() {
            let _nobody_sends = told.await;
        }
    }

    /// Likewise, but no longer than this.
    pub async fn flush_within(&self, bound: Duration) {
        if tokio::time::timeout(bound, self.flush()).await.is_err() {
            tracing::warn!("the last spans were not sent");
        }
    }

    pub(crate) fn is_hurried(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_hurried.load(Ordering::Relaxed))
    }

    /// Waits until somebody waits for a flush.
    pub(crate) async fn hurried(&self) {
        match &self.shared {
            Some(shared) => shared.hurried.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Everything before a flush is done.
    pub(crate) fn flushed(&self) {
        if let Some(shared) = &self.shared {
            shared.is_hurried.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn put(&self, item: Item) {
        let Some(shared) = &self.shared else { return };
        if shared.queue.try_send(item).is_err() {
            self.lost(1);
        }
    }

    pub(crate) fn lost(&self, n: u64) {
        if let Some(shared) = &self.shared {
            shared.dropped.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Spans that were lost, because the queue was full or nobody took them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.dropped.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}

/// What a span is below, as its headers say; a stranger's text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parent<'a> {
    /// The `traceparent`; what is none counts as missing.
    pub traceparent: Option<&'a str>,
    /// The `tracestate`.
    pub tracestate: Option<&'a str>,
}

impl Parent<'_> {
    /// Nothing: a trace begins.
    pub const NONE: Self = Self { traceparent: None, tracestate: None };
}
