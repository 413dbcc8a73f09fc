//! A whole nexlet process: from its environment to its end.
//!
//! Owns: which of both launches it is, and what tells the process to end. Never: reads the
//! environment; `main` passes it.

use std::ffi::OsString;
use std::sync::Arc;

use nex_sandbox::Tasks;
use tokio::signal::unix::{SignalKind, signal};

use crate::variables::{Launch, VariableError};
use crate::{Ending, Nexlet, RunError, remote, run};

/// A nexlet process that ended badly.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ProcessError {
    #[error(transparent)]
    Variables(#[from] VariableError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("cannot listen for signals")]
    Signals(#[from] std::io::Error),
}

/// Runs `nexlet` until SIGTERM or SIGINT, or until its node has been away for too long; then drains it.
/// This is all of a nexlet's `main`:
///
/// ```no_run
/// # use nex_nexlet::{Nexlet, ProcessError};
/// # async fn main_of(nexlet: impl Nexlet) -> Result<(), ProcessError> {
/// nex_nexlet::run_process(nexlet, std::env::vars_os()).await
/// # }
/// ```
///
/// # Errors
/// When the environment is not a nexlet's, NATS or the node refuse, or a part of the nexlet fails.
pub async fn run_process(
    nexlet: impl Nexlet,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), ProcessError> {
    let options = match Launch::from_variables(variables)? {
        Launch::Local(options) => options,
        Launch::Remote { nexus, connection } => {
            remote::obtain(&nexus, connection, &nexlet.describe().name).await?
        }
    };
    let shutdown = shutdown()?;
    run(Arc::new(nexlet), options, Tasks::new(), shutdown).await?;
    Ok(())
}

/// SIGTERM and SIGINT: end, and the workloads with it. SIGUSR1, which our nodes send when they replace a
/// nexlet: another one has the workloads by now.
fn shutdown() -> std::io::Result<impl Future<Output = Ending>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hand_over = signal(SignalKind::user_defined1())?;
    Ok(async move {
        let ending = tokio::select! {
            _ = terminate.recv() => Ending::Drain,
            _ = interrupt.recv() => Ending::Drain,
            _ = hand_over.recv() => Ending::HandOver,
        };
        tracing::info!(?ending, "told to end, draining");
        ending
    })
}
