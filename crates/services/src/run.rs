//! One run of a program: its shim's words, its output, its last lines.
//!
//! Owns: what was heard and read of the run, until its end is known. Never: decides what follows from it.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use nex_api::Time;
use nex_api::log::Stream;
use nex_nexlet::LogFeed;
use nex_sandbox::{Exit, Signal};
use nex_shim::End;
use tokio::time::{Instant, sleep_until};

use crate::shim::{self, Found, Heard, Link};
use crate::spool::{Cutter, Line, Piece, Reader, Source};

/// The level of all lines: programs write to either stream what they like.
const LEVEL: &str = "info";
const SHIM_LEVEL: &str = "warn";
/// What the last event of a job tells (spec: services, section 1).
const LAST_BYTES: usize = 64 * 1024;
/// One that hangs up on us this often is not worth more.
const MOST_RECONNECTS: u32 = 100;

/// A program that runs, or whose end is being read.
#[derive(Debug)]
pub(crate) struct Run {
    folder: PathBuf,
    id: String,
    link: Option<Link>,
    output: Output,
    n_reconnects: u32,
    /// What was asked of it, to be asked again of a shim that was lost meanwhile.
    asked: Option<Asked>,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Signal(Signal),
    Kill,
}

/// What is to be done about a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Call [`Run::pump`].
    Output,
    /// Call [`Run::over`].
    Over,
    /// Memory in bytes, processor in microseconds, processes.
    Usage { memory: u64, cpu: u64, pids: u64 },
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Over {
    /// It goes on: only the connection was lost.
    GoesOn,
    Ended(End),
    /// Nobody can tell how: its shim was killed, or the machine was.
    Lost,
}

#[derive(Debug)]
struct Output {
    reader: Option<Reader>,
    cutter: Cutter,
    last: Last,
    logs: LogFeed,
}

impl Run {
    /// Of a program whose shim is connected, or that has ended already with its output taken up to
    /// `taken`. What it wrote before is given away.
    pub(crate) async fn begin(
        folder: PathBuf,
        id: String,
        link: Result<Link, u64>,
        logs: LogFeed,
    ) -> Self {
        let (link, taken) = match link {
            Ok(link) => {
                let taken = link.taken;
                (Some(link), taken)
            }
            Err(taken) => (None, taken),
        };
        let output = Output::new(Reader::new(shim::spool(&folder), taken), logs);
        let mut run = Self { folder, id, link, output, n_reconnects: 0, asked: None };
        run.pump().await;
        run
    }

    /// Waits until there is something to do. Cancel-safe.
    pub(crate) async fn told(&mut self) -> Told {
        let Some(link) = &mut self.link else { return Told::Over };
        let due = self.output.cutter.due();
        let line_waits = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            heard = link.hear() => match heard {
                Heard::Grown => Told::Output,
                Heard::Usage { memory, cpu, pids } => Told::Usage { memory, cpu, pids },
                Heard::Over => Told::Over,
            },
            () = line_waits => Told::Output,
        }
    }

    /// Gives away what was written so far.
    pub(crate) async fn pump(&mut self) {
        let Some(link) = &mut self.link else { return };
        self.output.read(link.end).await;
        self.output.flush(Some(Instant::now()));
        link.take(self.output.taken()).await;
    }

    /// Its shim says no more: finds out why, and reads the rest of the output of what has ended.
    pub(crate) async fn over(&mut self) -> Over {
        self.link = None;
        match shim::find(&self.folder, &self.id).await {
            Found::Runs(link, _) if self.n_reconnects < MOST_RECONNECTS => {
                self.n_reconnects += 1;
                self.link = Some(link);
                match self.asked {
                    Some(Asked::Kill) => self.kill().await,
                    Some(Asked::Signal(signal)) => self.signal(signal).await,
                    None => {}
                }
                self.pump().await;
                Over::GoesOn
            }
            Found::Runs(..) | Found::Lost => {
                self.drain(u64::MAX).await;
                Over::Lost
            }
            Found::Ended(end) => {
                self.drain(end.spool_end).await;
                Over::Ended(end)
            }
        }
    }

    pub(crate) async fn signal(&mut self, signal: Signal) {
        self.asked = Some(Asked::Signal(signal));
        if let Some(link) = &mut self.link {
            link.signal(signal).await;
        }
    }

    pub(crate) async fn kill(&mut self) {
        self.asked = Some(Asked::Kill);
        if let Some(link) = &mut self.link {
            link.kill().await;
        }
    }

    pub(crate) async fn ask_usage(&mut self) {
        if let Some(link) = &mut self.link {
            link.ask_usage().await;
        }
    }

    /// The last lines, at most so many bytes.
    pub(crate) fn last_output(&self, most: usize) -> String {
        self.output.last.text(most)
    }

    async fn drain(&mut self, end: u64) {
        self.output.read(end).await;
        self.output.flush(None);
    }
}

impl Output {
    fn new(reader: Reader, logs: LogFeed) -> Self {
        Self { reader: Some(reader), cutter: Cutter::new(), last: Last::default(), logs }
    }

    /// Everything up to `end` that is there.
    async fn read(&mut self, end: u64) {
        while let Some(mut reader) = self.reader.take_if(|reader| reader.position() < end) {
            let reading = move || {
                let pieces = reader.read(end);
                (reader, pieces)
            };
            let read = tokio::task::spawn_blocking(reading).await.map_err(io::Error::other);
            let pieces = match read {
                Ok((reader, pieces)) => {
                    self.reader = Some(reader);
                    pieces
                }
                Err(error) => Err(error),
            };
            match pieces {
                Ok(pieces) if pieces.is_empty() => return,
                Ok(pieces) => self.give(&pieces),
                Err(error) => {
                    tracing::error!(%error, "a program's output cannot be read");
                    return;
                }
            }
        }
    }

    fn give(&mut self, pieces: &[Piece]) {
        let now = Instant::now();
        let Self { cutter, last, logs, .. } = self;
        for piece in pieces {
            cutter.push(piece, now, &mut |line| emit(logs, last, &line));
        }
    }

    fn flush(&mut self, now: Option<Instant>) {
        let Self { cutter, last, logs, .. } = self;
        cutter.flush(now, &mut |line| emit(logs, last, &line));
    }

    fn taken(&self) -> u64 {
        self.cutter.taken(self.reader.as_ref().map_or(0, Reader::position))
    }
}

fn emit(logs: &LogFeed, last: &mut Last, line: &Line<'_>) {
    last.push(line.bytes);
    let time = Time::from_unix_nanos(i128::from(line.time) * 1000);
    match line.source {
        Source::Program(stream) => logs.line_at(time, stream, LEVEL, line.bytes),
        Source::Shim => logs.line_at(time, Stream::Stderr, SHIM_LEVEL, line.bytes),
    }
}

/// The last lines, of both streams.
#[derive(Debug, Default)]
struct Last {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Last {
    fn push(&mut self, line: &[u8]) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_vec());
        while self.bytes > LAST_BYTES
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len() + 1;
        }
    }

    fn text(&self, most: usize) -> String {
        let mut room = most;
        let fits = |line: &&Vec<u8>| {
            let fits = line.len() < room;
            room = room.saturating_sub(line.len() + 1);
            fits
        };
        let mut lines: Vec<_> = self.lines.iter().rev().take_while(fits).collect();
        lines.reverse();
        let lines: Vec<_> = lines.into_iter().map(|line| String::from_utf8_lossy(line)).collect();
        lines.join("\n")
    }
}

/// How a program ended, for people.
pub(crate) fn exit_text(end: &End) -> String {
    let exit = match (end.code, end.signal) {
        (Some(code), _) => Exit::Code(code).to_string(),
        (None, Some(signal)) => Exit::Signal(signal).to_string(),
        (None, None) => "not known".to_owned(),
    };
    if end.out_of_memory { format!("{exit} (out of memory)") } else { exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole_and_bounded() {
        let mut last = Last::default();
        for n in 0..20_000 {
            last.push(format!("line {n}").as_bytes());
        }
        assert!(last.bytes <= LAST_BYTES && last.lines.len() > 1000);
        assert_eq!(last.text(24), "line 19998\nline 19999");
        assert_eq!(last.text(5), "");
        last.push(&vec![b'x'; LAST_BYTES * 2]);
        assert!(last.lines.is_empty());
    }

    #[test]
    fn out_of_memory_is_told_apart() {
        let end = End { signal: Some(9), out_of_memory: true, ..End::default() };
        assert_eq!(exit_text(&end), "SIGKILL (out of memory)");
        assert_eq!(exit_text(&End { code: Some(7), ..End::default() }), "exit code 7");
    }
}
