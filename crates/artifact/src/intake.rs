//! Bytes on their way into the cache: hashed and counted while they are written.
//!
//! Owns: the writer, and hashing of a file that is there. Never: decides where a file goes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use nex_types::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWrite;

/// A file that is written, with the SHA-256 of what was.
#[derive(Debug)]
pub(crate) struct Intake {
    file: tokio::fs::File,
    hasher: Sha256,
    size: u64,
}

impl Intake {
    pub(crate) fn new(file: File) -> Self {
        Self { file: tokio::fs::File::from_std(file), hasher: Sha256::new(), size: 0 }
    }

    /// Flushed by its writer before.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest::from_raw(self.hasher.finalize().into()), self.size)
    }
}

impl AsyncWrite for Intake {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.file).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n_written)) = written {
            self.hasher.update(bytes.get(..n_written).unwrap_or(bytes));
            self.size += n_written as u64;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(cx)
    }
}

/// Hashes a file, which is never in memory as a whole; returns its size too. Blocks on the disk.
///
/// # Errors
/// When it cannot be read.
pub fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let n_read = file.read(&mut buffer)?;
        if n_read == 0 {
            return Ok((Digest::from_raw(hasher.finalize().into()), size));
        }
        hasher.update(buffer.get(..n_read).unwrap_or_default());
        size += n_read as u64;
    }
}
