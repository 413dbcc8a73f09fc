//! Room for instances: slots of the pool and bytes of the nexlet's budget.
//!
//! Owns: who makes room when there is none (idle instances of all functions), and how long a call
//! waits for it. Never: ends an instance that runs.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use nex_functions::Budget;
use nex_functions::runtime::Guest;
use nex_types::ByteSize;

use crate::failure;

/// How long a call waits for room; most run shorter than that.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// There is none, though nothing idle holds any: the sentence names the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoRoom(pub(crate) String);

/// Shared by all instances of an engine.
#[derive(Debug)]
pub(crate) struct Room {
    budget: Budget,
    max_instances: u32,
    guests: Mutex<Vec<Weak<dyn Guest>>>,
}

impl Room {
    pub(crate) fn new(max_memory: u64, max_instances: u32) -> Self {
        Self { budget: Budget::new(max_memory), max_instances, guests: Mutex::default() }
    }

    /// Has `guest` give up its idle instances when others need the room.
    pub(crate) fn remember(&self, guest: &Arc<dyn Guest>) {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|guest| guest.strong_count() > 0);
        guests.push(Arc::downgrade(guest));
    }

    /// Takes bytes, from idle instances if need be.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), NoRoom> {
        if self.budget.take(bytes) {
            return Ok(());
        }
        self.release_idle();
        if self.budget.take(bytes) {
            return Ok(());
        }
        let limit = ByteSize(self.budget.limit());
        Err(NoRoom(format!("the memory of all functions, {limit} (--functions-memory), is in use")))
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.budget.give_back(bytes);
    }

    /// Waits for room until `until`, having made what can be made; false when there was none in time.
    pub(crate) async fn wait(&self, until: Instant) -> bool {
        self.release_idle();
        if Instant::now() >= until {
            return false;
        }
        self.budget.given_back().await;
        true
    }

    /// Why a call found no room, where that is what `error` says.
    pub(crate) fn shortage(&self, error: &wasmtime::Error) -> Option<NoRoom> {
        if let Some(shortage) = error.downcast_ref::<NoRoom>() {
            return Some(shortage.clone());
        }
        let n = self.max_instances;
        let sentence =
            || format!("all {n} instances of the nexlet (--functions-instances) are in use");
        failure::is_pool_full(error).then(|| NoRoom(sentence()))
    }

    pub(crate) fn release_idle(&self) {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for guest in guests.iter().filter_map(Weak::upgrade) {
            guest.release_idle();
        }
    }
}

/// When a call that waits for room, and must end by `deadline`, is told that there is none.
pub(crate) fn patience(deadline: Instant) -> Instant {
    let now = Instant::now();
    // Before its deadline, so that its caller is told why and not only that it was late.
    now + (deadline.saturating_duration_since(now) / 2).min(LONGEST_WAIT)
}
