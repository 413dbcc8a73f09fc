//! The threads that guests run on: a runtime of their own, so that no guest can starve NATS.
//!
//! Owns: starting and ending these threads. Never: reads NATS, or decides what runs.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::turns::{Party, Turns};

/// Threads of guests, one per core. Clones share them; the last one ends them, without waiting.
#[derive(Debug, Clone)]
pub struct GuestThreads {
    runtime: Arc<Owned>,
}

#[derive(Debug)]
struct Owned {
    handle: Handle,
    turns: Arc<Turns>,
    // An option, since ending a runtime takes it by value and a drop has only a reference.
    runtime: Option<Runtime>,
}

impl GuestThreads {
    /// Starts one thread per core that this process may use.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn one_per_core() -> io::Result<Self> {
        Self::new(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// Starts `n_threads`.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(n_threads: NonZeroUsize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(n_threads.get())
            .thread_name("guest")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let turns = Turns::start(&handle, n_threads.get());
        Ok(Self { runtime: Arc::new(Owned { handle, turns, runtime: Some(runtime) }) })
    }

    /// Where to spawn what belongs on these threads.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.runtime.handle
    }

    /// Starts a call. What ends at its first poll, as most do, is a plain task; what goes on after it goes
    /// on whenever it is its party's turn, and so does everything while others wait for theirs.
    /// Calls alone are not in the table of tasks, whose locks all functions would share: the gate of their
    /// function counts them, and its owner sees them to their end.
    pub(crate) fn spawn_call(&self, party: &Party, call: BoxFuture<'static, ()>) {
        let turns = Arc::clone(&self.runtime.turns);
        let party = party.clone();
        if turns.is_busy() {
            turns.spawn(party, call);
            return;
        }
        self.runtime.handle.spawn(async move {
            let mut call = call;
            if futures::poll!(&mut call).is_pending() {
                turns.spawn(party, call);
            }
        });
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // An ordinary drop would block, which panics where the last clone lived in a task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
            self.turns.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_clone_may_be_dropped_in_a_task_also_on_a_guest_thread() {
        let (done, ended) = tokio::sync::oneshot::channel();
        let threads = GuestThreads::new(NonZeroUsize::MIN).unwrap();
        let handle = threads.handle().clone();
        handle.spawn(async move {
            assert_eq!(std::thread::current().name(), Some("guest"));
            drop(threads);
            let _nobody = done.send(());
        });
        ended.await.unwrap();
    }
}
