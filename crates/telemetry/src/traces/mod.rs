//! Spans: what was done for whom, for how long, and as part of what.
//!
//! Owns: W3C trace contexts, which traces are kept, the queue of finished spans, and sending them by OTLP.
//! Never: decides what a span covers, reads the environment, starts a task, holds up who is traced.
//!
//! ```text
//! Tracer ─► Span ─dropped─► queue (bounded, counts what it loses) ─► Spans ─► OTLP, or a nexlet's node
//!             └─► Scope ─► child spans, outgoing headers
//! ```
//!
//! The messages are those of OTLP themselves: what is recorded is what is sent, without a copy between.

mod batch;
mod context;
mod export;
mod scope;
mod span;
mod tracer;

pub use batch::{Batch, MOST_BYTES, Spans};
pub use context::{TRACEPARENT, TRACESTATE};
pub use export::{Collector, Delivery, Undelivered, export, relay};
pub use scope::Scope;
pub use span::{Kind, Span, Value};
pub use tracer::{Parent, Resource, Tracer};
