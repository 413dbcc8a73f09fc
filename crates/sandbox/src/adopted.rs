//! A process that outlived whoever started it, and is taken over by another.
//!
//! Owns: a handle that means this very process for ever (a pidfd), its end, and signals to it.
//! Never: finds the process; who adopts it brings its identity.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::{Exit, ProcessIdentity, tree};

/// What a tree that was killed may take to go.
const KILL_BOUND: Duration = Duration::from_secs(5);

/// A running process that we did not start, or not in this life. Dropping it changes nothing.
#[derive(Debug)]
pub struct Adopted {
    pid: i32,
    handle: AsyncFd<OwnedFd>,
}

impl Adopted {
    /// Takes the process over, if it still runs. Call within a tokio runtime.
    ///
    /// # Errors
    /// When it runs, but the kernel gives no handle.
    pub fn take(identity: &ProcessIdentity) -> io::Result<Option<Self>> {
        let Some(pid) = rustix::process::Pid::from_raw(identity.pid) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // In this order: with the handle open, it no longer matters who gets the number next.
        if !identity.is_alive() {
            return Ok(None);
        }
        // SAFETY: an OwnedFd names one open descriptor for as long as it lives, which is what tokio
        // asks of it. The safe constructor is deprecated in favour of this one.
        let handle = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }?;
        Ok(Some(Self { pid: identity.pid, handle }))
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for its end. How it ended is known only when it is a child of ours, as after an
    /// `exec` in place; then it is reaped. Cancel-safe.
    pub async fn wait(&self) -> Option<Exit> {
        // An error would mean that the handle is of no use any more, and so the process.
        let _readable = self.handle.readable().await;
        match waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Some(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Exit::Signal(signal as i32)),
            _ => None,
        }
    }

    /// Sends it a signal; that it has gone meanwhile is fine.
    pub fn signal(&self, signal: Signal) {
        if let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32) {
            let _gone = pidfd_send_signal(self.handle.get_ref(), signal);
        }
    }

    /// Asks with `signal`, waits up to `grace`, then kills the whole tree.
    pub async fn stop(&self, signal: Signal, grace: Duration) -> Option<Exit> {
        self.signal(signal);
        if let Ok(exit) = tokio::time::timeout(grace, self.wait()).await {
            return exit;
        }
        // It still has its number, since it has not ended.
        let pid = self.pid;
        let killing = tokio::task::spawn_blocking(move || tree::kill_tree(pid, None, KILL_BOUND));
        if let Ok(left) = killing.await
            && !left.is_empty()
        {
            tracing::error!(?left, "processes would not go");
            return None;
        }
        self.wait().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Program;

    fn sleeper() -> Program {
        Program { args: vec!["60".to_owned()], ..Program::new("/bin/sleep") }
    }

    #[tokio::test]
    async fn an_adopted_process_is_stopped_and_its_end_is_seen() {
        let child = sleeper().spawn().unwrap();
        let identity = ProcessIdentity::of(child.pid()).unwrap();
        // As if an earlier self had started it.
        std::mem::forget(child);
        let adopted = Adopted::take(&identity).unwrap().unwrap();
        let exit = adopted.stop(Signal::SIGTERM, Duration::from_secs(5)).await;
        assert_eq!(exit, Some(Exit::Signal(15)));
        assert!(!identity.is_alive());
        assert!(Adopted::take(&identity).unwrap().is_none());
    }

    #[tokio::test]
    async fn another_process_with_the_same_number_is_not_adopted() {
        let mut child = sleeper().spawn().unwrap();
        let identity = ProcessIdentity::of(child.pid()).unwrap();
        let earlier = ProcessIdentity { start_time: identity.start_time + 1, ..identity };
        assert!(Adopted::take(&earlier).unwrap().is_none());
        child.stop(Signal::SIGKILL, Duration::ZERO, None).await.unwrap();
    }
}
