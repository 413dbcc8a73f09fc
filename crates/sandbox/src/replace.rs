//! Replaces the running program by another, in the same process.
//!
//! Owns: the step to the other program. Never: decides that it is time.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::sys::signal::{SigHandler, Signal, signal};

/// Runs `path` in this process, under its pid, with its children and its environment. Returns only
/// when that fails.
///
/// SIGHUP is ignored from here until the other program takes it over, since a second request to
/// upgrade would otherwise end a program that has not come that far.
pub fn replace_self(path: &Path, arguments: impl IntoIterator<Item = OsString>) -> io::Error {
    // SAFETY: ignoring a signal installs no handler, so nothing of ours runs in a signal's context.
    // There is no safe interface to a disposition that survives `exec`.
    if let Err(error) = unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) } {
        return error.into();
    }
    #[expect(clippy::disallowed_methods, reason = "this is the place that starts programs")]
    let mut command = std::process::Command::new(path);
    command.args(arguments).exec()
}
