//! The span of a call, from receipt to its end.
//!
//! Owns: its name and attributes, which are OpenTelemetry's where those have a word. Never: costs a call more
//! than a branch while nothing is traced.

use std::time::Instant;

use nex_bus::{HeaderMap, Message};
use nex_telemetry::traces::{Kind, Parent, Scope, Span, TRACEPARENT, TRACESTATE, Tracer};
use nex_types::{Id, Namespace, WorkloadName};

use crate::reply::Failure;
use crate::runtime::{Reply, Stimulus};

/// Makes the spans of one function's calls.
#[derive(Debug)]
pub(crate) struct CallTraces {
    tracer: Tracer,
    namespace: Namespace,
    name: WorkloadName,
    id: Id,
}

impl CallTraces {
    pub(crate) fn new(tracer: Tracer, namespace: &Namespace, name: &WorkloadName, id: &Id) -> Self {
        let (namespace, name, id) = (namespace.clone(), name.clone(), id.clone());
        Self { tracer, namespace, name, id }
    }

    /// Begins the span of a call that has waited until now, below that of who sent the message.
    pub(crate) fn begin(&self, message: &Message, received: Instant, stimulus: &Stimulus) -> Span {
        if !self.tracer.is_on() {
            return Span::none();
        }
        let headers = message.headers.as_ref();
        let parent = Parent {
            traceparent: find(headers, TRACEPARENT),
            tracestate: find(headers, TRACESTATE),
        };
        let asks = matches!(stimulus, Stimulus::Subject) && message.reply.is_some();
        let kind = if asks { Kind::Server } else { Kind::Consumer };
        let mut span = self.tracer.span(kind, parent, || self.name.to_string());
        if span.is_kept() {
            span.began(received);
            self.describe(&mut span, message, received, stimulus);
        }
        span
    }

    fn describe(&self, span: &mut Span, message: &Message, received: Instant, of: &Stimulus) {
        span.set("messaging.system", "nats");
        span.set("messaging.operation.type", "process");
        span.set("messaging.destination.name", message.subject.as_str());
        span.set("faas.name", self.name.as_str());
        span.set("faas.trigger", trigger(of));
        span.set("nex.namespace", self.namespace.as_str());
        span.set("nex.workload.id", self.id.as_str());
        span.set("nex.function.queue_time", received.elapsed().as_secs_f64());
        if let Stimulus::Stream { stream, delivery, .. } = of {
            span.set("nex.stream", stream.as_str());
            span.set("nex.delivery", i64::try_from(*delivery).unwrap_or(i64::MAX));
        }
    }
}

/// Ends it with what came of the call; `None`: it was answered before it ended.
pub(crate) fn end(mut span: Span, scope: &Scope, outcome: Option<&Result<Reply, Failure>>) {
    if !span.is_kept() {
        return;
    }
    span.set("faas.coldstart", scope.was_cold_start());
    match outcome {
        Some(Err(failure)) => fail(&mut span, failure),
        Some(Ok(Reply { error_status: Some(status), .. })) => {
            span.fail(&status.to_string(), "the function answered with an error status");
        }
        Some(Ok(_)) => {}
        None => span.set("nex.answered_early", true),
    }
}

/// It ends with this failure.
pub(crate) fn fail(span: &mut Span, failure: &Failure) {
    if span.is_kept() {
        // What a guest threw is its own text, and may be secret: the code says which page explains it.
        span.fail(&failure.status().to_string(), &failure.code().to_string());
    }
}

fn trigger(stimulus: &Stimulus) -> &'static str {
    match stimulus {
        Stimulus::Subject | Stimulus::Stream { .. } => "pubsub",
        Stimulus::KeyValue { .. } | Stimulus::Object { .. } => "datasource",
        Stimulus::Schedule { .. } => "timer",
    }
}

fn find<'a>(headers: Option<&'a HeaderMap>, wanted: &str) -> Option<&'a str> {
    let named = |name: &str| name.eq_ignore_ascii_case(wanted);
    let (_, values) = headers?.iter().find(|(name, _)| named(name.as_ref()))?;
    values.first().map(|value| value.as_str())
}
