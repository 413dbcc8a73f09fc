//! What goes on under a span: its children, and the headers that tell others of it.
//!
//! Owns: how many children a span may have, since a guest may ask for any number. Never: keeps the span from
//! ending; a child may outlive it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::context::{SpanContext, TRACEPARENT, TRACESTATE};
use super::span::{Kind, Span};
use super::tracer::Tracer;

/// Spans directly below one; what comes after is done and not told of.
const MOST_CHILDREN: u32 = 128;

/// A handle to a span for whoever works for it. Cheap to clone; nothing at all when nothing is traced.
#[derive(Clone, Default)]
pub struct Scope(Option<Arc<Inner>>);

struct Inner {
    tracer: Tracer,
    context: SpanContext,
    traceparent: String,
    state: String,
    n_children: AtomicU32,
    is_cold: AtomicBool,
}

impl Scope {
    /// Nothing is traced.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    pub(crate) fn of(tracer: &Tracer, context: SpanContext, state: &str) -> Self {
        Self(Some(Arc::new(Inner {
            tracer: tracer.clone(),
            context,
            traceparent: context.to_string(),
            state: state.to_owned(),
            n_children: AtomicU32::new(0),
            is_cold: AtomicBool::new(false),
        })))
    }

    /// Begins a span below; the name is asked for only when it is kept.
    pub fn child(&self, kind: Kind, name: impl FnOnce() -> String) -> Span {
        let Some(inner) = &self.0 else { return Span::none() };
        if !inner.context.is_sampled() {
            return Span::none();
        }
        let n_before = inner.n_children.fetch_add(1, Ordering::Relaxed);
        if n_before >= MOST_CHILDREN {
            inner.n_children.store(MOST_CHILDREN, Ordering::Relaxed);
            return Span::none();
        }
        let above = Some(inner.context.span_id);
        Span::begin(&inner.tracer, inner.context.child(), above, &inner.state, kind, name())
    }

    /// The span's `traceparent`, also of a trace that is not kept.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.0.as_ref().map(|inner| inner.traceparent.as_str())
    }

    /// The `traceparent` of what is done in `span`, one of the children.
    #[must_use]
    pub fn traceparent_of(&self, span: &Span) -> Option<String> {
        span.traceparent().or_else(|| self.traceparent().map(str::to_owned))
    }

    /// What is sent with a request or message: the trace goes on with `span`, one of the children, unless the
    /// sender set another trace than that of this scope.
    pub fn carry(&self, span: &Span, headers: &mut Vec<(String, String)>) {
        let Some(inner) = &self.0 else { return };
        let own = span.traceparent();
        let traceparent = own.as_ref().unwrap_or(&inner.traceparent);
        let set = headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
        match set {
            Some((_, value)) if *value == inner.traceparent => value.clone_from(traceparent),
            Some(_another) => return,
            None => headers.push((TRACEPARENT.to_owned(), traceparent.clone())),
        }
        let has_state = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(TRACESTATE));
        if !has_state && !inner.state.is_empty() {
            headers.push((TRACESTATE.to_owned(), inner.state.clone()));
        }
    }

    /// What the guest of this span sees instead of what its caller sent.
    pub fn replace(&self, headers: &mut Vec<(String, String)>) {
        let Some(inner) = &self.0 else { return };
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(TRACEPARENT));
        headers.push((TRACEPARENT.to_owned(), inner.traceparent.clone()));
    }

    /// An instance had to be made for it.
    pub fn note_cold_start(&self) {
        if let Some(inner) = &self.0 {
            inner.is_cold.store(true, Ordering::Relaxed);
        }
    }

    /// Whether one was made.
    #[must_use]
    pub fn was_cold_start(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.is_cold.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(&self.traceparent()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::Parent;

    const ABOVE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

    fn span(tracer: &Tracer, traceparent: &str) -> Span {
        let parent = Parent { traceparent: Some(traceparent), tracestate: Some("v=1") };
        tracer.span(Kind::Server, parent, || "call".to_owned())
    }

    fn value(headers: &[(String, String)], name: &str) -> Option<String> {
        headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn what_is_sent_carries_the_child_and_the_callers_state() {
        let tracer = Tracer::on(1.0);
        let scope = span(&tracer, ABOVE).scope();
        let child = scope.child(Kind::Producer, || "publish".to_owned());
        let mut headers = Vec::new();
        scope.carry(&child, &mut headers);
        assert_eq!(value(&headers, TRACEPARENT), child.traceparent());
        assert_eq!(value(&headers, TRACESTATE).as_deref(), Some("v=1"));
        assert!(child.traceparent().unwrap().starts_with(&ABOVE[..35]));
    }

    #[test]
    fn what_the_guest_passes_on_becomes_the_childs_and_what_it_sets_stays() {
        let tracer = Tracer::on(1.0);
        let scope = span(&tracer, ABOVE).scope();
        let child = scope.child(Kind::Producer, || "publish".to_owned());
        let mut passed = vec![("Traceparent".to_owned(), scope.traceparent().unwrap().to_owned())];
        scope.carry(&child, &mut passed);
        assert_eq!(passed[0].1, child.traceparent().unwrap());
        let mut own = vec![(TRACEPARENT.to_owned(), OTHER.to_owned())];
        scope.carry(&child, &mut own);
        assert_eq!(own, [(TRACEPARENT.to_owned(), OTHER.to_owned())]);
    }

    #[test]
    fn a_trace_that_is_not_kept_goes_on_as_such_and_makes_no_span() {
        let tracer = Tracer::on(1.0);
        let scope = span(&tracer, OTHER).scope();
        let child = scope.child(Kind::Client, || unreachable!("no name is asked for"));
        let mut headers = Vec::new();
        scope.carry(&child, &mut headers);
        let sent = value(&headers, TRACEPARENT).unwrap();
        assert!(sent.starts_with(&OTHER[..35]) && sent.ends_with("-00"), "{sent}");
    }

    #[test]
    fn without_a_tracer_nothing_is_added() {
        let span = span(&Tracer::off(), ABOVE);
        let mut headers = Vec::new();
        span.scope().carry(&span, &mut headers);
        span.scope().replace(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn a_span_has_a_bounded_number_of_children() {
        let tracer = Tracer::on(1.0);
        let scope = span(&tracer, ABOVE).scope();
        let made = || scope.child(Kind::Client, || "get".to_owned()).is_kept();
        let n_kept = (0..1000).filter(|_| made()).count();
        assert_eq!(n_kept, usize::try_from(MOST_CHILDREN).unwrap());
    }
}
