//! The nexlets that are connected: one, two for a moment, none for a while.
//!
//! Owns: lines in, lines out, and who is dropped. Never: knows what a word does.
//!
//! Nothing here waits for a nexlet. One that says what is no word, or asks and does not read, is dropped;
//! one that has not said hello makes room for the next.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use nex_shim::{FromShim, ToShim};

use super::is_momentary;

/// Connections at a time.
const LIMIT: usize = 4;
/// Bytes of one line, without its newline.
const LINE_LIMIT: usize = 256;
/// Bytes that wait for one nexlet, beyond what the kernel holds.
const OUTPUT_LIMIT: usize = 4096;
/// How long a nexlet may leave them unread.
const PATIENCE: Duration = Duration::from_secs(10);

/// One of them.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    /// Its hello was heard.
    pub(super) is_greeted: bool,
    /// The end of the spool that it was told last.
    pub(super) told: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    stuck: Option<Instant>,
    is_gone: bool,
}

/// All of them.
pub(super) struct Connections {
    pub(super) listener: UnixListener,
    pub(super) open: Vec<Connection>,
}

impl Connections {
    pub(super) fn new(listener: UnixListener) -> Self {
        Self { listener, open: Vec::new() }
    }

    /// Takes one that knocked.
    pub(super) fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        if stream.set_nonblocking(true).is_err() || !is_ours(&stream) {
            return;
        }
        self.open.retain(|connection| !connection.is_gone);
        if self.open.len() >= LIMIT {
            let Some(silent) = self.open.iter().position(|connection| !connection.is_greeted)
            else {
                return;
            };
            drop(self.open.remove(silent));
        }
        self.open.push(Connection::new(stream));
    }

    /// Lets those go that are gone.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.open.retain(|connection| !connection.is_gone && !connection.is_stuck(now));
    }

    /// Tells every nexlet, and does not care who hears it.
    pub(super) fn say_to_all(&mut self, word: &FromShim) {
        for connection in self.open.iter_mut().filter(|connection| connection.is_greeted) {
            connection.say(word);
        }
    }
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            is_greeted: false,
            told: 0,
            input: Vec::new(),
            output: Vec::new(),
            stuck: None,
            is_gone: false,
        }
    }

    /// Whether something waits to be written.
    pub(super) fn is_behind(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads a little, and returns the words in it.
    pub(super) fn hear(&mut self) -> Vec<ToShim> {
        let mut buffer = [0; LINE_LIMIT];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.is_gone = true,
            Ok(length) => self.input.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if is_momentary(&error) => {}
            Err(_) => self.is_gone = true,
        }
        self.words()
    }

    /// Says one word. A nexlet that has not read thousands of bytes of answers is dropped.
    pub(super) fn say(&mut self, word: &FromShim) {
        let line = format!("{word}\n");
        if self.output.len() + line.len() > OUTPUT_LIMIT {
            self.is_gone = true;
            return;
        }
        self.output.extend_from_slice(line.as_bytes());
        self.flush();
    }

    /// Writes what the kernel takes.
    pub(super) fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stuck.get_or_insert_with(Instant::now);
                    return;
                }
                Err(_) => {
                    self.is_gone = true;
                    return;
                }
            }
        }
        self.stuck = None;
    }

    /// It said what no nexlet says.
    pub(super) fn refuse(&mut self) {
        self.is_gone = true;
    }

    fn words(&mut self) -> Vec<ToShim> {
        let mut words = Vec::new();
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).take(end).collect();
            match self.word(&line) {
                Ok(word) => words.extend(word),
                Err(Rubbish) => {
                    self.is_gone = true;
                    return words;
                }
            }
        }
        self.is_gone |= self.input.len() > LINE_LIMIT;
        words
    }

    /// `None`: a word of a later version.
    fn word(&mut self, line: &[u8]) -> Result<Option<ToShim>, Rubbish> {
        let is_text = line.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        let line =
            std::str::from_utf8(line).ok().filter(|line| is_text && line.len() <= LINE_LIMIT);
        let word = line.ok_or(Rubbish)?.parse::<ToShim>().ok();
        match word {
            Some(ToShim::Hello(0)) => Err(Rubbish),
            Some(ToShim::Hello(_)) => {
                self.is_greeted = true;
                Ok(word)
            }
            _ if self.is_greeted => Ok(word),
            _ => Err(Rubbish),
        }
    }

    fn is_stuck(&self, now: Instant) -> bool {
        self.stuck.is_some_and(|since| now.saturating_duration_since(since) > PATIENCE)
    }
}

/// What no nexlet would say.
struct Rubbish;

/// The socket's mode says the same; where the folder is shared by mistake this still holds.
fn is_ours(stream: &UnixStream) -> bool {
    let me = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid == me || peer.uid.is_root())
}
