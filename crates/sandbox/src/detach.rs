//! A process that leaves its starter's tree, and lives on by signals it reads and children it reaps.
//!
//! Owns: the double fork, signals as a descriptor, the reaping of orphans. Never: decides what a signal
//! means. For processes with one thread only.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid, fork, setsid};

/// Where one finds oneself after [`detach`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In the process that was started; it is done, and ends.
    Starter,
    /// In the process that goes on: a session of its own, no terminal, another parent.
    Detached,
}

/// Forks twice, so that what goes on is no child of the starter's and leads no session.
///
/// # Errors
/// When the kernel has no room for a process.
pub fn detach() -> io::Result<Side> {
    // SAFETY: the process has one thread, so that no lock is held by another in the child. There is no
    // safe interface to fork.
    if let ForkResult::Parent { child } = unsafe { fork() }? {
        // The middle one ends at once; reaped here, it is never seen as a zombie.
        waitpid(child, None)?;
        return Ok(Side::Starter);
    }
    setsid()?;
    // SAFETY: as above.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(Side::Starter),
        ForkResult::Child => Ok(Side::Detached),
    }
}

/// Does `work` in a child that ends with it, and returns the child's pid; it is reaped by
/// [`reap_orphans`].
///
/// # Errors
/// When the kernel has no room for a process.
pub fn in_child(work: impl FnOnce()) -> io::Result<i32> {
    // SAFETY: the process has one thread, and the child ends before it returns to the caller.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child.as_raw()),
        ForkResult::Child => {
            // It holds what the parent has open, which must not outlive the parent.
            let _alone = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            let _done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // Not a panic and not `exit`: neither may run what the parent still needs.
            let _ended = nix::sys::signal::raise(Signal::SIGKILL);
            std::process::abort()
        }
    }
}

/// Closes every descriptor but the standard ones. To be called before anything was opened.
///
/// # Errors
/// When `/proc` does not tell them.
pub fn close_inherited() -> io::Result<()> {
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one of the listing itself has gone already.
        let _closed = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// Signals that do not interrupt, but are read.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// From here on `signals` are read from this.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn block(signals: &[Signal]) -> io::Result<Self> {
        let mask: SigSet = signals.iter().copied().collect();
        mask.thread_block()?;
        Ok(Self(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// The next that has come, if any.
    #[must_use]
    pub fn next(&self) -> Option<Signal> {
        let info = self.0.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reaps children that have ended, up to `except`, which somebody else reaps. Whether any child is left.
pub fn reap_orphans(except: Option<i32>) -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        let pid = match waitid(Id::All, look) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => pid,
            Err(Errno::ECHILD) => return false,
            Err(Errno::EINTR) => continue,
            Ok(_) | Err(_) => return true,
        };
        if except == Some(pid.as_raw()) {
            return true;
        }
        let _reaped = waitpid(pid, None);
    }
}

/// Kills a child of ours that was not reaped yet.
pub fn kill_child(pid: i32) {
    let _gone = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// Orphans of this process's tree become its children, so that none escapes.
///
/// # Errors
/// When the kernel is too old for it.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Hides this process's memory, and its files in `/proc`, from others of the same user.
///
/// # Errors
/// Does not happen on Linux.
pub fn hide_memory() -> io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}

/// The name that `ps` shows for this process.
pub fn set_name(name: &std::ffi::CStr) {
    let _unnamed = nix::sys::prctl::set_name(name);
}
