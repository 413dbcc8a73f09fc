//! The process's own log, on standard error.
//!
//! Owns: the level and the form. Never: carries workloads' logs; those go over NATS.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::{Globals, LogLevel};

/// Installs the log. Short commands tell warnings only, daemons tell what they do.
pub(crate) fn start(globals: &Globals, is_daemon: bool) {
    let level = match globals.log_level {
        Some(LogLevel::Error) => "error",
        Some(LogLevel::Warn) => "warn",
        Some(LogLevel::Info) => "info",
        Some(LogLevel::Debug) => "debug",
        Some(LogLevel::Trace) => "trace",
        None if is_daemon => "info",
        None => "warn",
    };
    // The NATS client reports lost connections itself; ours says it with the connection's name.
    let filter = EnvFilter::new(format!("{level},async_nats=error"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    let installed =
        if globals.json && is_daemon { builder.json().try_init() } else { builder.try_init() };
    // Only a second installation fails, and there is none.
    drop(installed);
}
