//! One connection of the box, and the one to the server that it is joined to.
//!
//! Owns: dialling one address after another, and both directions, each with its own end. Never: holds more
//! than one read of either direction.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::is_momentary;

/// One address has this long to answer.
const DIAL_BOUND: Duration = Duration::from_secs(2);
/// One read.
const CHUNK: usize = 16 * 1024;

/// A joined pair, or one that is about to be.
pub(super) struct Pair {
    inner: TcpStream,
    outer: Outer,
    to_outer: Direction,
    to_inner: Direction,
    state: State,
}

/// How it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Both ends are through.
    Done,
    /// No address answered.
    Unreachable,
}

enum Outer {
    Dialling { stream: TcpStream, next: usize, deadline: Instant },
    Joined(TcpStream),
    None,
}

#[derive(Default)]
struct Direction {
    waiting: Vec<u8>,
    is_read_out: bool,
    is_shut: bool,
}

impl Pair {
    pub(super) fn new(inner: TcpStream, addresses: &[SocketAddr]) -> io::Result<Self> {
        inner.set_nonblocking(true)?;
        inner.set_nodelay(true)?;
        let mut pair = Self {
            inner,
            outer: Outer::None,
            to_outer: Direction::default(),
            to_inner: Direction::default(),
            state: State::Open,
        };
        pair.dial(addresses, 0);
        Ok(pair)
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn interests<'a>(&'a self, mut add: impl FnMut(PollFd<'a>)) {
        let outer = match &self.outer {
            Outer::Dialling { stream, .. } => return add(PollFd::new(stream, PollFlags::OUT)),
            Outer::None => return,
            Outer::Joined(outer) => outer,
        };
        for (stream, from, to) in
            [(&self.inner, &self.to_outer, &self.to_inner), (outer, &self.to_inner, &self.to_outer)]
        {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, from.wants_read());
            flags.set(PollFlags::OUT, to.wants_write());
            // Without an interest it would be ready for ever once its peer is gone.
            if !flags.is_empty() {
                add(PollFd::new(stream, flags));
            }
        }
    }

    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        match &self.outer {
            Outer::Dialling { deadline, .. } => Some(deadline.saturating_duration_since(now)),
            _ => None,
        }
    }

    /// Something is ready.
    pub(super) fn go_on(&mut self, addresses: &[SocketAddr]) {
        match &self.outer {
            Outer::Dialling { stream, next, .. } => match has_answered(stream) {
                Ok(true) => self.join(),
                Ok(false) => {}
                Err(_) => {
                    let next = *next;
                    self.dial(addresses, next);
                }
            },
            Outer::Joined(_) => self.pump(),
            Outer::None => {}
        }
    }

    /// Gives an address up that does not answer.
    pub(super) fn look_at_time(&mut self, now: Instant, addresses: &[SocketAddr]) {
        if let Outer::Dialling { next, deadline, .. } = &self.outer
            && now >= *deadline
        {
            let next = *next;
            self.dial(addresses, next);
        }
    }

    fn dial(&mut self, addresses: &[SocketAddr], first: usize) {
        for (place, address) in addresses.iter().enumerate().skip(first) {
            if let Ok(stream) = connect(address) {
                let deadline = Instant::now() + DIAL_BOUND;
                self.outer = Outer::Dialling { stream, next: place + 1, deadline };
                return;
            }
        }
        self.outer = Outer::None;
        self.state = State::Unreachable;
    }

    fn join(&mut self) {
        if let Outer::Dialling { stream, .. } = std::mem::replace(&mut self.outer, Outer::None) {
            self.outer = Outer::Joined(stream);
            self.pump();
        }
    }

    fn pump(&mut self) {
        let Outer::Joined(outer) = &self.outer else { return };
        let moved = self
            .to_outer
            .pump(&self.inner, outer)
            .and_then(|()| self.to_inner.pump(outer, &self.inner));
        if moved.is_err() || (self.to_outer.is_shut && self.to_inner.is_shut) {
            self.state = State::Done;
        }
    }
}

impl Direction {
    fn wants_read(&self) -> bool {
        self.waiting.is_empty() && !self.is_read_out
    }

    fn wants_write(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn pump(&mut self, mut from: &TcpStream, to: &TcpStream) -> io::Result<()> {
        self.flush(to)?;
        if self.wants_read() {
            let mut buffer = [0; CHUNK];
            match from.read(&mut buffer) {
                Ok(0) => self.is_read_out = true,
                Ok(length) => {
                    let chunk = buffer.get(..length).unwrap_or_default();
                    let written = write_some(to, chunk)?;
                    self.waiting.extend_from_slice(chunk.get(written..).unwrap_or_default());
                }
                Err(error) if is_momentary(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if self.is_read_out && self.waiting.is_empty() && !self.is_shut {
            self.is_shut = true;
            to.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    fn flush(&mut self, to: &TcpStream) -> io::Result<()> {
        if !self.waiting.is_empty() {
            let written = write_some(to, &self.waiting)?;
            self.waiting.drain(..written);
            if self.waiting.is_empty() {
                // A connection that waits for nothing holds nothing.
                self.waiting = Vec::new();
            }
        }
        Ok(())
    }
}

fn write_some(mut to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match to.write(bytes) {
        Err(error) if is_momentary(&error) => Ok(0),
        written => written,
    }
}

fn connect(address: &SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn has_answered(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
