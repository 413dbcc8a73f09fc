//! Workloads that must not be started again, whoever asks.
//!
//! Owns: which ids ended here or were told to end, so that a node that slept through it, or a
//! registration that crossed with it, brings none of them back. Never: starts or stops one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use nex_api::event::Event;
use nex_types::{Id, Namespace};

/// When it is full the oldest is forgotten; a node that was away for so many ends starts that one again.
const REMEMBERED: usize = 4096;

/// The latest of them. A std mutex over short sections.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    inner: Mutex<VecDeque<Gone>>,
}

/// A workload that is gone.
#[derive(Debug, Clone)]
pub(crate) struct Gone {
    id: Id,
    namespace: Namespace,
    /// The event that told, when it ended here: who missed it is told again.
    pub(crate) event: Option<Event>,
}

impl Ended {
    /// It ended here, and `event` tells.
    pub(crate) fn ended(&self, id: &Id, namespace: &Namespace, event: Event) {
        self.remember(Gone { id: id.clone(), namespace: namespace.clone(), event: Some(event) });
    }

    /// Its owner told it to stop before it was here: a start may be on its way.
    pub(crate) fn unwanted(&self, id: &Id, namespace: &Namespace) {
        self.remember(Gone { id: id.clone(), namespace: namespace.clone(), event: None });
    }

    pub(crate) fn find(&self, id: &Id, namespace: &Namespace) -> Option<Gone> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.iter().find(|gone| gone.id == *id && gone.namespace == *namespace).cloned()
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.iter().any(|gone| gone.id.as_str() == id)
    }

    fn remember(&self, gone: Gone) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.retain(|known| known.id != gone.id || known.namespace != gone.namespace);
        if inner.len() == REMEMBERED {
            inner.pop_front();
        }
        inner.push_back(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_remembered_for_its_namespace_alone_and_not_for_ever() {
        let ended = Ended::default();
        let (a, b) = (Namespace::parse("a").unwrap(), Namespace::parse("b").unwrap());
        let id = Id::random();
        ended.unwanted(&id, &a);
        assert!(ended.find(&id, &a).is_some_and(|gone| gone.event.is_none()));
        assert!(ended.find(&id, &b).is_none(), "a stranger's stop changes nothing");
        ended.ended(&id, &a, Event::NodeStopped { id: "n".to_owned() });
        assert!(ended.find(&id, &a).is_some_and(|gone| gone.event.is_some()));
        for _ in 0..REMEMBERED {
            ended.unwanted(&Id::random(), &a);
        }
        assert!(ended.find(&id, &a).is_none());
    }
}
