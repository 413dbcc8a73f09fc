//! A whole nexlet process: from its environment to its end.
//!
//! Owns: which of both launches it is, and what tells the process to end. Never: reads the
//! environment; `main` passes it.

use std::ffi::OsString;
use std::sync::Arc;

use nex_sandbox::Tasks;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::variables::{Launch, VariableError};
use crate::{Nexlet, RunError, remote, run};

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

/// Runs `nexlet` until SIGTERM or SIGINT, or until the node that launched it has gone; then drains it.
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
    let has_lifeline = options.register_token.is_some();
    let shutdown = shutdown(has_lifeline)?;
    run(Arc::new(nexlet), options, Tasks::new(), shutdown).await?;
    Ok(())
}

/// Resolves when a signal says so, or when the node's end of standard input closes. Only our nodes
/// hold that end; elsewhere standard input may be closed from the start.
fn shutdown(has_lifeline: bool) -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            () = lifeline(), if has_lifeline => tracing::info!("the node has gone, draining"),
            _ = terminate.recv() => tracing::info!("told to end, draining"),
            _ = interrupt.recv() => tracing::info!("interrupted, draining"),
        }
    })
}

async fn lifeline() {
    let (mut stdin, mut byte) = (tokio::io::stdin(), [0; 64]);
    while stdin.read(&mut byte).await.is_ok_and(|n| n > 0) {}
}
