//! The process from its order to its program's end.
//!
//! Owns: the order of things: order → folder → program → answer → life. Never: decides what the program is.

mod connections;
mod folder;
mod life;
mod names;
mod pair;
mod relay;
mod spool;
mod start;

use std::io;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Lives this process's whole life, from its standard input to its program's end.
pub(crate) fn live() -> ExitCode {
    let Ok(answering) = start::leave_starter() else { return ExitCode::FAILURE };
    match start::start() {
        Ok((life, answer)) => {
            start::answer(answering, &answer);
            life.run();
            ExitCode::SUCCESS
        }
        Err(answer) => {
            start::answer(answering, &answer);
            ExitCode::FAILURE
        }
    }
}

/// Microseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Whether it may go on later.
fn is_momentary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
