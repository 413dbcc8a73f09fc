//! Standard streams of WASI commands, held in memory.
//!
//! Owns: collecting stdout whole, and passing stderr to the log line by line as it is written.
//! Never: touches the process's own streams.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use nex_functions::runtime::{GuestLog, Level};
use nex_types::unfinished_character;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::limits::MemoryLimitReached;

/// Longest line of stderr that is held back for its end; a longer one is passed on in parts.
const MAX_LINE: usize = 16 * 1024;

/// What one write may bring; only tells the guest how much to offer at a time.
const WRITE_SIZE: usize = 1024 * 1024;

/// Most bytes that a command may write to stdout, whatever its memory limit.
const MAX_STDOUT: u64 = 64 * 1024 * 1024;

/// Most bytes that a command with this memory limit may write to stdout.
pub(crate) fn max_stdout(memory_limit: u64) -> usize {
    usize::try_from(memory_limit.min(MAX_STDOUT)).unwrap_or(usize::MAX)
}

/// Where written bytes go.
pub(crate) trait Sink: Send + 'static {
    fn write(&mut self, bytes: &[u8]) -> Result<(), MemoryLimitReached>;
}

/// The guest's stdout, up to a limit.
#[derive(Debug)]
pub(crate) struct Collected {
    bytes: BytesMut,
    limit: usize,
}

/// The guest's stderr.
#[derive(Debug)]
pub(crate) struct Lines {
    rest: Vec<u8>,
    logs: Arc<dyn GuestLog>,
}

/// A stream that writes to `S`; clones share it.
#[derive(Debug)]
pub(crate) struct Pipe<S>(Arc<Mutex<S>>);

impl Pipe<Collected> {
    pub(crate) fn collect(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Collected { bytes: BytesMut::new(), limit })))
    }

    pub(crate) fn take(&self) -> Bytes {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut collected.bytes).freeze()
    }
}

impl Pipe<Lines> {
    pub(crate) fn lines(logs: Arc<dyn GuestLog>) -> Self {
        Self(Arc::new(Mutex::new(Lines { rest: Vec::new(), logs })))
    }

    /// Passes on a line that has no end: a call is over, and its instance goes on.
    pub(crate) fn flush_line(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
}

impl Sink for Collected {
    fn write(&mut self, bytes: &[u8]) -> Result<(), MemoryLimitReached> {
        if bytes.len() > self.limit.saturating_sub(self.bytes.len()) {
            return Err(MemoryLimitReached);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Sink for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<(), MemoryLimitReached> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.pass_on();
            } else if self.rest.len() >= MAX_LINE {
                // A character that is not whole waits for its rest.
                let whole = self.rest.len() - unfinished_character(&self.rest);
                let unfinished = self.rest.split_off(whole);
                self.pass_on();
                self.rest = unfinished;
            }
        }
        Ok(())
    }
}

impl Lines {
    fn pass_on(&mut self) {
        let line = String::from_utf8_lossy(&self.rest);
        self.logs.line(Level::Info, line.trim_end_matches(['\n', '\r']));
        self.rest.clear();
    }

    fn flush(&mut self) {
        if !self.rest.is_empty() {
            self.pass_on();
        }
    }
}

/// A line without an end is a line too, also when the guest was stopped.
impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

impl<S: Sink> Pipe<S> {
    fn put(&self, bytes: &[u8]) -> Result<(), MemoryLimitReached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }
}

impl<S> Clone for Pipe<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Sink> StdoutStream for Pipe<S> {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl<S> IsTerminal for Pipe<S> {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl<S: Sink> OutputStream for Pipe<S> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.put(&bytes).map_err(|limit| StreamError::Trap(limit.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_SIZE)
    }
}

#[async_trait]
impl<S: Sink> Pollable for Pipe<S> {
    async fn ready(&mut self) {}
}

impl<S: Sink> AsyncWrite for Pipe<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.put(bytes).map(|()| bytes.len());
        Poll::Ready(written.map_err(|limit| io::Error::new(io::ErrorKind::StorageFull, limit)))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
