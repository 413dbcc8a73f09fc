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

    pub(crate) fn get(&self, id: &str) -> Option<Remembered> {
        self.with(|all| all.get(id).cloned())
    }

    /// Forgets it when it belongs to `namespace`.
    pub(crate) fn forget_of(&self, id: &str, namespace: &str) -> Option<Remembered> {
        self.with(|all| {
            let is_theirs = all.get(id).is_some_and(|w| w.request.namespace == namespace);
            if is_theirs { all.remove(id) } else { None }
        })
    }

    /// Gives `agent_id` what it has had, and what of its type no registered agent has: each workload
    /// belongs to one agent. Returns all that it should run.
    pub(crate) fn assign(
        &self,
        agent_id: &str,
        register_type: &str,
        is_registered: impl Fn(&str) -> bool,
    ) -> BTreeMap<String, StartWorkloadRequest> {
        self.with(|all| {
            let mut assigned = BTreeMap::new();
            for (id, workload) in all {
                let is_mine = workload.agent_id == agent_id
                    || (workload.request.workload_type == register_type
                        && !is_registered(&workload.agent_id));
                if is_mine {
                    agent_id.clone_into(&mut workload.agent_id);
                    assigned.insert(id.clone(), workload.request.clone());
                }
            }
            assigned
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
        assert_eq!(workloads.assign("n", "javascript", |_| true).len(), 1);
        assert!(workloads.forget_of("w", "a").is_some());
        assert!(workloads.forget_of("w", "a").is_none());
    }

    #[test]
    fn system_may_act_for_all() {
        assert!(may_act("a", "a") && may_act("system", "a") && !may_act("a", "b"));
        assert!(!may_act("a", "system"));
    }
}
