//! What bounds one running guest: its memory and its deadline.
//!
//! Owns: the limiter of a store, the epoch callback, and the marker errors that tell why a guest was
//! stopped. Never: turns them into replies (see `failure`).

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};

use crate::room::Room;

/// A guest asked for more linear memory than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory limit was reached")]
pub(crate) struct MemoryLimitReached;

/// A guest was stopped at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the deadline passed")]
pub(crate) struct DeadlinePassed;

/// Tables hold 8 bytes an entry outside of linear memory; the pool has its own, lower bound.
const MAX_TABLE_ELEMENTS: usize = 1024 * 1024;

/// The bounds of one store.
#[derive(Debug)]
pub(crate) struct Limits {
    memory: usize,
    /// Bytes of all memories of the store together: a component may have several.
    used: usize,
    deadline: Instant,
    /// Whose budget its memory is taken from.
    room: Option<Arc<Room>>,
    /// Bytes that it took from there.
    held: u64,
}

impl Limits {
    pub(crate) fn new(memory: u64, deadline: Instant) -> Self {
        let memory = usize::try_from(memory).unwrap_or(usize::MAX);
        Self { memory, used: 0, deadline, room: None, held: 0 }
    }

    /// Bytes of linear memory that the guest holds.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes its memory from `room` from now on; what an instantiation that failed took goes back.
    pub(crate) fn enter(&mut self, room: &Arc<Room>) {
        self.leave();
        self.room = Some(Arc::clone(room));
    }

    fn leave(&mut self) {
        self.used = 0;
        if let Some(room) = self.room.take() {
            room.give_back(std::mem::take(&mut self.held));
        }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used.saturating_sub(current).saturating_add(desired);
        // A trap instead of -1: few guests handle a failed growth, and the caller is told the truth.
        if total > self.memory {
            return Err(MemoryLimitReached.into());
        }
        if let Some(room) = &self.room {
            let more = u64::try_from(desired.saturating_sub(current))?;
            room.take(more)?;
            self.held += more;
        }
        self.used = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Data of a store that has [`Limits`].
pub(crate) trait Limited: Send + 'static {
    fn limits(&mut self) -> &mut Limits;
}

impl Limited for Limits {
    fn limits(&mut self) -> &mut Limits {
        self
    }
}

/// Makes a store whose guest is bounded, and which lets others run once a tick.
pub(crate) fn bounded_store<T: Limited>(engine: &Engine, data: T) -> Store<T> {
    let mut store = Store::new(engine, data);
    store.limiter(|data| data.limits());
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        if Instant::now() >= context.data_mut().limits().deadline {
            return Err(DeadlinePassed.into());
        }
        // Unlike a bare wake-up, tokio's yield lets the timers and sockets of the thread have a turn.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}

/// Gives a store that waited in between the deadline of its next call.
pub(crate) fn begin_call<T: Limited>(store: &mut Store<T>, deadline: Instant) {
    store.data_mut().limits().deadline = deadline;
    // The epoch went on without it; an expired one would make it yield at its first instruction.
    store.set_epoch_deadline(1);
}

/// Runs `work` until `deadline`. A guest that computes is stopped by its epoch callback; this stops
/// one that waits.
pub(crate) async fn until<T>(
    deadline: Instant,
    work: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut work = pin!(work);
    // A call that ends at once needs no timer.
    if let Poll::Ready(ended) = futures::poll!(&mut work) {
        return ended;
    }
    match tokio::time::timeout_at(deadline.into(), work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(DeadlinePassed.into()),
    }
}
