//! Bytes on their way into a bucket: hashed, counted and told of while they are read.
//!
//! Owns: the reader. Never: holds more than a piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use nex_types::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

/// A source of `total` bytes; `progress` gets how many are read, and `total`.
pub(crate) struct Outgoing<R, F> {
    source: R,
    progress: F,
    total: u64,
    done: u64,
    hasher: Sha256,
}

impl<R, F: FnMut(u64, u64)> Outgoing<R, F> {
    pub(crate) fn new(source: R, total: u64, progress: F) -> Self {
        Self { source, progress, total, done: 0, hasher: Sha256::new() }
    }

    /// Of what was read.
    pub(crate) fn digest(self) -> Digest {
        Digest::from_raw(self.hasher.finalize().into())
    }
}

impl<R: AsyncRead + Unpin, F: FnMut(u64, u64) + Unpin> AsyncRead for Outgoing<R, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.source).poll_read(cx, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            this.hasher.update(read);
            this.done += read.len() as u64;
            (this.progress)(this.done, this.total);
        }
        polled
    }
}
