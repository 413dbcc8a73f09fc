//! The nexlets' own output: files that outlive the node, and the node's log when it is there.
//!
//! Owns: reading what was appended, and cutting the file when it is long and read. Never: makes a
//! nexlet wait, or shows again what an earlier node has shown.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

const POLL: Duration = Duration::from_millis(200);
/// Past this the file is cut once it has been read. What is appended in that very moment may be lost.
const LONGEST_FILE: u64 = 1024 * 1024;
/// A line that goes to the node's log; the rest of a longer one is cut.
const LONGEST_LINE: usize = 4096;

/// Shows what `nexlet` appends to `path` from now on, until `token` is cancelled.
pub(crate) async fn show(nexlet: String, path: PathBuf, token: CancellationToken) {
    let mut spool = match Spool::at_end(&path) {
        Ok(spool) => spool,
        Err(error) => {
            return tracing::warn!(nexlet, %error, "output of the nexlet is not shown");
        }
    };
    let mut is_last = false;
    while !is_last {
        is_last = token.is_cancelled();
        match spool.lines() {
            Ok(lines) => {
                for line in lines {
                    tell(&nexlet, &line);
                }
            }
            Err(error) => tracing::warn!(nexlet, %error, "output of the nexlet cannot be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = token.cancelled() => {}
        }
    }
}

/// An error of a nexlet is one of the node too: whoever sees only these must not miss it.
fn tell(nexlet: &str, line: &str) {
    match line.split_whitespace().nth(1) {
        Some("ERROR") => tracing::error!(nexlet, line, "nexlet says"),
        _ => tracing::info!(nexlet, line, "nexlet says"),
    }
}

#[derive(Debug)]
struct Spool {
    file: File,
    read_to: u64,
    /// The beginning of a line whose end has not been written yet.
    partial: Vec<u8>,
}

impl Spool {
    fn at_end(path: &PathBuf) -> io::Result<Self> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let read_to = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, read_to, partial: Vec::new() })
    }

    fn lines(&mut self) -> io::Result<Vec<String>> {
        let length = self.file.metadata()?.len();
        if length < self.read_to {
            // The nexlet cut it itself.
            self.read_to = 0;
        }
        self.file.seek(SeekFrom::Start(self.read_to))?;
        let mut bytes = std::mem::take(&mut self.partial);
        let n = (&self.file).take(LONGEST_FILE).read_to_end(&mut bytes)?;
        self.read_to += u64::try_from(n).unwrap_or(u64::MAX);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.partial = bytes.split_off(whole);
        self.partial.truncate(LONGEST_LINE);
        if self.read_to > LONGEST_FILE && self.read_to == self.file.metadata()?.len() {
            self.file.set_len(0)?;
            self.read_to = 0;
        }
        let cut = |line: &[u8]| {
            String::from_utf8_lossy(line.get(..LONGEST_LINE).unwrap_or(line)).into_owned()
        };
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines.map(cut).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_what_is_new_is_shown_in_whole_lines_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "shown before\n").unwrap();
        let mut writer = File::options().append(true).open(&path).unwrap();
        let mut spool = Spool::at_end(&path).unwrap();
        writer.write_all(b"one\ntw").unwrap();
        assert_eq!(spool.lines().unwrap(), ["one"]);
        writer.write_all(b"o\n").unwrap();
        assert_eq!(spool.lines().unwrap(), ["two"]);
        writer.write_all(&[vec![b'x'; 1100 * 1024], b"\n".to_vec()].concat()).unwrap();
        while std::fs::metadata(&path).unwrap().len() > 0 {
            spool.lines().unwrap();
        }
        writer.write_all(b"after\n").unwrap();
        assert_eq!(spool.lines().unwrap().last().map(String::as_str), Some("after"));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 6);
    }
}
