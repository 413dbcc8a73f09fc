//! From a wasmtime error to the seam's errors.
//!
//! Owns: telling a limit, a trap and an exit code apart, and their wording. Never: decides what a
//! caller on the wire is told (`nex-functions` maps [`CallError`] to codes).

use nex_functions::runtime::{CallError, GuestLog, Level};
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use crate::limits::{DeadlinePassed, MemoryLimitReached};
use crate::room::NoRoom;

/// Says why a call failed; a trap's backtrace is logged here.
pub(crate) fn call_error(error: &wasmtime::Error, limit: u64, logs: &dyn GuestLog) -> CallError {
    if error.is::<DeadlinePassed>() {
        return CallError::DeadlinePassed;
    }
    if error.is::<MemoryLimitReached>() {
        return CallError::OutOfMemory { limit };
    }
    if let Some(NoRoom(sentence)) = error.downcast_ref::<NoRoom>() {
        return CallError::Busy(sentence.clone());
    }
    let (message, detail) = describe(error);
    log_lines(logs, Level::Error, detail.as_deref().unwrap_or(&message));
    failed(message, detail)
}

/// Names what went wrong in one line, with a backtrace where there is one.
pub(crate) fn describe(error: &wasmtime::Error) -> (String, Option<String>) {
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return (format!("exited with code {code}"), None);
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return (error.root_cause().to_string(), Some(format!("{error:?}")));
    };
    let message = match trap {
        Trap::StackOverflow => "call stack exhausted".to_owned(),
        Trap::UnreachableCodeReached => "trapped: unreachable code was reached".to_owned(),
        other => format!("trapped: {}", first_line(&other.to_string())),
    };
    (message, Some(format!("{error:?}")))
}

/// The pool has no slot left; idle instances may hold some.
pub(crate) fn is_pool_full(error: &wasmtime::Error) -> bool {
    error.is::<PoolConcurrencyLimitError>()
}

pub(crate) fn failed(message: String, detail: Option<String>) -> CallError {
    CallError::Failed { message, detail }
}

/// Gives `text` to the log line by line.
pub(crate) fn log_lines(logs: &dyn GuestLog, level: Level, text: &str) {
    for line in text.lines() {
        logs.line(level, line);
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text).trim_start_matches("wasm trap: ")
}
