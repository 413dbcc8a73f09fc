//! Callers who call without a pause, and count.
//!
//! Owns: the callers' tasks and what they saw. Never: tolerates a failed call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_nats::Client;
use tokio::task::JoinHandle;

use crate::world::try_ask;

/// Callers at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// `n` callers of an echo on `subject`.
    pub(crate) fn on(client: &Client, subject: &'static str, n: usize) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let caller = |number: usize| {
            let (client, stop, calls) = (client.clone(), Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let call = calls.fetch_add(1, Ordering::Relaxed);
                    let payload = format!("{number}-{call}");
                    match try_ask(&client, subject, payload.clone().into_bytes()).await {
                        Ok(reply) if reply.payload == payload => {}
                        other => failures.push(format!("{payload}: {other:?}")),
                    }
                }
                failures
            })
        };
        let callers = (0..n).map(caller).collect();
        Self { stop, calls, callers }
    }

    /// How many calls were made so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Ends it; asserts that every call was answered rightly, and tells how many there were.
    pub(crate) async fn all_were_answered(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(caller.await.unwrap());
        }
        let calls = self.calls.load(Ordering::Relaxed);
        assert!(failures.is_empty(), "{} of {calls} calls: {failures:#?}", failures.len());
        calls
    }
}
