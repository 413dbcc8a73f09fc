//! How many dear operations one workload has under way at once, in all its instances.
//!
//! Owns: the places. Never: a queue without a bound in time: who waits here ends with its call.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lists and gathered answers are held whole before they are counted against the guest.
pub(super) const GATHERINGS: usize = 4;
/// Each request may hold a socket and its buffers.
pub(super) const REQUESTS: usize = 64;

/// Places of one kind.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// Held until the operation has ended.
#[derive(Debug)]
pub(super) struct Place(
    #[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>,
);

impl Places {
    pub(super) fn new(n: usize) -> Self {
        Self(Arc::new(Semaphore::new(n)))
    }

    /// Waits for a place.
    pub(super) async fn take(&self) -> Place {
        // The semaphore is never closed.
        Place(Arc::clone(&self.0).acquire_owned().await.ok())
    }
}
