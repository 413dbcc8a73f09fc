//! How often nexlets were started again.
//!
//! Owns: a number per configured nexlet. Never: decides when one is started.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// By the nexlet's name, which for ours is the type of its workloads.
#[derive(Debug, Default)]
pub(crate) struct NexletRestarts(Mutex<BTreeMap<String, u64>>);

impl NexletRestarts {
    /// It is kept running from now on.
    pub(crate) fn begin(&self, nexlet: &str) {
        self.with(|all| {
            all.entry(nexlet.to_owned()).or_default();
        });
    }

    /// It ended, and is started again.
    pub(crate) fn restarted(&self, nexlet: &str) {
        self.with(|all| *all.entry(nexlet.to_owned()).or_default() += 1);
    }

    pub(super) fn all(&self) -> BTreeMap<String, u64> {
        self.with(|all| all.clone())
    }

    fn with<R>(&self, work: impl FnOnce(&mut BTreeMap<String, u64>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
