//! Keeps this node's entries in the view as things are.
//!
//! Owns: what is believed to stand there, when to look, and what differs. Never: waits for JetStream
//! with anything but the latest value of a key; while it is away, nothing else is kept.
//!
//! ```text
//! told or every 10 s ─► look ─► differs? ─► write ─► written
//!                        ▲                    └─ JetStream away: later again, and then all of it
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nex_api::node::NodeState;
use nex_api::view::{self, NodeEntry, REFRESH};
use nex_api::workload::{WorkloadState, WorkloadSummary, fact};
use nex_api::{decode, encode};
use nex_policy::health::Health;
use nex_types::{Id, Namespace};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::observe::{self, Observed};
use super::writer::{Write, Writer};
use super::{Counts, Told};
use crate::control::Shared;

const TICK: Duration = Duration::from_secs(1);
/// At its end the node does not wait longer for the view.
const LEAVE_BOUND: Duration = Duration::from_secs(2);
/// A larger summary is shortened.
const MOST_BYTES: usize = 64 * 1024;
/// Ends that are remembered while JetStream is away; more, and the buckets are read when it is back.
const MOST_REMOVED: usize = 4096;

/// A workload as it is, and whether the view has it so.
#[derive(Debug)]
struct Known {
    summary: WorkloadSummary,
    is_written: bool,
}

#[derive(Debug)]
struct Publisher {
    shared: Arc<Shared>,
    writer: Writer,
    workloads: BTreeMap<String, Known>,
    /// Ids that are to be removed, and whose they were.
    removed: BTreeMap<String, String>,
    node: Option<NodeEntry>,
    refreshed: Option<Instant>,
    /// JetStream is away: nothing is tried before this, and the pause after that is longer.
    away: Option<(Instant, Duration)>,
    /// Entries of an earlier life, or of before an outage, are not known yet.
    is_reconciled: bool,
}

/// Publishes until `token` is cancelled, then takes this node's entries away.
pub(crate) async fn publish(shared: Arc<Shared>, token: CancellationToken) {
    let mut publisher = Publisher {
        writer: Writer::new(shared.client.clone()),
        shared,
        workloads: BTreeMap::new(),
        removed: BTreeMap::new(),
        node: None,
        refreshed: None,
        away: None,
        is_reconciled: false,
    };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let shared = Arc::clone(&publisher.shared);
    loop {
        tokio::select! {
            () = shared.view.wake.notified() => {}
            _ = tick.tick() => {}
            () = token.cancelled() => break,
        }
        publisher.turn().await;
    }
    shared.view.written.send_replace(None);
    if shared.view.stays.load(std::sync::atomic::Ordering::Relaxed) {
        return;
    }
    if tokio::time::timeout(LEAVE_BOUND, publisher.leave()).await.is_err() {
        tracing::warn!("the node's entries were not taken out of the view in time");
    }
}

impl Publisher {
    async fn turn(&mut self) {
        if self.shared.view.is_back() {
            self.away = self.away.map(|_| (Instant::now(), TICK / 2));
        }
        if self.away.is_some_and(|(until, _)| Instant::now() < until) {
            return;
        }
        let told = self.shared.view.take();
        let is_due = self.away.is_some() || self.refreshed.is_none_or(|at| at.elapsed() >= REFRESH);
        // A node that stops drains its nexlets: what runs is to come back, and its entries stay as they are.
        if *self.shared.state.borrow() != NodeState::Stopping {
            self.look(&told, is_due).await;
            self.shared.view.counted(|| self.counts());
        }
        let node = observe::node(&self.shared);
        let node_differs = is_due || self.node.as_ref().is_none_or(|n| !n.is_alike(&node));
        let writes = self.writes(node_differs.then_some(&node));
        if writes.is_empty() && self.is_reconciled {
            self.shared.view.written.send_replace(Some(told.generation));
            return;
        }
        match self.write(writes).await {
            Ok(()) => {
                if node_differs {
                    self.node = Some(node);
                }
                self.away = None;
                self.shared.view.written.send_replace(Some(told.generation));
            }
            Err(error) => self.is_away(&error),
        }
        if is_due {
            self.refreshed = Some(Instant::now());
        }
    }

    /// Brings `workloads` and `removed` up to date.
    async fn look(&mut self, told: &Told, is_due: bool) {
        for (id, namespace) in &told.ended {
            // An event is a stranger's word: nobody ends another namespace's.
            if self.workloads.get(id).is_some_and(|w| w.summary.namespace == *namespace) {
                self.remove(id);
            }
        }
        let mut asked = told.changed.clone();
        asked.retain(|id| !told.ended.contains_key(id));
        if told.all || is_due {
            let observed = observe::all(&self.shared).await;
            let known: Vec<String> = self.workloads.keys().cloned().collect();
            self.note(observed, known);
        } else if !asked.is_empty() {
            let observed = observe::ask(&self.shared, &asked).await;
            self.note(observed, asked);
        }
    }

    fn note(&mut self, observed: Observed, asked: impl IntoIterator<Item = String>) {
        for id in asked {
            if observed.summaries.contains_key(&id) {
                continue;
            }
            match self.shared.workloads.get(&id) {
                Some(workload) => self.without_nexlet(&id, &workload.agent_id),
                None if observed.is_complete => self.remove(&id),
                None => {}
            }
        }
        for (id, summary) in observed.summaries {
            if Namespace::parse(&summary.namespace).is_err() || Id::parse(&id).is_err() {
                continue;
            }
            let summary = short(summary);
            let is_same = self.workloads.get(&id).is_some_and(|known| known.summary == summary);
            if !is_same {
                self.removed.remove(&id);
                self.workloads.insert(id, Known { summary, is_written: false });
            }
        }
    }

    /// What should run and is not listed is being started again by its nexlet, or waits for one.
    fn without_nexlet(&mut self, id: &str, agent_id: &str) {
        let health =
            self.shared.agents.get(agent_id).map(|agent| agent.health(std::time::Instant::now()));
        let (state, phase) = match health {
            None => (WorkloadState::Starting, "restarting"),
            Some(Health::Degraded | Health::Offline) => (WorkloadState::Error, "nexlet away"),
            Some(_) => return,
        };
        let Some(known) = self.workloads.get_mut(id) else { return };
        if known.summary.workload_state != state {
            known.summary.workload_state = state;
            known.summary.metadata.insert(fact::PHASE.to_owned(), phase.to_owned());
            known.is_written = false;
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(known) = self.workloads.remove(id) {
            self.removed.insert(id.to_owned(), known.summary.namespace);
        }
        if self.removed.len() > MOST_REMOVED {
            self.removed.clear();
            self.is_reconciled = false;
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for Known { summary, .. } in self.workloads.values() {
            let key = (summary.workload_type.clone(), summary.workload_state.as_str());
            *counts.entry(key).or_default() += 1;
        }
        counts
    }

    fn writes(&self, node: Option<&NodeEntry>) -> Vec<Write> {
        let node = node.map(|node| Write {
            namespace: Namespace::SYSTEM.to_owned(),
            key: view::node_key(&self.shared.node_id),
            value: Some(encode(node)),
        });
        let removed = self.removed.iter().map(|(id, namespace)| Write {
            namespace: namespace.clone(),
            key: view::workload_key(id),
            value: None,
        });
        let changed = self.workloads.iter().filter(|(_, known)| !known.is_written);
        let changed = changed.map(|(id, known)| Write {
            namespace: known.summary.namespace.clone(),
            key: view::workload_key(id),
            value: Some(encode(&known.summary)),
        });
        node.into_iter().chain(removed).chain(changed).collect()
    }

    async fn write(&mut self, writes: Vec<Write>) -> Result<(), nex_bus::kv::Error> {
        self.writer.write(writes).await?;
        self.removed.clear();
        self.workloads.values_mut().for_each(|known| known.is_written = true);
        if !self.is_reconciled {
            self.reconcile().await;
        }
        Ok(())
    }

    /// JetStream did not take it: all is written again when it is back, since it may come back empty.
    fn is_away(&mut self, error: &nex_bus::kv::Error) {
        tracing::debug!(%error, "the view is not written");
        self.shared.view.written.send_replace(None);
        let pause = self.away.map_or(TICK, |(_, pause)| (pause * 2).min(REFRESH));
        self.away = Some((Instant::now() + pause, pause));
        self.workloads.values_mut().for_each(|known| known.is_written = false);
        self.node = None;
        self.is_reconciled = false;
    }

    /// Adopts this node's entries that stand in the view already, so that those that run no more are
    /// removed by the next look.
    async fn reconcile(&mut self) {
        let client = self.shared.client.clone();
        let Ok(buckets) = nex_bus::buckets(&client, view::BUCKET_PREFIX).await else { return };
        let mut back = Vec::new();
        for bucket in buckets {
            let Ok(entries) = nex_bus::snapshot(&client, &bucket, ">").await else { return };
            for entry in entries {
                back.extend(self.adopt(entry.key, &entry.value));
            }
        }
        self.is_reconciled = self.writer.write(back).await.is_ok();
        self.shared.view.all_changed();
    }

    /// Takes over one entry; a workload that was away is not any more, and its removal is returned.
    fn adopt(&mut self, key: String, value: &[u8]) -> Option<Write> {
        let summary = decode::<WorkloadSummary>(value).ok()?;
        if summary.metadata.get(fact::NODE_ID) != Some(&self.shared.node_id) {
            return None;
        }
        let Some(id) = key.strip_prefix("w.") else {
            return Some(Write { namespace: summary.namespace, key, value: None });
        };
        let known = Known { summary, is_written: true };
        self.workloads.entry(id.to_owned()).or_insert(known);
        None
    }

    /// A clean stop: nothing of this node is listed any more. What it may bring back when it starts
    /// again stays known to those who replace or stop it meanwhile.
    async fn leave(&mut self) {
        let mut writes = vec![Write {
            namespace: Namespace::SYSTEM.to_owned(),
            key: view::node_key(&self.shared.node_id),
            value: None,
        }];
        for (id, known) in &self.workloads {
            let namespace = &known.summary.namespace;
            let write = |key, value| Write { namespace: namespace.clone(), key, value };
            writes.push(write(view::workload_key(id), None));
            if comes_back(&known.summary) {
                writes.push(write(view::away_key(id), Some(encode(&known.summary))));
            }
        }
        if let Err(error) = self.writer.write(writes).await {
            tracing::debug!(%error, "the view is not written");
        }
    }
}

/// Whether the node may bring it back when it starts again.
fn comes_back(summary: &WorkloadSummary) -> bool {
    use WorkloadState as State;
    matches!(summary.workload_state, State::Starting | State::Running | State::Warm)
}

/// A summary that every bucket takes: of one that is very large only what the node says is kept.
fn short(mut summary: WorkloadSummary) -> WorkloadSummary {
    if encode(&summary).len() > MOST_BYTES {
        summary.tags.clear();
        summary.metadata.retain(|key, _| [fact::NODE_ID, fact::NODE_NAME].contains(&key.as_str()));
    }
    summary
}
