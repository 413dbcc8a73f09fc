//! What the program wrote, on the disk, bounded.
//!
//! Owns: the segments, and telling what was lost. Never: fails: what finds no room is counted, so that the
//! program goes on.
//!
//! Two segments of half the bound each: when the newer is full the older is deleted, taken or not.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use nex_shim::SPOOL_FOLDER;

/// Bytes before the text of a record: time, stream, length.
const HEAD: usize = 8 + 1 + 4;
/// Text that fits into one record, which is at most 16 KiB.
pub(super) const TEXT_LIMIT: usize = 16 * 1024 - HEAD;
/// What heads and notices need beside a text.
const MARGIN: u64 = 512;
/// A spool can hold two records at least, whatever was ordered.
const SMALLEST_HALF: u64 = 40 * 1024;
/// The stream of the shim's own notices.
const NOTICE: u8 = 3;

/// The spool of one program.
pub(super) struct Spool {
    segments: VecDeque<Segment>,
    newest: File,
    half: u64,
    taken: u64,
    /// Bytes of text that were deleted before anybody took them, and not told yet.
    untaken: u64,
    /// Bytes of text that found no room on the disk, and not told yet.
    unwritten: u64,
    records: Vec<u8>,
}

struct Segment {
    start: u64,
    end: u64,
    /// Bytes of text in it.
    text: u64,
}

impl Spool {
    /// An empty one that holds at most `bytes`.
    pub(super) fn create(bytes: u64) -> io::Result<Self> {
        Ok(Self {
            segments: VecDeque::from([Segment { start: 0, end: 0, text: 0 }]),
            newest: create_segment(0)?,
            half: (bytes / 2).max(SMALLEST_HALF),
            taken: 0,
            untaken: 0,
            unwritten: 0,
            records: Vec::new(),
        })
    }

    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.end)
    }

    /// How far it was taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Everything before `offset` need not be kept.
    pub(super) fn take(&mut self, offset: u64) {
        self.taken = self.taken.max(offset.min(self.end()));
        while self.segments.len() > 1
            && self.segments.front().is_some_and(|oldest| oldest.end <= self.taken)
        {
            self.delete_oldest();
        }
    }

    /// Adds `text`, at most [`TEXT_LIMIT`] bytes, as whole lines and a piece of one.
    pub(super) fn append(&mut self, time: u64, stream: u8, text: &[u8]) {
        let lines = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let (lines, piece) = text.split_at(lines);
        if self.write(time, stream, &[lines, piece]).is_err() {
            self.unwritten = self.unwritten.saturating_add(count(text));
        }
    }

    /// Tells what was lost, if it was not told yet. Nothing comes after.
    pub(super) fn finish(&mut self, time: u64) {
        let _no_room = self.write(time, NOTICE, &[]);
    }

    /// Gives the older half up, where its room on the disk is needed more.
    pub(super) fn shrink(&mut self) {
        if self.segments.len() > 1 {
            self.delete_oldest();
        }
    }

    /// What was lost before is told in the same step: where there is no room, there is none for notices.
    fn write(&mut self, time: u64, stream: u8, texts: &[&[u8]]) -> io::Result<()> {
        let text: u64 = texts.iter().map(|text| count(text)).sum();
        let is_full = self
            .segments
            .back()
            .is_some_and(|newest| newest.end - newest.start + text + MARGIN > self.half);
        if is_full {
            self.rotate()?;
        }
        let mut records = std::mem::take(&mut self.records);
        records.clear();
        self.push_losses(&mut records, time);
        for text in texts {
            push_record(&mut records, time, stream, text);
        }
        let put = self.put(&records, text);
        self.records = records;
        put
    }

    fn rotate(&mut self) -> io::Result<()> {
        let end = self.end();
        self.newest = create_segment(end)?;
        self.segments.push_back(Segment { start: end, end, text: 0 });
        while self.segments.len() > 2 {
            self.delete_oldest();
        }
        Ok(())
    }

    fn delete_oldest(&mut self) {
        let Some(oldest) = self.segments.pop_front() else { return };
        let _gone = fs::remove_file(path(oldest.start));
        let untaken = match self.taken {
            taken if taken <= oldest.start => oldest.text,
            // The heads of records count here too; a bound is enough.
            taken => oldest.end.saturating_sub(taken).min(oldest.text),
        };
        self.untaken = self.untaken.saturating_add(untaken);
    }

    fn push_losses(&self, records: &mut Vec<u8>, time: u64) {
        let why = [
            (self.untaken, "nobody took them in time"),
            (self.unwritten, "the disk had no room for them"),
        ];
        for (lost, why) in why.into_iter().filter(|(lost, _)| *lost > 0) {
            let text = format!("{lost} bytes of output were lost: {why}\n");
            push_record(records, time, NOTICE, text.as_bytes());
        }
    }

    /// Whole or not at all: the end moves only when everything is there.
    fn put(&mut self, records: &[u8], text: u64) -> io::Result<()> {
        let Some(newest) = self.segments.back_mut() else { return Ok(()) };
        let length = newest.end - newest.start;
        if let Err(error) = self.newest.write_all_at(records, length) {
            let _kept = self.newest.set_len(length);
            return Err(error);
        }
        newest.end += count(records);
        newest.text += text;
        // What was lost stood in front.
        (self.untaken, self.unwritten) = (0, 0);
        Ok(())
    }
}

fn push_record(records: &mut Vec<u8>, time: u64, stream: u8, text: &[u8]) {
    let Ok(length) = u32::try_from(text.len()) else { return };
    if length == 0 {
        return;
    }
    records.extend_from_slice(&time.to_le_bytes());
    records.push(stream);
    records.extend_from_slice(&length.to_le_bytes());
    records.extend_from_slice(text);
}

fn create_segment(start: u64) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path(start))
}

fn path(start: u64) -> String {
    format!("{SPOOL_FOLDER}/{start:020}")
}

fn count(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}
