//! The network of a strict box: one loopback interface, and one listener on it that its parent holds.
//!
//! Owns: making both. Never: accepts; whoever holds the listener relays.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
    sockopt,
};

use super::kernel;

/// Where the program finds its NATS server, as anywhere else.
const PORT: u16 = 4222;

/// Raises the loopback interface of this network namespace and listens on it.
pub(super) fn listener() -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    kernel::raise_loopback(socket.as_fd())?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, PORT))?;
    listen(&socket, Backlog::new(128)?)?;
    Ok(socket)
}
