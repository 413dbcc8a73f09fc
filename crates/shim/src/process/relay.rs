//! The way out of a box with a network of its own: its listener leads to the first server that answers.
//!
//! Owns: accepting, and who is joined to whom. Never: looks into what passes.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::names::{self, Resolving};
use super::pair::{Pair, State};

/// Connections at a time; more wait in the kernel's queue.
const LIMIT: usize = 64;
/// Names are not asked for more often than this.
const ASK_INTERVAL: Duration = Duration::from_secs(2);

/// All connections of one box.
pub(super) struct Relay {
    listener: TcpListener,
    servers: Vec<String>,
    addresses: Vec<SocketAddr>,
    resolving: Option<Resolving>,
    asked: Option<Instant>,
    pairs: Vec<Pair>,
}

/// Whose event it is; places hold until [`Relay::sweep`].
#[derive(Clone, Copy)]
pub(super) enum Source {
    Listener,
    Names,
    Pair(usize),
}

impl Relay {
    pub(super) fn new(listener: TcpListener, servers: Vec<String>) -> Self {
        // A listener that cannot be asked without waiting is not asked: see `accept`.
        let _blocking = listener.set_nonblocking(true);
        let mut relay = Self {
            listener,
            servers,
            addresses: Vec::new(),
            resolving: None,
            asked: None,
            pairs: Vec::new(),
        };
        relay.ask(Instant::now());
        relay
    }

    pub(super) fn interests<'a>(&'a self, mut add: impl FnMut(Source, PollFd<'a>)) {
        if let Some(resolving) = &self.resolving {
            add(Source::Names, PollFd::new(&resolving.pipe, PollFlags::IN));
        }
        for (place, pair) in self.pairs.iter().enumerate() {
            pair.interests(|event| add(Source::Pair(place), event));
        }
        if self.pairs.len() < LIMIT && !self.is_waiting_for_names() {
            add(Source::Listener, PollFd::new(&self.listener, PollFlags::IN));
        }
    }

    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        let names = self.resolving.as_ref().map(|resolving| resolving.time_left(now));
        self.pairs.iter().filter_map(|pair| pair.time_left(now)).chain(names).min()
    }

    pub(super) fn handle(&mut self, source: Source) {
        match source {
            Source::Listener => self.accept(),
            Source::Names => self.hear_names(Instant::now()),
            Source::Pair(place) => {
                if let Some(pair) = self.pairs.get_mut(place) {
                    pair.go_on(&self.addresses);
                }
            }
        }
    }

    /// Lets go what is through, and looks at the time.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.resolving.as_ref().is_some_and(|resolving| resolving.time_left(now).is_zero()) {
            self.hear_names(now);
        }
        for pair in &mut self.pairs {
            pair.look_at_time(now, &self.addresses);
        }
        let is_unreachable = self.pairs.iter().any(|pair| pair.state() == State::Unreachable);
        self.pairs.retain(|pair| pair.state() == State::Open);
        if is_unreachable {
            self.ask(now);
        }
    }

    fn is_waiting_for_names(&self) -> bool {
        self.addresses.is_empty() && self.resolving.is_some()
    }

    fn accept(&mut self) {
        let Ok((inner, _)) = self.listener.accept() else { return };
        // What cannot be joined is closed, and its owner tries again.
        self.pairs.extend(Pair::new(inner, &self.addresses));
    }

    /// Servers may have moved.
    fn ask(&mut self, now: Instant) {
        if let Some(addresses) = names::literal(&self.servers) {
            self.addresses = addresses;
            return;
        }
        let is_too_soon = self.asked.is_some_and(|asked| now.duration_since(asked) < ASK_INTERVAL);
        if is_too_soon || self.resolving.is_some() {
            return;
        }
        self.asked = Some(now);
        self.resolving = Resolving::ask(&self.servers).ok();
    }

    fn hear_names(&mut self, now: Instant) {
        let Some(resolving) = &mut self.resolving else { return };
        let Some(addresses) = resolving.read(now) else { return };
        if !addresses.is_empty() {
            self.addresses = addresses;
        }
        self.resolving = None;
    }
}
