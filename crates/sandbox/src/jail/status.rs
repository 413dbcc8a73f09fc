//! What a box tells its parent while it is being built.
//!
//! Owns: the pair of sockets and the words on it. Never: builds anything.
//!
//! ```text
//! parent ── go ───────────────────────────────► child    (ids are mapped, limits stand)
//! parent ◄─ alive · listener · failed STEP ──── child    (closed: the program has been executed)
//! ```

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    recvmsg, sendmsg, socketpair,
};

use super::step::Failure;

const GO: u8 = b'g';
const ALIVE: u8 = b'a';
const LISTENER: u8 = b'l';
const FAILED: u8 = b'f';

/// One end.
pub(super) struct Status(OwnedFd);

/// How the building ended, seen from the parent.
pub(super) enum Built {
    /// The program has been executed; for a strict box with its listener.
    Running(Option<OwnedFd>),
    Failed(Failure),
    /// The child ended without a word.
    Silent,
}

/// The parent's end and the child's.
pub(super) fn pair() -> nix::Result<(Status, Status)> {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    let (parent, child) = socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((Status(parent), Status(child)))
}

impl Status {
    /// For the child, which has a copy of the parent's end: with it open it would not see the parent go.
    pub(super) fn close_copy(&self) {
        let _was_closed = nix::unistd::close(self.0.as_raw_fd());
    }

    /// Lets the child begin.
    pub(super) fn go(&self) -> io::Result<()> {
        self.send(&[GO], None)
    }

    /// Waits for [`Status::go`]; a parent that is gone ends it too.
    pub(super) fn wait(&self) -> io::Result<()> {
        match self.receive()? {
            Some((bytes, _)) if bytes == [GO] => Ok(()),
            _ => Err(io::Error::other("the parent is gone")),
        }
    }

    /// Fails when the parent is gone.
    pub(super) fn alive(&self) -> io::Result<()> {
        self.send(&[ALIVE], None)
    }

    pub(super) fn listener(&self, listener: &OwnedFd) -> io::Result<()> {
        self.send(&[LISTENER], Some(listener.as_raw_fd()))
    }

    pub(super) fn failed(&self, failure: &Failure) {
        let mut bytes = vec![FAILED];
        bytes.extend(failure.to_bytes());
        let _parent_is_gone = self.send(&bytes, None);
    }

    /// Listens until the child executes its program or ends.
    pub(super) fn built(&self) -> io::Result<Built> {
        let (mut listener, mut is_alive) = (None, false);
        while let Some((bytes, descriptor)) = self.receive()? {
            match bytes.split_first() {
                Some((&ALIVE, _)) => is_alive = true,
                Some((&LISTENER, _)) => listener = descriptor,
                Some((&FAILED, what)) => return Ok(Built::Failed(Failure::from_bytes(what))),
                _ => {}
            }
        }
        Ok(if is_alive { Built::Running(listener) } else { Built::Silent })
    }

    fn send(&self, bytes: &[u8], descriptor: Option<RawFd>) -> io::Result<()> {
        let descriptors: Vec<RawFd> = descriptor.into_iter().collect();
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let rights = if descriptors.is_empty() { &[] } else { &rights[..] };
        let bytes = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<UnixAddr>(self.0.as_raw_fd(), &bytes, rights, flags, None)?;
        Ok(())
    }

    /// One message; `None` when the other end is closed.
    fn receive(&self) -> io::Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
        let mut buffer = [0; 4096];
        let mut space = nix::cmsg_space!(RawFd);
        let (length, descriptor) = loop {
            let mut bytes = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let received =
                recvmsg::<UnixAddr>(self.0.as_raw_fd(), &mut bytes, Some(&mut space), flags);
            match received {
                Err(Errno::EINTR) => {}
                // The child ended with a message of ours unread.
                Err(Errno::ECONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
                Ok(message) => break (message.bytes, descriptor_in(message.cmsgs()?)),
            }
        };
        Ok((length > 0).then(|| (buffer[..length].to_vec(), descriptor)))
    }
}

fn descriptor_in(messages: impl Iterator<Item = ControlMessageOwned>) -> Option<OwnedFd> {
    let mut first = None;
    for message in messages {
        let ControlMessageOwned::ScmRights(descriptors) = message else { continue };
        for descriptor in descriptors {
            // SAFETY: the kernel has just opened it for us; nobody else knows of it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
            first.get_or_insert(descriptor);
        }
    }
    first
}
