//! From `host:port` to addresses.
//!
//! Owns: asking the resolver in a child. Never: waits for it.
//!
//! In a child, since the resolver blocks, and since the resolver of a static program loads libraries of
//! the host's, which may not fit it; a shim may not end of that.

use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nex_sandbox::detach::in_child;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The resolver's time for all names.
const BOUND: Duration = Duration::from_secs(10);
/// Addresses that are kept.
const LIMIT: usize = 32;
/// Bytes of its answer.
const ANSWER_LIMIT: usize = 4096;

/// A question that is being answered; dropped, it is not asked any more.
pub(super) struct Resolving {
    pub(super) pipe: File,
    /// A handle, since whoever reaps children may have reaped this one.
    child: OwnedFd,
    answer: Vec<u8>,
    deadline: Instant,
}

/// The addresses among `servers` that need no resolver; `None` if some do.
pub(super) fn literal(servers: &[String]) -> Option<Vec<SocketAddr>> {
    servers.iter().take(LIMIT).map(|server| server.parse().ok()).collect()
}

impl Resolving {
    pub(super) fn ask(servers: &[String]) -> io::Result<Self> {
        let (reader, mut writer): (PipeReader, _) = io::pipe()?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        let child = in_child(|| {
            for address in
                servers.iter().filter_map(|server| server.to_socket_addrs().ok()).flatten()
            {
                let _unheard = writeln!(writer, "{address}");
            }
        })?;
        // Not reaped yet: that happens between two events.
        let child = Pid::from_raw(child).ok_or(io::ErrorKind::NotFound)?;
        let child = pidfd_open(child, PidfdFlags::empty())?;
        let pipe = File::from(OwnedFd::from(reader));
        Ok(Self { pipe, child, answer: Vec::new(), deadline: Instant::now() + BOUND })
    }

    /// Reads on; the addresses once they are all there, or the time is over.
    pub(super) fn read(&mut self, now: Instant) -> Option<Vec<SocketAddr>> {
        let mut buffer = [0; 512];
        let is_complete = match self.pipe.read(&mut buffer) {
            Ok(0) => true,
            Ok(length) => {
                self.answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
                self.answer.len() > ANSWER_LIMIT
            }
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
            }
        };
        (is_complete || now >= self.deadline).then(|| self.addresses())
    }

    pub(super) fn time_left(&self, now: Instant) -> Duration {
        self.deadline.saturating_duration_since(now)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let text = String::from_utf8_lossy(&self.answer);
        text.lines().filter_map(|line| line.parse().ok()).take(LIMIT).collect()
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        let _gone = pidfd_send_signal(&self.child, Signal::KILL);
    }
}
