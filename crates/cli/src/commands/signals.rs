//! Being told to end.
//!
//! Owns: which signals mean it. Never: ends anything.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;

/// SIGINT, SIGTERM, and SIGHUP of a terminal that is closed. Without a terminal, as under nohup, the last one
/// is left as it was.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Takes them over; before that, they end the process at once.
    pub(crate) fn listen(has_terminal: bool) -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(|error| CliError::chain(&error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: has_terminal.then(|| listen(SignalKind::hangup())).transpose()?,
        })
    }

    pub(crate) async fn recv(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}
