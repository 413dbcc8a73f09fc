//! Callers that a function has no room for, until they are told so.
//!
//! Owns: the queue between a reader, which must not wait or the library drops what it does not take, and the
//! connection, which reads a burst to its end before it writes. Never: keeps a message, only where its answer goes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use nex_bus::Subject;

/// Some 300,000 callers with inboxes of the usual length; more, and the reader waits until they are told.
const MOST_BYTES: usize = 32 << 20;
/// Of all functions of this process together, which share its memory.
const MOST_BYTES_OF_ALL: usize = 128 << 20;
/// Bytes that all of them keep now.
static ALL: AtomicUsize = AtomicUsize::new(0);
/// What a caller takes beside the bytes of its subject.
const OVERHEAD: usize = 48;

/// In the order in which they called.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    callers: VecDeque<Subject>,
    n_bytes: usize,
}

impl Refused {
    /// Copies the subject: it is a part of what was read, and would keep all of that.
    pub(crate) fn push(&mut self, caller: &Subject) {
        self.n_bytes += size(caller);
        ALL.fetch_add(size(caller), Ordering::Relaxed);
        self.callers.push_back(Subject::from(caller.as_str().to_owned()));
    }

    pub(crate) fn first(&self) -> Option<&Subject> {
        self.callers.front()
    }

    /// The first has been told.
    pub(crate) fn pop(&mut self) {
        if let Some(caller) = self.callers.pop_front() {
            self.n_bytes -= size(&caller);
            ALL.fetch_sub(size(&caller), Ordering::Relaxed);
        }
        if self.callers.is_empty() {
            // What a flood took is given back.
            self.callers.shrink_to(0);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.callers.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        let is_crowded = ALL.load(Ordering::Relaxed) > MOST_BYTES_OF_ALL;
        self.n_bytes > MOST_BYTES || (is_crowded && !self.is_empty())
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        ALL.fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

fn size(caller: &Subject) -> usize {
    caller.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_in_their_order_and_are_bounded_by_their_bytes() {
        let mut refused = Refused::default();
        for n in 0..3 {
            refused.push(&Subject::from(format!("inbox.{n}")));
        }
        assert_eq!(refused.first().map(Subject::as_str), Some("inbox.0"));
        refused.pop();
        assert_eq!(refused.first().map(Subject::as_str), Some("inbox.1"));
        let long = Subject::from("x".repeat(4000));
        let n_fit = (0..1_000_000).take_while(|_| {
            refused.push(&long);
            !refused.is_full()
        });
        assert!((8_000..9_000).contains(&n_fit.count()));
        while !refused.is_empty() {
            refused.pop();
        }
        assert_eq!(refused.n_bytes, 0);
    }
}
