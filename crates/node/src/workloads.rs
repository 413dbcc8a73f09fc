//! What should run on this node, from memory.
//!
//! Owns: the requests of running workloads and which nexlet has each, so that a nexlet that died gets
//! them again under the same ids. Never: outlives the node; state in JetStream is not there yet
//! (docs/roadmap.md).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use nex_api::workload::StartWorkloadRequest;
use nex_types::Namespace;

/// One workload that should run.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) agent_id: String,
    pub(crate) request: StartWorkloadRequest,
}

/// All of them. A std mutex over short sections.
#[derive(Debug, Default)]
pub(crate) struct Workloads {
    inner: Mutex<BTreeMap<String, Remembered>>,
}

impl Workloads {
    pub(crate) fn remember(&self, id: &str, workload: Remembered) {
        self.with(|all| all.insert(id.to_owned(), workload));
    }

    /// Forgets it when it belongs to `namespace`.
    pub(crate) fn forget_of(&self, id: &str, namespace: &str) -> Option<Remembered> {
        self.with(|all| {
            let is_theirs = all.get(id).is_some_and(|w| w.request.namespace == namespace);
            if is_theirs { all.remove(id) } else { None }
        })
    }

    /// What the nexlet `agent_id` should run.
    pub(crate) fn of_agent(&self, agent_id: &str) -> BTreeMap<String, StartWorkloadRequest> {
        self.with(|all| {
            all.iter()
                .filter(|(_, workload)| workload.agent_id == agent_id)
                .map(|(id, workload)| (id.clone(), workload.request.clone()))
                .collect()
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut BTreeMap<String, Remembered>) -> R) -> R {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The rule of namespaces (spec: control API, section 1.2): the caller's own, or `system` for all.
pub(crate) fn may_act(subject_namespace: &str, body_namespace: &str) -> bool {
    subject_namespace == body_namespace || subject_namespace == Namespace::SYSTEM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_forgotten_by_its_owner_or_its_end() {
        let workloads = Workloads::default();
        let request =
            StartWorkloadRequest { namespace: "a".to_owned(), ..StartWorkloadRequest::default() };
        workloads.remember("w", Remembered { agent_id: "n".to_owned(), request });
        assert!(workloads.forget_of("w", "b").is_none());
        assert_eq!(workloads.of_agent("n").len(), 1);
        assert!(workloads.forget_of("w", "a").is_some());
        assert!(workloads.forget_of("w", "a").is_none());
    }

    #[test]
    fn system_may_act_for_all() {
        assert!(may_act("a", "a") && may_act("system", "a") && !may_act("a", "b"));
        assert!(!may_act("a", "system"));
    }
}
