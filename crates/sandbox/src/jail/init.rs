//! The first process of a box: it passes signals on, reaps, and says how the program ended.
//!
//! Owns: its loop, and the words on the exit pipe. Never: has privileges: it is locked down before it is
//! split off, like the program beside it. It exists since a program that is itself pid 1 would ignore
//! SIGTERM.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_raw, fork};

use super::JailExit;
use super::kernel;

const BY_ITSELF: u8 = b'c';
const BY_SIGNAL: u8 = b's';
/// Where the first process keeps the exit pipe; all other descriptors are closed.
const EXIT: i32 = 3;

/// Splits this process: the first process of the box stays here for ever, the program's goes on.
pub(super) fn split_off(exit: &OwnedFd, filter: &[libc::sock_filter]) -> nix::Result<()> {
    // Before there are two, so that no signal is lost between the fork and the loop. A blocked signal
    // also reaches a pid 1 that has no handler for it.
    kernel::default_signals();
    SigSet::all().thread_block()?;
    // SAFETY: this process has one thread.
    match unsafe { fork()? } {
        ForkResult::Child => {
            // Of the signals the program must find nothing; its own session, so that it leads a group.
            kernel::default_signals();
            nix::unistd::setsid()?;
            Ok(())
        }
        ForkResult::Parent { child } => stay(exit, filter, child),
    }
}

fn stay(exit: &OwnedFd, filter: &[libc::sock_filter], program: Pid) -> ! {
    let ready = || -> io::Result<()> {
        // SAFETY: the number is this process's to use: nothing that is used later lies there, since
        // everything above it is closed and nothing below it was opened by the box.
        let kept = unsafe { dup2_raw(exit, EXIT)? };
        std::mem::forget(kept);
        kernel::close_from(EXIT.cast_unsigned() + 1)?;
        // The output ends with the program, and nobody reads memory of what came before it.
        for standard in 0..EXIT {
            let _was_closed = nix::unistd::close(standard);
        }
        kernel::control(libc::PR_SET_DUMPABLE, 0)?;
        if !filter.is_empty() {
            kernel::filter_calls(filter)?;
        }
        Ok(())
    };
    if ready().is_err() {
        // Ends the program with it.
        let _gone = kill(program, Signal::SIGKILL);
        kernel::leave(1);
    }
    let ended = tend(program);
    let _parent_is_gone = nix::unistd::write(
        // SAFETY: the pipe was put there above, and is open until this process ends.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(EXIT) },
        &to_bytes(ended),
    );
    kernel::leave(0)
}

/// Until the program has ended. What it leaves is killed by the kernel when the first process goes.
fn tend(program: Pid) -> JailExit {
    let all = SigSet::all();
    loop {
        match all.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(ended) = reap(program) {
                    return ended;
                }
            }
            Ok(signal) => {
                let _gone = kill(program, signal);
            }
            Err(_) => {}
        }
    }
}

fn reap(program: Pid) -> Option<JailExit> {
    loop {
        let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return None,
            Err(Errno::EINTR) => continue,
            // Nobody is left, the program neither.
            Err(_) => return Some(JailExit { code: None, signal: None }),
            Ok(status) => status,
        };
        if status.pid() == Some(program)
            && let Some(ended) = JailExit::of(status)
        {
            return Some(ended);
        }
    }
}

fn to_bytes(ended: JailExit) -> Vec<u8> {
    let (kind, number) = match (ended.code, ended.signal) {
        (Some(code), _) => (BY_ITSELF, code),
        (None, Some(signal)) => (BY_SIGNAL, signal),
        (None, None) => return Vec::new(),
    };
    [&[kind][..], &number.to_le_bytes()].concat()
}

/// What the first process said; `None` when it was killed before it could.
pub(super) fn said(exit: OwnedFd) -> Option<JailExit> {
    let mut bytes = [0; 5];
    let mut file = std::fs::File::from(exit);
    file.read_exact(&mut bytes).ok()?;
    let number = i32::from_le_bytes(bytes[1..].try_into().ok()?);
    match bytes[0] {
        BY_ITSELF => Some(JailExit { code: Some(number), signal: None }),
        BY_SIGNAL => Some(JailExit { code: None, signal: Some(number) }),
        _ => None,
    }
}
