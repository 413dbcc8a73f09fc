//! Host operations that a JavaScript function has started and waits for.
//!
//! Owns: their numbers, their results, and the sleep until one is done. Never: blocks a thread.
//! Further host services are further arms of [`begin`].

use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use crate::clock;

/// Operations that one instance may have pending; each holds memory of the host.
const MAX_PENDING: usize = 1024;

/// `scheduler.wait`: its argument is the time in milliseconds, a little-endian `f64`.
const SLEEP: u32 = 1;

type OperationResult = Result<Vec<u8>, String>;

#[derive(Debug, Default)]
pub(crate) struct Operations {
    last_id: u32,
    pending: FuturesUnordered<BoxFuture<'static, Done>>,
    /// The operation that was announced to the guest, until it takes the result.
    announced: Option<Done>,
}

#[derive(Debug)]
pub(crate) struct Done {
    id: u32,
    result: OperationResult,
}

impl Done {
    fn bytes(&self) -> &[u8] {
        match &self.result {
            Ok(result) => result,
            Err(message) => message.as_bytes(),
        }
    }

    /// Whether the operation failed, and the bytes of its result or message.
    pub(crate) fn into_parts(self) -> (bool, Vec<u8>) {
        match self.result {
            Ok(result) => (false, result),
            Err(message) => (true, message.into_bytes()),
        }
    }
}

impl Operations {
    /// Starts an operation and numbers it; `None` if too many are pending.
    pub(crate) fn start(&mut self, operation: u32, argument: &[u8]) -> Option<u32> {
        if self.pending.len() >= MAX_PENDING {
            return None;
        }
        // Zero means "none" to the guest.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let id = self.last_id;
        let work = begin(operation, argument);
        self.pending.push(Box::pin(async move { Done { id, result: work.await } }));
        Some(id)
    }

    /// Sleeps until an operation is done or the steady clock shows `until`. Announces the operation
    /// as its number and the length of its result.
    pub(crate) async fn wait(&mut self, until: f64) -> Option<(u32, usize)> {
        let done = match clock::instant_at_steady(until) {
            Some(instant) if self.pending.is_empty() => {
                tokio::time::sleep_until(instant.into()).await;
                None
            }
            Some(instant) => {
                let next = tokio::time::timeout_at(instant.into(), self.pending.next());
                next.await.ok().flatten()
            }
            None => self.pending.next().await,
        };
        let announced = done.as_ref().map(|done| (done.id, done.bytes().len()));
        self.announced = done;
        announced
    }

    pub(crate) fn take(&mut self) -> Option<Done> {
        self.announced.take()
    }
}

fn begin(operation: u32, argument: &[u8]) -> BoxFuture<'static, OperationResult> {
    match operation {
        SLEEP => Box::pin(sleep(argument.try_into().map_or(0.0, f64::from_le_bytes))),
        unknown => {
            let message = format!("there is no host operation {unknown}");
            Box::pin(async move { Err(message) })
        }
    }
}

async fn sleep(millis: f64) -> OperationResult {
    let duration = Duration::try_from_secs_f64(millis / 1e3).map_err(|error| error.to_string())?;
    // tokio's timers have a granularity of a millisecond, also for nothing.
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
    Ok(Vec::new())
}
