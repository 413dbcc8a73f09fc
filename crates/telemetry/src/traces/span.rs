//! One span, from its begin until it is dropped.
//!
//! Owns: what is kept of it, and the bounds on what strangers put into it. Never: allocates for a trace that
//! nobody keeps, but for the headers that say so.

use std::fmt;
use std::time::{Instant, SystemTime};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as wire;

use super::context::SpanContext;
use super::scope::Scope;
use super::tracer::{Item, Tracer};
use crate::otlp::nanoseconds;

/// Characters of a text, whoever wrote it.
const LONGEST_TEXT: usize = 256;
const MOST_ATTRIBUTES: usize = 32;
/// The one flag of a span that is kept.
const SAMPLED: u32 = 1;

/// What a span is of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "OpenTelemetry's own words")]
pub enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Text(String),
    Bool(bool),
    Number(i64),
    Real(f64),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// A span that goes on; it ends when it is dropped. Nothing is done for one that nobody keeps.
pub struct Span(State);

enum State {
    None,
    /// The trace is not kept, which whoever goes on with it shall know.
    Unsampled(Box<(SpanContext, Tracer, String)>),
    Kept(Box<Kept>),
}

struct Kept {
    tracer: Tracer,
    context: SpanContext,
    span: wire::Span,
    began: Instant,
}

impl Span {
    /// Nothing is traced.
    #[must_use]
    pub fn none() -> Self {
        Self(State::None)
    }

    pub(crate) fn unsampled(context: SpanContext, tracer: &Tracer, state: &str) -> Self {
        Self(State::Unsampled(Box::new((context, tracer.clone(), state.to_owned()))))
    }

    pub(crate) fn begin(
        tracer: &Tracer,
        context: SpanContext,
        parent: Option<[u8; 8]>,
        state: &str,
        kind: Kind,
        name: String,
    ) -> Self {
        let span = wire::Span {
            trace_id: context.trace_id.to_vec(),
            span_id: context.span_id.to_vec(),
            parent_span_id: parent.map(|id| id.to_vec()).unwrap_or_default(),
            trace_state: state.to_owned(),
            flags: SAMPLED,
            name: bounded(name),
            kind: kind.to_wire() as i32,
            start_time_unix_nano: now(),
            ..wire::Span::default()
        };
        let began = Instant::now();
        Self(State::Kept(Box::new(Kept { tracer: tracer.clone(), context, span, began })))
    }

    /// It began earlier than it was made.
    pub fn began(&mut self, began: Instant) {
        if let State::Kept(kept) = &mut self.0 {
            let earlier = kept.began.saturating_duration_since(began);
            kept.began -= earlier;
            let earlier = u64::try_from(earlier.as_nanos()).unwrap_or(0);
            kept.span.start_time_unix_nano = kept.span.start_time_unix_nano.saturating_sub(earlier);
        }
    }

    /// Whether it is kept, so that attributes are worth their making.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self.0, State::Kept(_))
    }

    /// What is known of it. The bounds on texts and numbers are OpenTelemetry's habit, smaller.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        let State::Kept(kept) = &mut self.0 else { return };
        match kept.span.attributes.len() < MOST_ATTRIBUTES {
            true => kept.span.attributes.push(attribute(name, value.into())),
            false => kept.span.dropped_attributes_count += 1,
        }
    }

    /// It did not go well; `kind` is one of few words or codes, `why` a sentence: empty where that could tell
    /// a key, a query or a payload.
    pub fn fail(&mut self, kind: &str, why: &str) {
        self.set("error.type", kind);
        if let State::Kept(kept) = &mut self.0 {
            let code = wire::status::StatusCode::Error as i32;
            kept.span.status = Some(wire::Status { message: bounded(why.to_owned()), code });
        }
    }

    /// What its children and its outgoing headers are made from.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match &self.0 {
            State::None => Scope::none(),
            State::Unsampled(of) => Scope::of(&of.1, of.0, &of.2),
            State::Kept(kept) => Scope::of(&kept.tracer, kept.context, &kept.span.trace_state),
        }
    }

    /// Its `traceparent`, if it is kept.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        match &self.0 {
            State::Kept(kept) => Some(kept.context.to_string()),
            State::None | State::Unsampled(_) => None,
        }
    }
}

impl Kept {
    /// The time by the steady clock, so that no span ends before it began.
    fn now(&self) -> u64 {
        let lasted = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.span.start_time_unix_nano.saturating_add(lasted)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.span.end_time_unix_nano = self.now();
        self.tracer.put(Item::Ended(Box::new(std::mem::take(&mut self.span))));
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.traceparent()).finish()
    }
}

impl Kind {
    fn to_wire(self) -> wire::span::SpanKind {
        match self {
            Self::Internal => wire::span::SpanKind::Internal,
            Self::Server => wire::span::SpanKind::Server,
            Self::Client => wire::span::SpanKind::Client,
            Self::Producer => wire::span::SpanKind::Producer,
            Self::Consumer => wire::span::SpanKind::Consumer,
        }
    }
}

pub(crate) fn attribute(name: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(bounded(text)),
        Value::Bool(value) => any_value::Value::BoolValue(value),
        Value::Number(value) => any_value::Value::IntValue(value),
        Value::Real(value) => any_value::Value::DoubleValue(value),
    };
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

/// Cut, and without control characters: a collector may show it on a terminal.
fn bounded(text: String) -> String {
    let is_fine = text.len() <= LONGEST_TEXT && !text.contains(char::is_control);
    match is_fine {
        true => text,
        false => {
            let harmless = |c: char| if c.is_control() { ' ' } else { c };
            text.chars().take(LONGEST_TEXT).map(harmless).collect()
        }
    }
}

fn now() -> u64 {
    nanoseconds(SystemTime::now())
}
