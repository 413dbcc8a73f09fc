//! Host operations that a JavaScript function has started and waits for.
//!
//! Owns: their numbers, their results, and the sleep until one is done. Never: blocks a thread.
//! Host services are in `services`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use nex_functions::host::Host;
use nex_functions::runtime::Call;
use nex_functions::{Budget, Scope};

use super::framing::Held;
use super::services::{self, Context, OperationResult};
use crate::clock;

/// Operations that one instance may have pending; each holds memory of the host.
const MAX_PENDING: usize = 1024;

/// `scheduler.wait`: its argument is the time in milliseconds, a little-endian `f64`.
const SLEEP: u32 = 1;

#[derive(Debug)]
pub(crate) struct Operations {
    host: Arc<Host>,
    budget: Arc<Budget>,
    /// The reply subject of the call that the guest runs; the guest itself is not asked for it.
    own_reply: Option<String>,
    /// The span of that call.
    scope: Scope,
    last_id: u32,
    pending: FuturesUnordered<BoxFuture<'static, Done>>,
    /// The operation that was announced to the guest, until it takes the result.
    announced: Option<Done>,
}

#[derive(Debug)]
pub(crate) struct Done {
    id: u32,
    result: OperationResult,
    /// Given back when the guest has taken the result into its own memory.
    _held: Held,
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
    /// `memory`: how much the host may hold for this instance.
    pub(crate) fn new(host: Arc<Host>, memory: u64) -> Self {
        Self {
            host,
            budget: Arc::new(Budget::new(memory)),
            own_reply: None,
            scope: Scope::none(),
            last_id: 0,
            pending: FuturesUnordered::new(),
            announced: None,
        }
    }

    /// A call begins.
    pub(crate) fn begin_call(&mut self, call: &Call) {
        self.own_reply.clone_from(&call.reply);
        self.scope = call.scope.clone();
    }

    /// Starts an operation and numbers it; `None` if too many are pending.
    pub(crate) fn start(&mut self, operation: u32, argument: &[u8]) -> Option<u32> {
        if self.pending.len() >= MAX_PENDING {
            return None;
        }
        // Zero means "none" to the guest.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let id = self.last_id;
        let work = self.begin(operation, argument);
        self.pending.push(Box::pin(async move {
            let (result, held) = work.await;
            Done { id, result, _held: held }
        }));
        Some(id)
    }

    /// Runs an operation to its end while the guest stands still, and announces it as the length of
    /// its result.
    pub(crate) async fn run(&mut self, operation: u32, argument: &[u8]) -> usize {
        let (result, held) = self.begin(operation, argument).await;
        let done = Done { id: 0, result, _held: held };
        let length = done.bytes().len();
        self.announced = Some(done);
        length
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

    fn begin(
        &self,
        operation: u32,
        argument: &[u8],
    ) -> BoxFuture<'static, (OperationResult, Held)> {
        let mut held = Held::nothing(&self.budget);
        if operation == SLEEP {
            let millis = argument.try_into().map_or(0.0, f64::from_le_bytes);
            return Box::pin(async move { (sleep(millis).await, held) });
        }
        if let Err(refused) = held.add(argument.len()) {
            return Box::pin(async move { (Err(refused), held) });
        }
        let argument = Bytes::copy_from_slice(argument);
        let (host, own_reply) = (Arc::clone(&self.host), self.own_reply.clone());
        let context = Context { host, own_reply, scope: self.scope.clone(), held };
        Box::pin(services::run(operation, argument, context))
    }

    pub(crate) fn take(&mut self) -> Option<Done> {
        self.announced.take()
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
