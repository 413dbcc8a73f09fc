//! The connection to a shim that runs.
//!
//! Owns: the words in both directions. Never: waits for a shim that does not read.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use nex_sandbox::Signal;
use nex_shim::{FromShim, OLDEST_VERSION, SOCKET, ToShim, VERSION};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// A shim does nothing that takes long.
const HELLO_BOUND: Duration = Duration::from_secs(5);
const WRITE_BOUND: Duration = Duration::from_secs(2);

/// A connection on which both have said hello.
#[derive(Debug)]
pub(crate) struct Link {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    /// How far the spool had been taken when it was made.
    pub(crate) taken: u64,
    /// Where the spool ends, as far as was heard.
    pub(crate) end: u64,
}

/// What a shim told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// There is more output.
    Grown,
    /// Memory in bytes, processor in microseconds, processes.
    Usage { memory: u64, cpu: u64, pids: u64 },
    /// The program has ended, or the shim has; the folder tells.
    Over,
}

impl Link {
    /// Connects to the shim of `folder`.
    pub(crate) async fn connect(folder: &Path) -> io::Result<Self> {
        // Paths of sockets are short; this one is, wherever the folder may be.
        let handle = File::open(folder)?;
        let path = format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd());
        let (reader, writer) = UnixStream::connect(path).await?.into_split();
        let lines = BufReader::new(reader).lines();
        let mut link = Self { lines, writer, taken: 0, end: 0 };
        let hello = async {
            link.say(&ToShim::Hello(VERSION)).await?;
            while let Some(line) = link.lines.next_line().await? {
                if let Ok(FromShim::Hello { version, taken, end }) = line.parse() {
                    return Ok((version, taken, end));
                }
            }
            Err(io::Error::other("the shim hung up"))
        };
        let hello = tokio::time::timeout(HELLO_BOUND, hello).await;
        let (version, taken, end) =
            hello.map_err(|_| io::Error::other("the shim did not say hello"))??;
        if version < OLDEST_VERSION {
            let message = format!(
                "the shim speaks version {version}, and {OLDEST_VERSION} is the oldest known"
            );
            return Err(io::Error::other(message));
        }
        Ok(Self { taken, end, ..link })
    }

    /// Waits for its next word. Cancel-safe.
    pub(crate) async fn hear(&mut self) -> Heard {
        while let Ok(Some(line)) = self.lines.next_line().await {
            match line.parse() {
                Ok(FromShim::Grown(end)) => {
                    self.end = self.end.max(end);
                    return Heard::Grown;
                }
                Ok(FromShim::Usage { memory, cpu, pids }) => {
                    return Heard::Usage { memory, cpu, pids };
                }
                Ok(FromShim::Ended) => return Heard::Over,
                Ok(FromShim::Hello { .. }) | Err(_) => {}
            }
        }
        Heard::Over
    }

    /// Passes a signal to the program.
    pub(crate) async fn signal(&mut self, signal: Signal) {
        self.tell(&ToShim::Signal(signal as i32)).await;
    }

    /// Ends everything in the box.
    pub(crate) async fn kill(&mut self) {
        self.tell(&ToShim::Kill).await;
    }

    /// Everything before `offset` was given away.
    pub(crate) async fn take(&mut self, offset: u64) {
        if offset > self.taken {
            self.taken = offset;
            self.tell(&ToShim::Taken(offset)).await;
        }
    }

    /// Asks how much is used; heard as [`Heard::Usage`].
    pub(crate) async fn ask_usage(&mut self) {
        self.tell(&ToShim::Usage).await;
    }

    /// A shim that is gone is heard of as [`Heard::Over`].
    async fn tell(&mut self, word: &ToShim) {
        if let Err(error) = self.say(word).await {
            tracing::debug!(%error, "a shim was not told");
        }
    }

    async fn say(&mut self, word: &ToShim) -> io::Result<()> {
        let line = format!("{word}\n");
        let written = tokio::time::timeout(WRITE_BOUND, self.writer.write_all(line.as_bytes()));
        written.await.map_err(|_| io::Error::other("the shim does not read"))?
    }
}
