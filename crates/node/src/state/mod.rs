//! What should run on this node, and outlives it (spec: control API, sections 5.9 and 13).
//!
//! Owns: memory and bucket saying the same: read at start, written before a deploy is answered, removed
//! before a stop is. Never: starts or stops anything; stores a clear secret (see `control::adeploy`).
//!
//! ```text
//! memory (`workloads`) ──► copy (a file each) and bucket `nex-<node id>`
//!                              └─ not acknowledged ─► journal ─► keeper ─► bucket
//! ```

mod copy;
mod durable;
mod journal;
mod keeper;
mod key;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nex_api::encode;
use nex_api::workload::StartWorkloadRequest;
use nex_bus::Client;
use nex_bus::streams::has_jetstream;
use tokio::sync::Notify;

pub(crate) use self::keeper::keep;

use self::durable::{Ack, Durable};
use self::key::Key;
use crate::config::StateKind;
use crate::workloads::{Remembered, Workloads};

/// What became of a workload that was to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It will be there after a restart, or nothing is meant to be.
    Yes,
    /// So far only on this machine's disk.
    Later,
    /// Its type cannot stand in a key.
    Not,
    /// It has ended already.
    Ended,
}

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// With the node's process, since it was told so or there is no JetStream.
    Memory,
    /// In this bucket.
    Bucket(String),
    /// On disk, until JetStream is back for this bucket.
    Disk(String),
}

#[derive(Debug)]
pub(crate) struct State {
    workloads: Workloads,
    durable: Option<Durable>,
    /// Workloads that ended by themselves; the keeper removes them.
    ended: Mutex<Vec<Key>>,
    wake: Notify,
}

impl State {
    /// Reads what should run. Without JetStream it comes from the copy. When this node has never had
    /// JetStream, and nobody asked for it, nothing outlives the node.
    pub(crate) async fn open(
        kind: StateKind,
        client: &Client,
        directory: &Path,
        node_id: &str,
    ) -> io::Result<Self> {
        let mut state = Self {
            workloads: Workloads::default(),
            durable: None,
            ended: Mutex::default(),
            wake: Notify::new(),
        };
        if kind == StateKind::Memory {
            return Ok(state);
        }
        let had_jetstream = Durable::was_here(directory);
        if kind == StateKind::Auto && !had_jetstream && !has_jetstream(client).await {
            tracing::warn!("there is no JetStream: what runs is forgotten when this node ends");
            return Ok(state);
        }
        let durable = Durable::open(client.clone(), directory, node_id)?;
        keeper::load(&state.workloads, &durable).await?;
        state.durable = Some(durable);
        Ok(state)
    }

    /// A start has been sent to a nexlet. Until [`State::remember`] it is nobody's to restore.
    pub(crate) fn expect(&self, id: &str, workload: Remembered) {
        self.workloads.starting(id, workload);
    }

    /// The start failed.
    pub(crate) fn abandon(&self, id: &str) {
        self.workloads.forget(id);
    }

    /// The start succeeded: returns when that outlives the node, or after 2 s.
    pub(crate) async fn remember(&self, id: &str) -> Kept {
        let Some(request) = self.workloads.started(id) else { return Kept::Ended };
        let Some(durable) = &self.durable else { return Kept::Yes };
        let Some(key) = Key::of(&request.workload_type, id) else {
            tracing::error!(workload.id = id, "a workload of this type cannot be kept in state");
            return Kept::Not;
        };
        let ack = durable.put(&key, encode(&request)).await;
        if !self.workloads.has(id) {
            // It ended while it was written; whoever removed it may have been the first of the two.
            durable.purge(&key).await;
            return Kept::Ended;
        }
        match ack {
            Ack::Yes => Kept::Yes,
            Ack::Later => {
                self.wake.notify_one();
                Kept::Later
            }
        }
    }

    /// Forgets it when it belongs to `namespace`: returns when that outlives the node.
    pub(crate) async fn forget_of(&self, id: &str, namespace: &str) -> Option<Remembered> {
        let workload = self.workloads.forget_of(id, namespace)?;
        if let (Some(durable), Some(key)) =
            (&self.durable, Key::of(&workload.request.workload_type, id))
            && durable.purge(&key).await == Ack::Later
        {
            self.wake.notify_one();
        }
        Some(workload)
    }

    /// It ended by itself. Waits for nothing: the keeper removes it from the bucket.
    pub(crate) fn ended(&self, id: &str, namespace: &str) -> bool {
        let Some(workload) = self.workloads.forget_of(id, namespace) else { return false };
        if self.durable.is_some()
            && let Some(key) = Key::of(&workload.request.workload_type, id)
        {
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(key);
            self.wake.notify_one();
        }
        true
    }

    /// See [`Workloads::assign`].
    pub(crate) fn assign(
        &self,
        agent_id: &str,
        register_type: &str,
        is_registered: impl Fn(&str) -> bool,
    ) -> BTreeMap<String, StartWorkloadRequest> {
        self.workloads.assign(agent_id, register_type, is_registered)
    }

    /// What is known of one workload.
    pub(crate) fn get(&self, id: &str) -> Option<Remembered> {
        self.workloads.get(id)
    }

    pub(crate) fn is_older(&self, id: &str) -> bool {
        self.workloads.is_older(id)
    }

    pub(crate) fn is_remembered(&self, id: &str) -> bool {
        self.workloads.has(id)
    }

    /// Whether `agent_id` has it, or is starting it.
    pub(crate) fn is_of(&self, id: &str, agent_id: &str) -> bool {
        self.workloads.is_of(id, agent_id)
    }

    pub(crate) fn namespace_of(&self, id: &str) -> Option<String> {
        self.workloads.namespace_of(id)
    }

    /// The namespaces that have something here.
    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        self.workloads.namespaces()
    }

    /// How many there are, and how many of them are `name` of `namespace`.
    pub(crate) fn count(&self, namespace: &str, name: &str) -> (usize, usize) {
        self.workloads.count(namespace, name)
    }

    /// The largest request that can be kept, as it is stored.
    pub(crate) fn limit(&self) -> usize {
        self.durable.as_ref().map_or(usize::MAX, Durable::limit)
    }

    pub(crate) fn place(&self) -> Place {
        match &self.durable {
            None => Place::Memory,
            Some(durable) => {
                let bucket = durable.config.bucket.clone();
                if durable.bucket().is_some() { Place::Bucket(bucket) } else { Place::Disk(bucket) }
            }
        }
    }
}
