//! Pages of a sorted list that was read in one pass.
//!
//! Owns: keeping the list between its pages, so that a walk over many keys reads the bucket once.
//! Never: keeps more than one list, or one for long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::HostError;

/// A walk that pauses longer than this between two pages reads the bucket again.
const KEPT: Duration = Duration::from_secs(30);
/// Entries of a page.
const LARGEST_PAGE: usize = 1000;

/// The last list of one service.
#[derive(Debug)]
pub(super) struct Listing<T>(Mutex<Option<Kept<T>>>);

#[derive(Debug)]
struct Kept<T> {
    bucket: String,
    prefix: String,
    read: Instant,
    all: Arc<[T]>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// Where a walk over a list is.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) bucket: &'a str,
    pub(super) prefix: &'a str,
    /// The last name of the page before.
    pub(super) cursor: Option<&'a str>,
    pub(super) limit: usize,
}

impl<T: Clone> Listing<T> {
    /// The next page of a walk, and the cursor of the one after it. `read` gives the whole list, sorted by
    /// `name`; it is waited for only where the list is not kept.
    pub(super) async fn next_page(
        &self,
        walk: &Walk<'_>,
        name: fn(&T) -> &str,
        read: BoxFuture<'_, Result<Arc<[T]>, HostError>>,
    ) -> Result<(Vec<T>, Option<String>), HostError> {
        let now = Instant::now();
        let kept = walk.cursor.and_then(|_| self.kept(walk.bucket, walk.prefix, now));
        let all = match kept {
            Some(kept) => kept,
            None => read.await?,
        };
        let (entries, has_more) = page(&all, walk.cursor, walk.limit, name);
        let entries = entries.to_vec();
        if !has_more {
            self.forget();
            return Ok((entries, None));
        }
        self.keep(walk.bucket, walk.prefix, now, &all);
        let cursor = entries.last().map(|entry| name(entry).to_owned());
        Ok((entries, cursor))
    }

    /// The list, if it is kept and was read before `now` but not long ago.
    fn kept(&self, bucket: &str, prefix: &str, now: Instant) -> Option<Arc<[T]>> {
        let mut kept = self.lock();
        let list = kept.as_ref()?;
        if now.duration_since(list.read) > KEPT {
            *kept = None;
            return None;
        }
        (list.bucket == bucket && list.prefix == prefix).then(|| Arc::clone(&list.all))
    }

    /// Keeps a list for its further pages.
    fn keep(&self, bucket: &str, prefix: &str, now: Instant, all: &Arc<[T]>) {
        *self.lock() = Some(Kept {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            read: now,
            all: Arc::clone(all),
        });
    }

    /// After the last page nobody asks for more.
    fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes after `cursor` in a list sorted by `name`, at most `limit`, and whether there is more.
fn page<'a, T>(
    all: &'a [T],
    cursor: Option<&str>,
    limit: usize,
    name: impl Fn(&T) -> &str,
) -> (&'a [T], bool) {
    let start = cursor.map_or(0, |cursor| all.partition_point(|entry| name(entry) <= cursor));
    let rest = all.get(start..).unwrap_or_default();
    let limit = limit.clamp(1, LARGEST_PAGE);
    (rest.get(..limit).unwrap_or(rest), rest.len() > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let all: Vec<String> = (0..7).map(|n| format!("k{n}")).collect();
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let (keys, has_more) = page(&all, cursor.as_deref(), 3, |key| key);
            seen.extend_from_slice(keys);
            if !has_more {
                break;
            }
            cursor = keys.last().cloned();
        }
        assert_eq!(seen, all);
        assert_eq!(page(&all, Some("k2x"), 0, |key| key), (&all[3..4], true));
        assert_eq!(page(&all, Some("z"), 5, |key| key), (&all[7..], false));
    }
}
