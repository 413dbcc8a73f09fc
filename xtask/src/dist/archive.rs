//! A tar archive in memory, and its compression by `gzip`.
//!
//! Owns: the header of the ustar format, the order of entries, and whose they are: nobody's. Never: reads the
//! time, the user or the umask of the machine, so that equal entries give equal bytes.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

const BLOCK: usize = 512;
const MOST_NAME: usize = 100;

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) bytes: Vec<u8>,
}

/// How hard `gzip` tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compression(u8);

impl Compression {
    pub(super) const BEST: Self = Self(9);
    #[cfg(test)]
    pub(super) const FAST: Self = Self(1);
}

/// The archive, with its entries in the order of their paths.
pub(super) fn tar(mut entries: Vec<Entry>, time: u64) -> anyhow::Result<Vec<u8>> {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let mut tar = Vec::new();
    for entry in &entries {
        tar.extend_from_slice(&header(entry, time)?);
        tar.extend_from_slice(&entry.bytes);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    // The format ends with two empty blocks.
    tar.resize(tar.len() + 2 * BLOCK, 0);
    Ok(tar)
}

/// Fields of fixed places, numbers in octal.
fn header(entry: &Entry, time: u64) -> anyhow::Result<[u8; BLOCK]> {
    let Entry { path, mode, bytes } = entry;
    ensure!(path.len() < MOST_NAME, "the path {path} is too long for the archive");
    let (mode, size, time) =
        (format!("{mode:07o}"), format!("{:011o}", bytes.len()), format!("{time:011o}"));
    ensure!(
        size.len() == 11 && time.len() == 11,
        "{path} is too large for the archive, or too new"
    );
    let mut header = [0; BLOCK];
    for (at, text) in [
        (0, path.as_str()),
        (100, &mode),
        (108, "0000000"),
        (116, "0000000"),
        (124, &size),
        (136, &time),
        // The sum is taken with blanks in its own place.
        (148, "        "),
        (156, "0"),
        (257, "ustar\u{0}00"),
        (265, "root"),
        (297, "root"),
    ] {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\u{0} ").as_bytes());
    Ok(header)
}

/// Without name and time in its own header.
pub(super) fn compress(bytes: &[u8], compression: Compression) -> anyhow::Result<Vec<u8>> {
    let mut gzip = Command::new("gzip");
    gzip.args(["--no-name", "--stdout", &format!("-{}", compression.0)]);
    gzip.env_remove("GZIP").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut gzip = gzip.spawn().context("cannot run gzip: install it")?;
    let mut input = gzip.stdin.take().context("gzip has no standard input")?;
    let output = std::thread::scope(|scope| {
        // Beside the reading, or both would wait for the other when the pipes are full.
        let writer = scope.spawn(move || input.write_all(bytes));
        let output = gzip.wait_with_output();
        writer.join().map_err(|_| anyhow::anyhow!("the writing to gzip panicked"))??;
        anyhow::Ok(output?)
    })?;
    if !output.status.success() {
        bail!("gzip failed ({})", output.status);
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, bytes: usize) -> Entry {
        Entry { path: path.to_owned(), mode: 0o644, bytes: vec![b'x'; bytes] }
    }

    #[test]
    fn equal_entries_give_equal_bytes_in_whatever_order_they_come() {
        let one = tar(vec![entry("n/a", 3), entry("n/b", 512)], 1_700_000_000).unwrap();
        let other = tar(vec![entry("n/b", 512), entry("n/a", 3)], 1_700_000_000).unwrap();
        assert_eq!(one, other);
        // A header and a block each, and the end.
        assert_eq!(one.len(), BLOCK * 6);
        assert_ne!(one, tar(vec![entry("n/a", 3), entry("n/b", 512)], 1).unwrap());
    }

    #[test]
    fn compression_is_the_same_each_time() {
        let bytes = vec![7; 1 << 20];
        let compressed = compress(&bytes, Compression::BEST).unwrap();
        assert_eq!(compressed, compress(&bytes, Compression::BEST).unwrap());
        assert!(compressed.len() < bytes.len() / 100);
    }

    #[test]
    fn a_path_that_would_be_cut_is_refused() {
        let refused = tar(vec![entry(&"x".repeat(MOST_NAME), 0)], 1).unwrap_err();
        assert!(refused.to_string().contains("too long"), "{refused}");
    }
}
