//! What should run on this node, in memory.
//!
//! Owns: the requests of running workloads and which nexlet has each, so that a nexlet that died gets
//! them again under the same ids. Never: outlives the node; [`crate::state`] does.
//!
//! ```text
//! STARTWORKLOAD sent ─► starting ─reply─► started ─UNDEPLOY, end─► forgotten
//!                           └─end before the reply, failure─► forgotten
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use nex_api::workload::StartWorkloadRequest;
use nex_types::Namespace;

/// One workload that should run.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) agent_id: String,
    pub(crate) request: StartWorkloadRequest,
}

#[derive(Debug)]
struct Entry {
    workload: Remembered,
    is_started: bool,
    /// It ran before this node's process did.
    is_older: bool,
}

/// All of them. A std mutex over short sections.
#[derive(Debug, Default)]
pub(crate) struct Workloads {
    inner: Mutex<BTreeMap<String, Entry>>,
}

impl Workloads {
    /// Known, but given to no nexlet again until [`Workloads::started`].
    pub(crate) fn starting(&self, id: &str, workload: Remembered) {
        self.with(|all| {
            all.insert(id.to_owned(), Entry { workload, is_started: false, is_older: false })
        });
    }

    /// It runs; its request, unless it has ended already.
    pub(crate) fn started(&self, id: &str) -> Option<StartWorkloadRequest> {
        self.with(|all| {
            let entry = all.get_mut(id)?;
            entry.is_started = true;
            Some(entry.workload.request.clone())
        })
    }

    /// It should run, as state says; one that is known stays as it is.
    pub(crate) fn restored(&self, id: &str, request: StartWorkloadRequest) {
        let workload = Remembered { agent_id: String::new(), request };
        self.with(|all| {
            all.entry(id.to_owned()).or_insert(Entry {
                workload,
                is_started: true,
                is_older: true,
            });
        });
    }

    /// Whether it ran before this node's process did.
    pub(crate) fn is_older(&self, id: &str) -> bool {
        self.with(|all| all.get(id).is_some_and(|entry| entry.is_older))
    }

    pub(crate) fn forget(&self, id: &str) -> Option<Remembered> {
        self.with(|all| all.remove(id)).map(|entry| entry.workload)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Remembered> {
        self.with(|all| all.get(id).map(|entry| entry.workload.clone()))
    }

    /// Forgets it when it belongs to `namespace`.
    pub(crate) fn forget_of(&self, id: &str, namespace: &str) -> Option<Remembered> {
        self.with(|all| {
            let is_theirs =
                all.get(id).is_some_and(|entry| entry.workload.request.namespace == namespace);
            if is_theirs { all.remove(id) } else { None }
        })
        .map(|entry| entry.workload)
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.with(|all| all.contains_key(id))
    }

    /// Whether `agent_id` has it, or is starting it.
    pub(crate) fn is_of(&self, id: &str, agent_id: &str) -> bool {
        self.with(|all| all.get(id).is_some_and(|entry| entry.workload.agent_id == agent_id))
    }

    /// All that should run, with their requests.
    pub(crate) fn all_started(&self) -> Vec<(String, StartWorkloadRequest)> {
        self.with(|all| {
            let started = all.iter().filter(|(_, entry)| entry.is_started);
            started.map(|(id, entry)| (id.clone(), entry.workload.request.clone())).collect()
        })
    }

    pub(crate) fn namespace_of(&self, id: &str) -> Option<String> {
        self.with(|all| all.get(id).map(|entry| entry.workload.request.namespace.clone()))
    }

    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        let namespace = |entry: &Entry| entry.workload.request.namespace.clone();
        self.with(|all| all.values().map(namespace).collect())
    }

    /// How many there are, and how many of them are `name` of `namespace`.
    pub(crate) fn count(&self, namespace: &str, name: &str) -> (usize, usize) {
        let is_copy = |entry: &&Entry| {
            let request = &entry.workload.request;
            request.namespace == namespace && request.name == name
        };
        self.with(|all| (all.len(), all.values().filter(is_copy).count()))
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
            for (id, Entry { workload, .. }) in all.iter_mut().filter(|(_, e)| e.is_started) {
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

    fn with<R>(&self, work: impl FnOnce(&mut BTreeMap<String, Entry>) -> R) -> R {
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

    fn of_namespace(namespace: &str) -> Remembered {
        let request = StartWorkloadRequest {
            namespace: namespace.to_owned(),
            ..StartWorkloadRequest::default()
        };
        Remembered { agent_id: "n".to_owned(), request }
    }

    #[test]
    fn a_workload_is_forgotten_by_its_owner_or_its_end() {
        let workloads = Workloads::default();
        workloads.starting("w", of_namespace("a"));
        assert!(workloads.started("w").is_some());
        assert!(workloads.is_of("w", "n") && !workloads.is_of("w", "m"));
        assert!(workloads.forget_of("w", "b").is_none());
        assert_eq!(workloads.assign("n", "javascript", |_| true).len(), 1);
        assert!(workloads.forget_of("w", "a").is_some());
        assert!(workloads.forget_of("w", "a").is_none());
    }

    #[test]
    fn what_is_not_started_yet_is_given_to_nobody() {
        let workloads = Workloads::default();
        workloads.starting("w", of_namespace("a"));
        assert_eq!(workloads.assign("n", "", |_| false).len(), 0);
        // A job may end before its start is answered.
        assert!(workloads.forget_of("w", "a").is_some());
        assert!(workloads.started("w").is_none());
    }

    #[test]
    fn what_state_says_goes_to_the_first_of_its_type() {
        let workloads = Workloads::default();
        workloads.restored("w", of_namespace("a").request);
        assert_eq!(workloads.assign("one", "", |_| false).len(), 1);
        assert_eq!(workloads.assign("two", "", |id| id == "one").len(), 0);
    }

    #[test]
    fn system_may_act_for_all() {
        assert!(may_act("a", "a") && may_act("system", "a") && !may_act("a", "b"));
        assert!(!may_act("a", "system"));
    }
}
