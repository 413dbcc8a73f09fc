//! The thread that advances the engine's epoch, so that running guests look at their deadline.
//!
//! Owns: one thread, which ends when the ticker is dropped. It sleeps while nothing runs.
//! Never: stops a guest itself; the guest's own epoch callback decides (see `limits`).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// How often a running guest yields and looks at the clock.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a running guest after which the thread goes to sleep. More than one, so that
/// calls in quick succession do not wake it each time.
const IDLE_TICKS: u32 = 100;

#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Keeps the epoch advancing while it lives.
#[derive(Debug)]
pub(crate) struct Running {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    n_running: AtomicUsize,
    asleep: AtomicBool,
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let engine = engine.clone();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("nex-epoch".to_owned())
            .spawn(move || of_thread.run(&engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn running(&self) -> Running {
        self.shared.n_running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.shared.wake();
        }
        Running { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already printed; there is nobody left to tell.
            drop(thread.join());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.n_running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn run(&self, engine: &Engine) {
        let mut n_idle = 0;
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stopped {
            n_idle = if self.is_idle() { n_idle + 1 } else { 0 };
            if n_idle < IDLE_TICKS {
                stopped = match self.wake.wait_timeout(stopped, TICK) {
                    Ok((guard, _)) => guard,
                    Err(poisoned) => poisoned.into_inner().0,
                };
            } else {
                // `asleep` is set before the last look at `n_running`, and a call counts itself
                // before it looks at `asleep`: one of the two sees the other.
                self.asleep.store(true, Ordering::SeqCst);
                while !*stopped && self.is_idle() {
                    stopped = self.wake.wait(stopped).unwrap_or_else(PoisonError::into_inner);
                }
                self.asleep.store(false, Ordering::SeqCst);
                n_idle = 0;
            }
            engine.increment_epoch();
        }
    }

    fn is_idle(&self) -> bool {
        self.n_running.load(Ordering::SeqCst) == 0
    }

    fn wake(&self) {
        // The lock makes sure that the thread is either before its last look or already waiting.
        drop(self.stopped.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_all();
    }
}
