//! The loop: output into the spool, words to and from nexlets, connections through the relay, until the end.
//!
//! Owns: what happens on which event, and the order at the end. Never: waits for anything but events.
//!
//! ```text
//! running ── program ended ──► ending: kill the rest, read the pipes out ──► end.json, gone
//! ```
//! Each turn does a little for everyone, so that a flood holds up neither signals, nor words, nor the end.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nex_sandbox::Signal;
use nex_sandbox::detach::{Signals, reap_orphans};
use nex_sandbox::jail::{Jail, JailExit};
use nex_shim::{END_FILE, End, FromShim, ToShim, VERSION};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connections::Connections;
use super::relay::{self, Relay};
use super::spool::{Spool, TEXT_LIMIT};
use super::{folder, now};

/// Between two words about the spool's end.
const GROWN_INTERVAL: Duration = Duration::from_millis(5);
/// Pipes that someone outside the tree holds are given up after this.
const PIPES_BOUND: Duration = Duration::from_secs(1);
/// What is left of the tree has this long to go.
const TREE_BOUND: Duration = Duration::from_secs(5);
/// Reads of one pipe in one turn.
const READS: usize = 4;

/// What a life is made of.
pub(super) struct Parts {
    pub(super) jail: Jail,
    pub(super) signals: Signals,
    pub(super) listener: UnixListener,
    pub(super) spool: Spool,
    pub(super) relay: Option<Relay>,
    /// Microseconds since 1970.
    pub(super) started: u64,
}

/// The life of one program's shim.
pub(super) struct Life {
    jail: Jail,
    signals: Signals,
    connections: Connections,
    spool: Spool,
    relay: Option<Relay>,
    started: u64,
    stdout: Option<File>,
    stderr: Option<File>,
    told: Instant,
    ending: Option<Ending>,
}

struct Ending {
    exit: JailExit,
    since: Instant,
    ended: u64,
    has_children: bool,
}

/// Whose event it is.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Program,
    Stdout,
    Stderr,
    Connection(usize),
    Relay(relay::Source),
    /// Last, since it may let another go, and then they have other places.
    Listener,
}

impl Life {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { mut jail, signals, listener, spool, relay, started } = parts;
        let stdout = jail.take_stdout().and_then(reader);
        let stderr = jail.take_stderr().and_then(reader);
        let connections = Connections::new(listener);
        let told = Instant::now();
        let ending = None;
        Self { jail, signals, connections, spool, relay, started, stdout, stderr, told, ending }
    }

    pub(super) fn run(mut self) {
        while !self.is_over() {
            let events = self.wait();
            if events.is_empty() && self.ending.is_some() {
                self.reap();
            }
            for (source, flags) in events {
                self.handle(source, flags);
            }
            let now = Instant::now();
            if let Some(relay) = &mut self.relay {
                relay.sweep(now);
            }
            self.tell_growth(now);
            self.connections.sweep(now);
        }
        self.finish();
    }

    fn is_over(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| {
            let waited = ending.since.elapsed();
            let has_pipes = self.stdout.is_some() || self.stderr.is_some();
            (!has_pipes || waited >= PIPES_BOUND) && (!ending.has_children || waited >= TREE_BOUND)
        })
    }

    fn wait(&self) -> Vec<(Source, PollFlags)> {
        let mut sources = Vec::new();
        let mut events = Vec::new();
        let mut add = |source: Source, event| {
            sources.push(source);
            events.push(event);
        };
        add(Source::Signals, PollFd::new(&self.signals, PollFlags::IN));
        if self.ending.is_none() {
            add(Source::Program, PollFd::from_borrowed_fd(self.jail.end(), PollFlags::IN));
        }
        for (source, pipe) in [(Source::Stdout, &self.stdout), (Source::Stderr, &self.stderr)] {
            if let Some(pipe) = pipe {
                add(source, PollFd::new(pipe, PollFlags::IN));
            }
        }
        for (place, connection) in self.connections.open.iter().enumerate() {
            let output = if connection.is_behind() { PollFlags::OUT } else { PollFlags::empty() };
            let event = PollFd::new(&connection.stream, PollFlags::IN | output);
            add(Source::Connection(place), event);
        }
        if let Some(relay) = &self.relay {
            relay.interests(|source, event| add(Source::Relay(source), event));
        }
        add(Source::Listener, PollFd::new(&self.connections.listener, PollFlags::IN));
        if poll(&mut events, self.timeout().as_ref()).is_err() {
            return Vec::new();
        }
        let flags = events.iter().map(PollFd::revents);
        sources.into_iter().zip(flags).filter(|(_, flags)| !flags.is_empty()).collect()
    }

    fn timeout(&self) -> Option<Timespec> {
        let growth = self.owes_growth().then(|| GROWN_INTERVAL.saturating_sub(self.told.elapsed()));
        let ending = self.ending.as_ref().map(|ending| {
            let bound = if ending.has_children { TREE_BOUND } else { PIPES_BOUND };
            // A tree that is killed is looked at again even when no signal tells of it.
            bound.saturating_sub(ending.since.elapsed()).min(Duration::from_millis(50))
        });
        let relay = self.relay.as_ref().and_then(|relay| relay.timeout(Instant::now()));
        let nearest = [growth, ending, relay].into_iter().flatten().min()?;
        Timespec::try_from(nearest).ok()
    }

    fn handle(&mut self, source: Source, flags: PollFlags) {
        match source {
            Source::Signals => self.hear_signals(),
            Source::Program => self.program_ended(),
            Source::Stdout => read_pipe(&mut self.stdout, 1, &mut self.spool),
            Source::Stderr => read_pipe(&mut self.stderr, 2, &mut self.spool),
            Source::Connection(place) => self.hear(place, flags),
            Source::Relay(source) => {
                if let Some(relay) = &mut self.relay {
                    relay.handle(source);
                }
            }
            Source::Listener => self.connections.accept(),
        }
    }

    fn hear_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::SIGCHLD => self.reap(),
                Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT => {
                    self.jail.signal(Signal::SIGTERM);
                }
                _ => {}
            }
        }
    }

    fn reap(&mut self) {
        let Some(ending) = &mut self.ending else {
            reap_orphans(Some(self.jail.pid()));
            return;
        };
        ending.has_children = reap_orphans(None);
        if ending.has_children {
            self.jail.kill();
        }
    }

    /// The first process has ended; whatever it left behind ends with it.
    fn program_ended(&mut self) {
        self.jail.kill();
        let exit = self.jail.reap().unwrap_or(JailExit { code: None, signal: None });
        let ending = Ending { exit, since: Instant::now(), ended: now(), has_children: true };
        self.ending = Some(ending);
        self.relay = None;
        self.reap();
    }

    fn hear(&mut self, place: usize, flags: PollFlags) {
        let Some(connection) = self.connections.open.get_mut(place) else { return };
        if flags.contains(PollFlags::OUT) {
            connection.flush();
        }
        if !flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            return;
        }
        for word in connection.hear() {
            self.obey(place, &word);
        }
    }

    fn obey(&mut self, place: usize, word: &ToShim) {
        match *word {
            ToShim::Hello(version) => self.greet(place, version),
            ToShim::Signal(number) => {
                if let Ok(signal) = Signal::try_from(number)
                    && self.ending.is_none()
                {
                    self.jail.signal(signal);
                }
            }
            ToShim::Kill => self.jail.kill(),
            ToShim::Taken(offset) if offset <= self.spool.end() => self.spool.take(offset),
            ToShim::Taken(_) => {
                if let Some(connection) = self.connections.open.get_mut(place) {
                    connection.refuse();
                }
            }
            ToShim::Usage => self.say_usage(place),
        }
    }

    fn greet(&mut self, place: usize, version: u32) {
        let end = self.spool.end();
        let version = version.min(VERSION);
        if let Some(connection) = self.connections.open.get_mut(place) {
            connection.told = end;
            connection.say(&FromShim::Hello { version, taken: self.spool.taken(), end });
        }
    }

    fn say_usage(&mut self, place: usize) {
        let usage = self.jail.usage();
        if let Some(connection) = self.connections.open.get_mut(place) {
            connection.say(&FromShim::Usage {
                memory: usage.memory.unwrap_or_default(),
                cpu: usage.cpu_micros.unwrap_or_default(),
                pids: usage.pids.unwrap_or_default(),
            });
        }
    }

    fn owes_growth(&self) -> bool {
        let end = self.spool.end();
        self.connections.open.iter().any(|connection| {
            connection.is_greeted && connection.told != end && !connection.is_behind()
        })
    }

    /// One that reads slowly is told the newest end when it has read the last.
    fn tell_growth(&mut self, now: Instant) {
        if now.saturating_duration_since(self.told) < GROWN_INTERVAL || !self.owes_growth() {
            return;
        }
        self.told = now;
        let end = self.spool.end();
        for connection in &mut self.connections.open {
            if connection.is_greeted && connection.told != end && !connection.is_behind() {
                connection.told = end;
                connection.say(&FromShim::Grown(end));
            }
        }
    }

    /// In this order: who sees `end.json` finds the spool complete, and who hears `ended` finds `end.json`.
    fn finish(mut self) {
        self.spool.finish(now());
        let Some(ending) = self.ending.take() else { return };
        let usage = self.jail.usage();
        let end = End {
            code: ending.exit.code,
            signal: ending.exit.signal,
            out_of_memory: usage.out_of_memory,
            out_of_pids: usage.out_of_pids,
            started: self.started,
            ended: ending.ended,
            memory_peak: usage.memory_peak,
            cpu: usage.cpu_micros,
            spool_end: self.spool.end(),
            taken: self.spool.taken(),
        };
        // A group that will not go is swept by name later.
        let _left = self.jail.close();
        if folder::write(END_FILE, &end).is_err() {
            // How it ended is worth more than its oldest output.
            self.spool.shrink();
            let _no_room = folder::write(END_FILE, &end);
        }
        // Before anybody hears of the end: the next run's shim makes files of the same names.
        folder::clear();
        self.connections.say_to_all(&FromShim::Grown(end.spool_end));
        self.connections.say_to_all(&FromShim::Ended);
    }
}

/// A pipe that is read without waiting.
fn reader(pipe: OwnedFd) -> Option<File> {
    rustix::io::ioctl_fionbio(&pipe, true).ok()?;
    Some(pipe.into())
}

fn read_pipe(pipe: &mut Option<File>, stream: u8, spool: &mut Spool) {
    let mut buffer = [0; TEXT_LIMIT];
    for _ in 0..READS {
        let Some(file) = pipe else { return };
        match file.read(&mut buffer) {
            Ok(0) => *pipe = None,
            Ok(length) => {
                spool.append(now(), stream, buffer.get(..length).unwrap_or_default());
                if length < TEXT_LIMIT {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => *pipe = None,
        }
    }
}
