//! Keeps bucket and memory in agreement: at the start, and whenever JetStream was away.
//!
//! Owns: the first reading, the retries, and what to do about each entry that only one of them has.
//! Never: makes a request wait.
//!
//! ```text
//! start:   journal applied ─► the bucket is what should run ─► the copy is made like it
//! later:   journal applied ─► missing entries written ─► removed ones purged ─► unknown ones adopted
//! ```

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use nex_api::encode;
use nex_api::event::Event;
use nex_bus::kv::{self, Bucket};
use tokio_util::sync::CancellationToken;

use super::State;
use super::durable::{Durable, blocking};
use super::journal::Change;
use super::key::{Key, read_entry};
use crate::control::Shared;
use crate::workloads::Workloads;

/// The bucket is looked at this often, since somebody may have deleted it.
const LOOK: Duration = Duration::from_secs(30);
/// Retries while JetStream is away: this, doubled up to …
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Writes and removals under way at the same time.
const AT_ONCE: usize = 64;
/// What is left to do when the node ends.
const LAST_BOUND: Duration = Duration::from_secs(2);

/// Reads what should run into `workloads`.
pub(super) async fn load(workloads: &Workloads, durable: &Durable) -> io::Result<()> {
    let copy = durable.copy.clone();
    let files = blocking(move || copy.read()).await?;
    let waiting = durable.waiting();
    let opened = open(durable, &files, &waiting).await;
    let entries = match opened {
        Ok(Some(entries)) => entries,
        Ok(None) => {
            if !files.is_empty() {
                tracing::warn!(
                    bucket = durable.config.bucket,
                    "the bucket was gone, made again from the copy"
                );
            }
            files.clone()
        }
        Err(error) => {
            tracing::warn!(%error, workloads = files.len(), "JetStream is away: state comes from the copy");
            files.clone()
        }
    };
    let is_wanted = |key: &str| waiting.get(key) != Some(&Change::Purge);
    let mut known = BTreeMap::new();
    for (key, value) in entries.iter().filter(|(key, _)| is_wanted(key)) {
        match read_entry(key, value) {
            Ok((key, id, request)) => {
                workloads.restored(&id, request);
                known.insert(key, value.clone());
            }
            Err(error) => tracing::warn!(key, %error, "an entry of the state is skipped"),
        }
    }
    tracing::info!(workloads = known.len(), "state read");
    write_copy(durable, files, known).await
}

/// Applies the journal to the bucket and reads it; none when it had to be made, from the copy.
async fn open(
    durable: &Durable,
    files: &BTreeMap<String, Vec<u8>>,
    waiting: &BTreeMap<String, Change>,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, kv::Error> {
    let bucket = Bucket::open_or_create(&durable.client, &durable.config).await?;
    let is_new = bucket.was_created;
    let mut changes = waiting.clone();
    if is_new {
        changes.extend(
            files
                .keys()
                .filter(|key| !waiting.contains_key(*key))
                .map(|key| (key.clone(), Change::Put)),
        );
    }
    let value = |key: &str| files.get(key).cloned();
    let done = apply(&bucket, changes, value).await;
    let entries = if is_new { None } else { Some(bucket.entries().await?) };
    let was_all = waiting.iter().all(|(key, change)| done.get(key) == Some(change));
    if let Err(error) = durable.applied(done).await {
        tracing::error!(%error, "the state journal was not written");
    }
    durable.set_bucket(bucket);
    if !was_all {
        tracing::warn!("not all of the state journal could be applied");
    }
    Ok(entries.map(|all| all.into_iter().map(|e| (e.key, e.value.to_vec())).collect()))
}

/// Makes the copy like `known`; files that are none of ours stay.
async fn write_copy(
    durable: &Durable,
    files: BTreeMap<String, Vec<u8>>,
    known: BTreeMap<Key, Vec<u8>>,
) -> io::Result<()> {
    let copy = durable.copy.clone();
    blocking(move || {
        for (name, value) in &files {
            if let Ok((key, _, _)) = read_entry(name, value)
                && !known.contains_key(&key)
            {
                copy.remove(&key)?;
            }
        }
        for (key, value) in known {
            if files.get(key.as_str()) != Some(&value) {
                copy.write(&key, &value)?;
            }
        }
        Ok(())
    })
    .await
}

/// Puts and purges, many at a time. Returns those that the server acknowledged, and those puts whose
/// value is gone, of which nothing can come any more.
async fn apply(
    bucket: &Bucket,
    changes: BTreeMap<String, Change>,
    value: impl Fn(&str) -> Option<Vec<u8>>,
) -> BTreeMap<String, Change> {
    let value = &value;
    stream::iter(changes)
        .map(|(key, change)| async move {
            let applied = match (change, value(&key)) {
                (Change::Put, Some(value)) => bucket.put(&key, value.into()).await.map(|_| ()),
                (Change::Put, None) => Ok(()),
                (Change::Purge, _) => bucket.purge(&key).await,
            };
            match applied {
                Ok(()) => Some((key, change)),
                Err(error) => {
                    tracing::warn!(key, %error, "a change of state could not be applied yet");
                    None
                }
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// Runs until `token` is cancelled.
pub(crate) async fn keep(shared: Arc<Shared>, token: CancellationToken) {
    let state = &shared.workloads;
    let Some(durable) = &state.durable else {
        token.cancelled().await;
        return;
    };
    let mut pause = FIRST_PAUSE;
    let mut is_behind = durable.bucket().is_none() || !durable.waiting().is_empty();
    loop {
        let wait = if is_behind { pause } else { LOOK };
        let is_last = tokio::select! {
            () = state.wake.notified() => false,
            () = tokio::time::sleep(wait) => false,
            () = token.cancelled() => true,
        };
        if is_last {
            let _slow = tokio::time::timeout(LAST_BOUND, remove_ended(state, durable)).await;
            return;
        }
        remove_ended(state, durable).await;
        let agreed = agree(state, durable).await;
        if let Err(error) = &agreed {
            tracing::debug!(%error, "JetStream is still away");
        }
        let was_behind = std::mem::replace(&mut is_behind, agreed.is_err());
        pause = if is_behind { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        if was_behind != is_behind {
            report(&shared, durable, is_behind).await;
        }
    }
}

async fn report(shared: &Shared, durable: &Durable, is_behind: bool) {
    let bucket = &durable.config.bucket;
    let waiting = durable.waiting().len();
    if is_behind {
        tracing::warn!(bucket, waiting, "JetStream is away, state waits on disk");
    } else {
        tracing::info!(bucket, "the bucket has all of the state");
    }
    let id = shared.node_id.clone();
    shared.events.emit(&Event::NodeState { id, behind: is_behind, waiting }).await;
}

async fn remove_ended(state: &State, durable: &Durable) {
    let ended = std::mem::take(&mut *state.ended.lock().unwrap_or_else(PoisonError::into_inner));
    stream::iter(ended)
        .for_each_concurrent(AT_ONCE, |key| async move {
            durable.purge(&key).await;
        })
        .await;
}

/// One look: the bucket is there, and has what memory has.
async fn agree(state: &State, durable: &Durable) -> Result<(), kv::Error> {
    let is_whole = match durable.bucket() {
        Some(bucket) => match bucket.check().await {
            Ok(()) => true,
            Err(kv::Error::NoBucket { .. }) => false,
            Err(error) => return Err(error),
        },
        None => false,
    };
    if !is_whole {
        let bucket = Bucket::open_or_create(&durable.client, &durable.config).await?;
        if bucket.was_created {
            tracing::warn!(
                bucket = durable.config.bucket,
                "the bucket was gone, made again from memory"
            );
        }
        compare(state, durable, &bucket).await?;
        durable.set_bucket(bucket);
    }
    let Some(bucket) = durable.bucket() else { return Err(kv::Error::Disconnected) };
    // What memory says now counts, not what it said when the line was written.
    let wanted = wanted(state);
    let of_memory = |(key, _): (String, Change)| {
        let change = if wanted.contains_key(&key) { Change::Put } else { Change::Purge };
        (key, change)
    };
    let waiting = durable.waiting();
    let changes: BTreeMap<String, Change> = waiting.clone().into_iter().map(of_memory).collect();
    let done = apply(&bucket, changes, |key| wanted.get(key).cloned()).await;
    purge_forgotten(state, durable, &done).await;
    let is_done = waiting.keys().all(|key| done.contains_key(key));
    let lines = waiting.into_iter().filter(|(key, _)| done.contains_key(key)).collect();
    if let Err(error) = durable.applied(lines).await {
        tracing::error!(%error, "the state journal was not written");
    }
    if is_done { Ok(()) } else { Err(kv::Error::TooSlow { bucket: durable.config.bucket.clone() }) }
}

/// Deals with each entry that only one of bucket and memory has.
async fn compare(state: &State, durable: &Durable, bucket: &Bucket) -> Result<(), kv::Error> {
    let entries: BTreeMap<String, _> =
        bucket.entries().await?.into_iter().map(|entry| (entry.key, entry.value)).collect();
    let wanted = wanted(state);
    let mut changes: BTreeMap<String, Change> = wanted
        .keys()
        .filter(|key| !entries.contains_key(*key))
        .map(|key| (key.clone(), Change::Put))
        .collect();
    let waiting = durable.waiting();
    for (key, value) in entries.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        match read_entry(key, value) {
            Ok((known, _, _)) if durable.was_removed(&known) || waiting.contains_key(key) => {
                changes.insert(key.clone(), Change::Purge);
            }
            Ok((_, id, request)) => {
                tracing::warn!(
                    key,
                    "an entry of the state is new: it starts when its nexlet registers next"
                );
                state.workloads.restored(&id, request);
            }
            Err(error) => tracing::warn!(key, %error, "an entry of the state is skipped"),
        }
    }
    let n_changes = changes.len();
    let done = apply(bucket, changes, |key| wanted.get(key).cloned()).await;
    purge_forgotten(state, durable, &done).await;
    let is_done = done.len() == n_changes;
    if is_done { Ok(()) } else { Err(kv::Error::TooSlow { bucket: durable.config.bucket.clone() }) }
}

/// What was forgotten while it was written is removed again.
async fn purge_forgotten(state: &State, durable: &Durable, done: &BTreeMap<String, Change>) {
    let wanted = wanted(state);
    for (key, _) in done.iter().filter(|(_, change)| **change == Change::Put) {
        if !wanted.contains_key(key)
            && let Some(key) = Key::parse(key)
        {
            durable.purge(&key).await;
        }
    }
}

/// What memory says, by key.
fn wanted(state: &State) -> BTreeMap<String, Vec<u8>> {
    let started = state.workloads.all_started().into_iter();
    let keyed = started.filter_map(|(id, request)| {
        let key = Key::of(&request.workload_type, &id)?;
        Some((key.as_str().to_owned(), encode(&request)))
    });
    keyed.collect()
}
