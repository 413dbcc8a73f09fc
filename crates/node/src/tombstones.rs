//! Workloads that were replaced or stopped while this node could not be reached (spec: CLI, "Replacing").
//!
//! Owns: reading the tombstones of a namespace, and ending what should not have come back. Never:
//! writes one; who replaces does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nex_api::lease::{TOMBSTONE_PREFIX, bucket};
use nex_bus::{Client, snapshot};
use tokio_util::sync::CancellationToken;

use crate::control::{Shared, stop};

/// How soon after the connection is back it is noticed.
const LOOK: Duration = Duration::from_millis(250);

/// The ids that must not run any more. None when JetStream is away: then nothing is known to be dead.
pub(crate) async fn of(client: &Client, namespace: &str) -> BTreeSet<String> {
    let filter = format!("{TOMBSTONE_PREFIX}*");
    let entries = snapshot(client, &bucket(namespace), &filter).await.unwrap_or_default();
    let id = |key: &str| key.strip_prefix(TOMBSTONE_PREFIX).map(str::to_owned);
    entries.iter().filter_map(|entry| id(&entry.key)).collect()
}

/// Each time the connection is back, ends what was buried meanwhile.
pub(crate) async fn watch(shared: Arc<Shared>, token: CancellationToken) {
    let mut n_connects = shared.client.statistics().connects.load(Ordering::Relaxed);
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = token.cancelled() => return,
        }
        let n_now = shared.client.statistics().connects.load(Ordering::Relaxed);
        if n_now != n_connects {
            n_connects = n_now;
            shared.view.reconnected();
            end_buried(&shared).await;
        }
    }
}

/// Ends what is remembered here and was buried. At the start of the node, before a nexlet asks what it
/// should run, that means not to start it.
pub(crate) async fn end_buried(shared: &Shared) {
    for namespace in shared.workloads.namespaces() {
        for id in of(&shared.client, &namespace).await {
            if shared.workloads.namespace_of(&id).as_deref() == Some(namespace.as_str()) {
                tracing::warn!(workload.id = id, "replaced while this node was away: ended");
                stop(shared, &id, &namespace).await;
            }
        }
    }
}
