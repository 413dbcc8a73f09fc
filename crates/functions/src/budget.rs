//! The memory that all guests of a nexlet may have together (`--functions-memory`).
//!
//! Owns: the account, which is exact and never over its limit. Never: decides who gives something
//! back, or who waits; the engine does, which knows its instances.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Waiters look again at least this often: what is freed by then may not have been announced.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One account, shared by every instance.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
    given_back: Notify,
}

impl Budget {
    /// An account of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0), given_back: Notify::new() }
    }

    /// Takes `bytes` if that many are left.
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        let within = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, within).is_ok()
    }

    /// Gives back what was taken.
    pub fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            let less = |used: u64| Some(used.saturating_sub(bytes));
            let _always = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
            self.given_back.notify_waiters();
        }
    }

    /// Waits until something was given back, or it is time to look again.
    pub async fn given_back(&self) {
        let _elapsed = tokio::time::timeout(LOOK_AGAIN, self.given_back.notified()).await;
    }

    /// Bytes in all.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that are taken.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of what each taker has.
        #[test]
        fn what_is_taken_is_within_the_limit_and_comes_back(
            limit in 0u64..1000,
            steps in proptest::collection::vec((0u64..400, any::<bool>()), 0..200),
        ) {
            let budget = Budget::new(limit);
            let mut taken: Vec<u64> = Vec::new();
            for (bytes, takes) in steps {
                if takes {
                    let fits = taken.iter().sum::<u64>() + bytes <= limit;
                    prop_assert_eq!(budget.take(bytes), fits);
                    taken.extend(fits.then_some(bytes));
                } else if let Some(bytes) = taken.pop() {
                    budget.give_back(bytes);
                }
                prop_assert_eq!(budget.used(), taken.iter().sum::<u64>());
            }
            taken.iter().for_each(|bytes| budget.give_back(*bytes));
            prop_assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn no_number_of_bytes_wraps_round() {
        let budget = Budget::new(u64::MAX);
        assert!(budget.take(u64::MAX - 1));
        assert!(!budget.take(2));
        assert!(budget.take(1));
    }
}
