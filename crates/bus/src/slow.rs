//! Messages that a subscription of this process was too slow to take, and that are lost.
//!
//! Owns: counting them, and how often that is said. Never: mends it: a reader that waits is a bug.

use std::sync::atomic::{AtomicU64, Ordering};

/// Of all connections of this process.
static LOST: AtomicU64 = AtomicU64::new(0);

/// How many messages this process lost since a subscription did not take them in time. At least: of many in
/// one moment the library does not tell of each.
#[must_use]
pub fn slow_consumers() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// One more was lost. The library tells the subscription's number on its connection, not its subject.
pub(crate) fn note(connection: &str, subscription: u64) {
    let n_lost = LOST.fetch_add(1, Ordering::Relaxed) + 1;
    // They come by thousands: each doubling is said.
    if n_lost.is_power_of_two() {
        tracing::warn!(
            connection,
            subscription,
            lost = n_lost,
            "slow consumer: messages were lost since a subscription did not take them in time"
        );
    }
}
