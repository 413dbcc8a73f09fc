//! A program's output, from the spool that its shim keeps on the disk to the log feed.
//!
//! Owns: reading records from an offset on, cutting them into lines per stream, and how far everything was
//! given away. Never: writes to the spool, or waits for whoever takes the lines.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use nex_api::log::Stream;
use tokio::time::Instant;

use crate::output::{Lines, Pushed};

/// A line without its end is shown this long after it began.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// Read at a time, so that many workloads take turns.
const AT_ONCE: usize = 256 * 1024;
/// time, stream, length
const HEAD: usize = 8 + 1 + 4;
/// A shim writes less; more is a damaged file.
const LONGEST_RECORD: usize = 64 * 1024;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Offset of its first byte.
    pub(crate) at: u64,
    /// Microseconds since 1970.
    pub(crate) time: u64,
    pub(crate) source: Source,
    pub(crate) bytes: Vec<u8>,
}

/// Who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Program(Stream),
    /// The shim, about lines that were lost.
    Shim,
}

/// Where to read on.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    folder: PathBuf,
    position: u64,
}

impl Reader {
    pub(crate) fn new(folder: PathBuf, position: u64) -> Self {
        Self { folder, position }
    }

    /// Everything before this was read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next records, at most up to `end`; none when there are none. What the shim removed meanwhile
    /// is passed over; it left a notice. Blocks on the disk.
    pub(crate) fn read(&mut self, end: u64) -> io::Result<Vec<Piece>> {
        if self.position >= end {
            return Ok(Vec::new());
        }
        let starts = self.segments()?;
        let Some(start) = starts.iter().rev().find(|start| **start <= self.position).copied()
        else {
            // Removed before it was read.
            let Some(first) = starts.first() else { return Ok(Vec::new()) };
            self.position = *first;
            return self.read(end);
        };
        let next = starts.iter().find(|other| **other > start).copied();
        let until = next.unwrap_or(end).min(end);
        let mut file = match File::open(self.folder.join(format!("{start:020}"))) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.read_next(next, end);
            }
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.position - start))?;
        let wanted = usize::try_from(until - self.position).unwrap_or(AT_ONCE).min(AT_ONCE);
        let mut bytes = Vec::with_capacity(wanted);
        file.take(wanted as u64).read_to_end(&mut bytes)?;
        let pieces = self.cut(&bytes);
        // A segment that ends before the next begins would never be left.
        if pieces.is_empty()
            && next
                .is_some_and(|next| self.position + bytes.len() as u64 >= next || bytes.is_empty())
        {
            return self.read_next(next, end);
        }
        Ok(pieces)
    }

    fn read_next(&mut self, next: Option<u64>, end: u64) -> io::Result<Vec<Piece>> {
        let Some(next) = next.filter(|next| *next > self.position) else { return Ok(Vec::new()) };
        self.position = next;
        self.read(end)
    }

    /// Offsets at which segments begin, in order.
    fn segments(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut starts: Vec<u64> = names.filter_map(|name| name.parse().ok()).collect();
        starts.sort_unstable();
        Ok(starts)
    }

    /// Whole records; the rest is read again.
    fn cut(&mut self, mut bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some((piece, rest)) = record(bytes, self.position) {
            self.position += (HEAD + piece.bytes.len()) as u64;
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

fn record(bytes: &[u8], at: u64) -> Option<(Piece, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let time = u64::from_le_bytes(head.get(..8)?.try_into().ok()?);
    let source = match head.get(8)? {
        1 => Source::Program(Stream::Stdout),
        2 => Source::Program(Stream::Stderr),
        _ => Source::Shim,
    };
    let length = usize::try_from(u32::from_le_bytes(head.get(9..)?.try_into().ok()?)).ok()?;
    if length > LONGEST_RECORD {
        return None;
    }
    let (text, rest) = rest.split_at_checked(length)?;
    Some((Piece { at, time, source, bytes: text.to_vec() }, rest))
}

/// A line, ready to be given away.
pub(crate) struct Line<'a> {
    /// Microseconds since 1970, when its last part was read.
    pub(crate) time: u64,
    pub(crate) source: Source,
    pub(crate) bytes: &'a [u8],
}

/// Lines of both streams, each with its own unfinished one.
#[derive(Debug)]
pub(crate) struct Cutter {
    stdout: Unfinished,
    stderr: Unfinished,
}

#[derive(Debug)]
struct Unfinished {
    lines: Lines,
    /// Offset of the record in which it began, and when it is shown anyway.
    began: Option<(u64, Instant)>,
    time: u64,
}

impl Cutter {
    pub(crate) fn new() -> Self {
        let fresh = || Unfinished { lines: Lines::usual(), began: None, time: 0 };
        Self { stdout: fresh(), stderr: fresh() }
    }

    /// Gives every line that is whole now.
    pub(crate) fn push(&mut self, piece: &Piece, now: Instant, emit: &mut impl FnMut(Line<'_>)) {
        let source = piece.source;
        let unfinished = match source {
            Source::Program(Stream::Stdout) => &mut self.stdout,
            Source::Program(Stream::Stderr) => &mut self.stderr,
            Source::Shim => {
                let bytes = piece.bytes.trim_ascii_end();
                return emit(Line { time: piece.time, source, bytes });
            }
        };
        let mut give = |bytes: &[u8]| emit(Line { time: piece.time, source, bytes });
        let began = (piece.at, now + PATIENCE);
        unfinished.began = match unfinished.lines.push(&piece.bytes, &mut give) {
            Pushed::Whole => None,
            Pushed::Began => Some(began),
            Pushed::Continued => unfinished.began.or(Some(began)),
        };
        unfinished.time = piece.time;
    }

    /// Gives unfinished lines that waited long enough; all of them when nothing comes any more.
    pub(crate) fn flush(&mut self, now: Option<Instant>, emit: &mut impl FnMut(Line<'_>)) {
        for (unfinished, stream) in
            [(&mut self.stdout, Stream::Stdout), (&mut self.stderr, Stream::Stderr)]
        {
            let Some((_, due)) = unfinished.began else { continue };
            if now.is_none_or(|now| due <= now) {
                let (time, source) = (unfinished.time, Source::Program(stream));
                unfinished.lines.flush(&mut |bytes| emit(Line { time, source, bytes }));
                unfinished.began = None;
            }
        }
    }

    /// When [`Cutter::flush`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        let due = |unfinished: &Unfinished| unfinished.began.map(|(_, due)| due);
        [due(&self.stdout), due(&self.stderr)].into_iter().flatten().min()
    }

    /// Everything before this offset was given away; `position` is how far was read.
    pub(crate) fn taken(&self, position: u64) -> u64 {
        let began = |unfinished: &Unfinished| unfinished.began.map_or(position, |(at, _)| at);
        began(&self.stdout).min(began(&self.stderr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(time: u64, stream: u8, text: &[u8]) -> Vec<u8> {
        let mut bytes = time.to_le_bytes().to_vec();
        bytes.push(stream);
        bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend(text);
        bytes
    }

    fn text(pieces: &[Piece]) -> Vec<String> {
        pieces.iter().map(|it| String::from_utf8(it.bytes.clone()).unwrap()).collect()
    }

    #[test]
    fn records_are_read_on_over_segments_and_halves_wait() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two, three) =
            (bytes(1, 1, b"one\n"), bytes(2, 2, b"two\n"), bytes(3, 1, b"three\n"));
        let first = [one.clone(), two.clone()].concat();
        fs::write(folder.path().join(format!("{:020}", 0)), &first).unwrap();
        let second = folder.path().join(format!("{:020}", first.len()));
        fs::write(&second, &three[..7]).unwrap();
        let mut reader = Reader::new(folder.path().to_owned(), 0);
        let end = (first.len() + three.len()) as u64;
        assert_eq!(text(&reader.read(end).unwrap()), ["one\n", "two\n"]);
        assert!(reader.read(end).unwrap().is_empty());
        fs::write(&second, &three).unwrap();
        assert_eq!(text(&reader.read(end).unwrap()), ["three\n"]);
        assert_eq!(reader.position(), end);
        let mut late = Reader::new(folder.path().to_owned(), one.len() as u64);
        assert_eq!(text(&late.read(end).unwrap()), ["two\n"]);
        fs::remove_file(folder.path().join(format!("{:020}", 0))).unwrap();
        let mut later = Reader::new(folder.path().to_owned(), 0);
        assert_eq!(text(&later.read(end).unwrap()), ["three\n"], "what was removed is passed over");
    }

    #[test]
    fn what_is_no_record_is_not_read_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = bytes(1, 1, b"x");
        damaged[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
        fs::write(folder.path().join(format!("{:020}", 0)), &damaged).unwrap();
        let mut reader = Reader::new(folder.path().to_owned(), 0);
        assert!(reader.read(u64::MAX).unwrap().is_empty());
        let mut nowhere = Reader::new(folder.path().join("none"), 0);
        assert!(nowhere.read(u64::MAX).unwrap().is_empty());
    }

    #[test]
    fn nothing_counts_as_taken_while_a_line_is_unfinished_unless_it_waited_long_enough() {
        let mut cutter = Cutter::new();
        let (start, mut given) = (Instant::now(), Vec::new());
        let piece = |at, stream, text: &[u8]| Piece {
            at,
            time: at,
            source: Source::Program(stream),
            bytes: text.to_vec(),
        };
        let mut emit = |line: Line<'_>| given.push((line.time, line.bytes.to_vec()));
        cutter.push(&piece(0, Stream::Stdout, b"whole\n"), start, &mut emit);
        cutter.push(&piece(20, Stream::Stdout, b"ha"), start, &mut emit);
        cutter.push(&piece(40, Stream::Stderr, b"error\n"), start, &mut emit);
        assert_eq!((cutter.taken(60), cutter.due()), (20, Some(start + PATIENCE)));
        cutter.push(&piece(60, Stream::Stdout, b"lf\nnext"), start, &mut emit);
        assert_eq!(cutter.taken(80), 60);
        cutter.flush(Some(start + PATIENCE), &mut emit);
        assert_eq!((cutter.taken(80), cutter.due()), (80, None));
        let expected: [(u64, &[u8]); 4] =
            [(0, b"whole"), (40, b"error"), (60, b"half"), (60, b"next")];
        assert_eq!(given, expected.map(|(time, bytes)| (time, bytes.to_vec())));
    }
}
