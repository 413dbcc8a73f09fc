//! What is kept, and then what comes, as one sequence.
//!
//! Owns: merging several streams by time, and the join of past and present: a stream is read on from
//! where its past ended, so that nothing is missing and nothing comes twice. Never: knows what is read.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use nex_api::Time;
use nex_bus::history::{Begin, HistoryError, Kept, Reader};
use nex_bus::{Client as Nats, Subscriber};

/// Several copies write at once and arrive a little out of order: so many are held to be sorted.
const WINDOW: usize = 256;

/// What can stand in a history.
pub(crate) trait Feed: Sized + Send + 'static {
    /// Reads a message; none when it is not one.
    fn read(kept: &Kept) -> Option<Self>;
    /// When it happened.
    fn time(&self) -> Time;
    /// The stream that would keep it.
    fn stream(&self) -> String;
}

/// A stream that is read, with the next message of its past.
#[derive(Debug)]
pub(crate) struct Source<T> {
    stream: String,
    reader: Reader,
    head: Option<T>,
    is_past_over: bool,
}

impl<T: Feed> Source<T> {
    pub(crate) async fn open(
        nats: &Nats,
        stream: &str,
        filters: &[String],
        begin: Begin,
    ) -> Result<Self, HistoryError> {
        let reader = Reader::open(nats, stream, filters, begin).await?;
        Ok(Self { stream: stream.to_owned(), reader, head: None, is_past_over: false })
    }

    async fn fill(&mut self) {
        while self.head.is_none() && !self.is_past_over {
            match self.reader.past().await {
                Some(kept) => self.head = T::read(&kept),
                None => self.is_past_over = true,
            }
        }
    }

    fn present(self) -> BoxStream<'static, T> {
        let next = |mut reader: Reader| async move {
            loop {
                if let Some(read) = T::read(&reader.next().await) {
                    return Some((read, reader));
                }
            }
        };
        futures::stream::unfold(self.reader, next).boxed()
    }
}

/// Past, then present.
pub struct History<T> {
    sources: Vec<Source<T>>,
    sorted: BTreeMap<(Time, u64), T>,
    n_read: u64,
    live: Vec<Subscriber>,
    present: Option<SelectAll<BoxStream<'static, T>>>,
    missing: Option<HistoryError>,
    is_whole: bool,
}

impl<T> std::fmt::Debug for History<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("missing", &self.missing).finish_non_exhaustive()
    }
}

impl<T> History<T> {
    /// Why nothing is kept, or not of all.
    #[must_use]
    pub fn missing(&self) -> Option<&HistoryError> {
        self.missing.as_ref()
    }

    /// Whether something is kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        !self.sources.is_empty() || self.present.is_some()
    }

    /// Whether its past begins with the oldest that is kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether reading its past stopped before its end.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.sources.iter().any(|source| source.reader.is_cut())
    }
}

#[expect(private_bounds, reason = "what can stand in a history is told by its two constructors")]
impl<T: Feed> History<T> {
    pub(crate) fn new(
        sources: Vec<Source<T>>,
        live: Vec<Subscriber>,
        missing: Option<HistoryError>,
    ) -> Self {
        let is_whole = sources.iter().all(|source| source.reader.is_whole());
        Self { sources, sorted: BTreeMap::new(), n_read: 0, live, present: None, missing, is_whole }
    }

    /// The next of what was kept when it was opened, by time; none when that was all.
    pub async fn past(&mut self) -> Option<T> {
        while self.sorted.len() < WINDOW {
            let Some(oldest) = self.oldest().await else { break };
            self.n_read += 1;
            self.sorted.insert((oldest.time(), self.n_read), oldest);
        }
        self.sorted.pop_first().map(|(_, record)| record)
    }

    async fn oldest(&mut self) -> Option<T> {
        futures::future::join_all(self.sources.iter_mut().map(Source::fill)).await;
        let by_time = |source: &&mut Source<T>| source.head.as_ref().map(Feed::time);
        let with_head = self.sources.iter_mut().filter(|source| source.head.is_some());
        with_head.min_by_key(by_time)?.head.take()
    }

    /// The next of what comes; ask when the past is over. None when the connection is closed.
    pub async fn next(&mut self) -> Option<T> {
        let present = match &mut self.present {
            Some(present) => present,
            None => {
                let kept: BTreeSet<String> =
                    self.sources.iter().map(|source| source.stream.clone()).collect();
                let mut all = SelectAll::new();
                self.sources.drain(..).for_each(|source| all.push(source.present()));
                for subscriber in self.live.drain(..) {
                    let kept = kept.clone();
                    let passing = subscriber.filter_map(move |message| {
                        let read = T::read(&Kept::passing(message));
                        std::future::ready(read.filter(|read| !kept.contains(&read.stream())))
                    });
                    all.push(passing.boxed());
                }
                self.present.insert(all)
            }
        };
        present.next().await
    }
}
