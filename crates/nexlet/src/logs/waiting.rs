//! The lines of one workload that wait for their turn.
//!
//! Owns: the rate, the room, and the count of what was dropped. Never: publishes, or lets one workload
//! take the room of another: past what all may have together each still has a share of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nex_api::Time;

use super::{LogLine, Owner};

/// What may wait of one workload …
const MOST_LINES: usize = 4096;
const MOST_BYTES: usize = 1 << 20;
/// … and of all together …
const MOST_BYTES_OF_ALL: usize = 64 << 20;
/// … where each has this much in any case.
const SHARE: usize = 64 * 1024;
/// What a line takes beside its bytes.
const OVERHEAD: usize = 96;

/// A line with its time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) time: Time,
    pub(super) line: LogLine,
}

impl Line {
    fn size(&self) -> usize {
        self.line.bytes.len() + OVERHEAD
    }
}

/// What the publisher has to be told after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    Nothing,
    Lines,
    Notice,
}

/// What was not let through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) over_rate: u64,
    pub(super) no_room: u64,
}

#[derive(Debug)]
pub(super) struct Waiting {
    owner: Owner,
    n_bytes_of_all: Arc<AtomicUsize>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    budget: Budget,
    lines: VecDeque<Line>,
    n_bytes: usize,
    /// The publisher knows that there are lines.
    is_ready: bool,
    /// The publisher knows that lines were dropped.
    is_owing: bool,
    dropped: Dropped,
}

impl Waiting {
    pub(super) fn new(owner: Owner, rate: u32, n_bytes_of_all: Arc<AtomicUsize>) -> Self {
        let inner = Inner {
            budget: Budget::new(rate, Instant::now()),
            lines: VecDeque::new(),
            n_bytes: 0,
            is_ready: false,
            is_owing: false,
            dropped: Dropped::default(),
        };
        Self { owner, n_bytes_of_all, inner: Mutex::new(inner) }
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(super) fn set_rate(&self, rate: u32) {
        self.inner().budget = Budget::new(rate, Instant::now());
    }

    /// Takes a line in, or counts it as dropped.
    pub(super) fn push(&self, line: Line) -> Owed {
        let mut inner = self.inner();
        let is_within_rate = inner.budget.spend(Instant::now());
        let size = line.size();
        if is_within_rate && self.has_room(&inner, size) {
            inner.n_bytes += size;
            self.n_bytes_of_all.fetch_add(size, Ordering::Relaxed);
            inner.lines.push_back(line);
            return match std::mem::replace(&mut inner.is_ready, true) {
                true => Owed::Nothing,
                false => Owed::Lines,
            };
        }
        match is_within_rate {
            true => inner.dropped.no_room += 1,
            false => inner.dropped.over_rate += 1,
        }
        match std::mem::replace(&mut inner.is_owing, true) {
            true => Owed::Nothing,
            false => Owed::Notice,
        }
    }

    fn has_room(&self, inner: &Inner, size: usize) -> bool {
        let own = inner.n_bytes + size;
        let of_all = self.n_bytes_of_all.load(Ordering::Relaxed) + size;
        inner.lines.len() < MOST_LINES
            && own <= MOST_BYTES
            && (of_all <= MOST_BYTES_OF_ALL || own <= SHARE)
    }

    /// The oldest lines, and whether there are more.
    pub(super) fn take(&self, most: usize) -> (Vec<Line>, bool) {
        let mut inner = self.inner();
        let n = most.min(inner.lines.len());
        let lines: Vec<Line> = inner.lines.drain(..n).collect();
        let size: usize = lines.iter().map(Line::size).sum();
        inner.n_bytes -= size;
        self.n_bytes_of_all.fetch_sub(size, Ordering::Relaxed);
        inner.is_ready = !inner.lines.is_empty();
        (lines, inner.is_ready)
    }

    /// What was dropped since this was last asked.
    pub(super) fn take_dropped(&self) -> Dropped {
        let mut inner = self.inner();
        inner.is_owing = false;
        std::mem::take(&mut inner.dropped)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits of a publisher that has gone is nobody's any more.
impl Drop for Waiting {
    fn drop(&mut self) {
        let n_bytes = self.inner().n_bytes;
        self.n_bytes_of_all.fetch_sub(n_bytes, Ordering::Relaxed);
    }
}

/// Lines a second, counted per second.
#[derive(Debug)]
struct Budget {
    rate: u32,
    second: Instant,
    spent: u32,
}

impl Budget {
    fn new(rate: u32, now: Instant) -> Self {
        Self { rate, second: now, spent: 0 }
    }

    fn spend(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            *self = Self::new(self.rate, now);
        }
        let passes = self.spent < self.rate;
        self.spent = self.spent.saturating_add(u32::from(passes));
        passes
    }
}

#[cfg(test)]
mod tests {
    use nex_api::log::Stream;

    use super::Owed::{Lines, Nothing, Notice};
    use super::*;

    fn waiting(rate: u32, of_all: &Arc<AtomicUsize>) -> Waiting {
        let owner = Owner {
            namespace: "n".to_owned(),
            id: "i".to_owned(),
            name: "x".to_owned(),
            node_id: Arc::from("N"),
        };
        Waiting::new(owner, rate, Arc::clone(of_all))
    }

    fn line(size: usize) -> Line {
        let line = LogLine { stream: Stream::Stdout, level: "info", bytes: vec![b'x'; size] };
        Line { time: Time::default(), line }
    }

    #[test]
    fn a_rate_counts_per_second() {
        let start = Instant::now();
        let mut budget = Budget::new(2, start);
        let passed: Vec<bool> = (0..4).map(|_| budget.spend(start)).collect();
        assert_eq!(passed, [true, true, false, false]);
        assert!(budget.spend(start + Duration::from_secs(1)));
    }

    #[test]
    fn what_is_dropped_is_counted_and_the_publisher_told_once() {
        let of_all = Arc::default();
        let flood = waiting(2, &of_all);
        let owed: Vec<Owed> = (0..5).map(|_| flood.push(line(1))).collect();
        assert_eq!(owed, [Lines, Nothing, Notice, Nothing, Nothing]);
        assert_eq!(flood.take_dropped(), Dropped { over_rate: 3, no_room: 0 });
        assert_eq!(flood.take_dropped(), Dropped::default());
        assert_eq!(flood.push(line(1)), Notice, "what is dropped next is told again");
        let (lines, has_more) = flood.take(10);
        assert_eq!((lines.len(), has_more), (2, false));
        assert_eq!(of_all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn floods_leave_everybody_a_share() {
        let of_all = Arc::default();
        let floods: Vec<Waiting> = (0..80).map(|_| waiting(u32::MAX, &of_all)).collect();
        for flood in &floods {
            while flood.inner().dropped.no_room == 0 {
                flood.push(line(16 * 1024));
            }
        }
        assert!(of_all.load(Ordering::Relaxed) <= MOST_BYTES_OF_ALL + floods.len() * SHARE);
        let quiet = waiting(u32::MAX, &of_all);
        assert_eq!(quiet.push(line(16 * 1024)), Lines, "another's flood costs it nothing");
        drop((floods, quiet));
        assert_eq!(of_all.load(Ordering::Relaxed), 0);
    }
}
