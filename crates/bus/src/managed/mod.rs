//! The managed NATS server: a real `nats-server` that `nex up` runs when there is none.
//!
//! Owns: its configuration, accounts, process, restarts, and the record by which a later `nex up` finds one that
//! outlived a crash. Never: is a broker itself, or decides that one is needed.
//!
//! ```text
//! start ──► record alive? ──yes──► adopt ─┐
//!                │no                      ├──► watch ──ends unasked──► pause ──► same port, same store
//!                └──► spawn ──────────────┘      └──stop──► SIGTERM, 10 s, SIGKILL; record removed
//! ```

mod accounts;
mod binary;
mod process;

use std::path::PathBuf;
use std::time::Instant;

use nex_policy::restart::Restarts;
use nex_sandbox::{OnFailure, Tasks};
use tokio::sync::{mpsc, oneshot};

pub use accounts::Accounts;
pub use binary::{BinaryError, Found, MINIMUM_VERSION, find, is_new_enough};
use process::ServerProcess;
pub use process::{Record, has_leftovers, lacks_context, mend_context, sweep};

/// Where the server runs and what it may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `nats-server` binary.
    pub binary: PathBuf,
    /// Its folder: configuration, store, log and record.
    pub directory: PathBuf,
    /// Port on loopback; 0 lets the server choose a free one.
    pub port: u16,
}

/// A server that could not be started.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot start {path}")]
    Spawn { path: PathBuf, source: std::io::Error },
    #[error("nats-server ended at once: {output}")]
    Ended { output: String },
    #[error("nats-server was not ready within 10s; its log is {log}")]
    NotReady { log: PathBuf },
}

/// A server that is watched until it is stopped.
#[derive(Debug)]
pub struct Managed {
    url: String,
    adopted: bool,
    stop: mpsc::Sender<oneshot::Sender<()>>,
}

impl Managed {
    /// Starts the server or adopts one that a crashed predecessor left, and watches it.
    ///
    /// # Errors
    /// When it cannot be started or is not ready in time.
    pub async fn start(options: Options, tasks: &Tasks) -> Result<Self, Error> {
        let (process, adopted) = match ServerProcess::adopt(&options) {
            Some(process) => (process, true),
            None => (ServerProcess::spawn(&options).await?, false),
        };
        let url = process.url().to_owned();
        // One stop request is all there ever is.
        let (stop, stops) = mpsc::channel(1);
        // The chosen port stays the same over restarts, so that clients find it again.
        let options = Options { port: process.port(), ..options };
        tasks.spawn("managed nats-server", OnFailure::Log, watch(process, options, stops));
        Ok(Self { url, adopted, stop })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it was running already.
    #[must_use]
    pub fn was_adopted(&self) -> bool {
        self.adopted
    }

    /// Ends it and waits for the end.
    pub async fn stop(self) {
        let (done, ended) = oneshot::channel();
        if self.stop.send(done).await.is_ok() {
            let _watcher_left = ended.await;
        }
    }
}

async fn watch(
    mut process: ServerProcess,
    options: Options,
    mut stops: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut restarts = Restarts::default();
    loop {
        let started = Instant::now();
        tokio::select! {
            () = process.ended() => {}
            stop = stops.recv() => return end(process, stop).await,
        }
        let restart = restarts.ended(started, Instant::now());
        tracing::error!(after = ?restart.after, degraded = restart.degraded, "nats-server ended, starting it again");
        process = loop {
            tokio::select! {
                () = tokio::time::sleep(restart.after) => {}
                stop = stops.recv() => { if let Some(done) = stop { let _left = done.send(()); } return }
            }
            match ServerProcess::spawn(&options).await {
                Ok(process) => break process,
                Err(error) => tracing::error!(%error, "nats-server cannot be started again"),
            }
        };
    }
}

async fn end(process: ServerProcess, stop: Option<oneshot::Sender<()>>) {
    process.stop().await;
    if let Some(done) = stop {
        let _caller_left = done.send(());
    }
}
