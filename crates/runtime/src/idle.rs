//! Instances that wait for the next call of their function.
//!
//! Owns: the order in which they are taken (the last one returned is the warmest) and when one is too
//! old. Never: holds an instance that failed.

use std::sync::{Mutex, PoisonError};

/// Calls after which an instance is retired, whatever it does: slow leaks end here.
const MAX_CALLS: u32 = 10_000;

/// A last-in, first-out list. Bounded by the caller's concurrency, since only finished calls return one.
#[derive(Debug)]
pub(crate) struct IdleList<I> {
    instances: Mutex<Vec<I>>,
}

impl<I> IdleList<I> {
    pub(crate) fn new() -> Self {
        Self { instances: Mutex::new(Vec::new()) }
    }

    pub(crate) fn take(&self) -> Option<I> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(crate) fn put(&self, instance: I) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }

    pub(crate) fn clear(&self) {
        let instances =
            std::mem::take(&mut *self.instances.lock().unwrap_or_else(PoisonError::into_inner));
        drop(instances);
    }
}

/// Whether an instance has served enough: many calls, or more than 75 % of its memory limit.
pub(crate) fn is_spent(n_calls: u32, memory: usize, limit: u64) -> bool {
    let threshold = limit / 4 * 3;
    n_calls >= MAX_CALLS || u64::try_from(memory).is_ok_and(|memory| memory > threshold)
}
