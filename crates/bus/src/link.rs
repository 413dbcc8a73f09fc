//! Time that passes only while a connection is up.
//!
//! Owns: how long the link was down, so that nobody is judged by silence that the judge could not have
//! heard through. Never: decides who is dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::connection::State;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_millis(250);
/// A tick that comes later than this found the process stopped, or the machine asleep.
const LATE: Duration = Duration::from_secs(2);

/// A clock that stands still while the link is down. Clones share it; one that nobody runs never
/// stands still.
#[derive(Debug, Clone, Default)]
pub struct LinkClock {
    /// Milliseconds in all during which nothing could be heard.
    deaf: Arc<AtomicU64>,
}

/// A moment on a [`LinkClock`].
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    at: Instant,
    deaf: Duration,
}

impl LinkClock {
    /// Watches the link until `token` is cancelled.
    pub async fn run(self, client: Client, token: CancellationToken) {
        let mut last = Instant::now();
        while !token.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = token.cancelled() => return,
            }
            let now = Instant::now();
            self.add(deaf_for(now - last, is_connected(&client)));
            last = now;
        }
    }

    /// This moment.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { at: Instant::now(), deaf: self.deaf() }
    }

    /// How much time with a link passed from `mark` to `now`.
    #[must_use]
    pub fn since(&self, mark: &Mark, now: Instant) -> Duration {
        let deaf = self.deaf().saturating_sub(mark.deaf);
        now.saturating_duration_since(mark.at).saturating_sub(deaf)
    }

    fn deaf(&self) -> Duration {
        Duration::from_millis(self.deaf.load(Ordering::Relaxed))
    }

    fn add(&self, deaf: Duration) {
        let milliseconds = u64::try_from(deaf.as_millis()).unwrap_or(u64::MAX);
        self.deaf.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

/// Whether something sent now goes out at once.
#[must_use]
pub fn is_connected(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

/// How much of the time since the last look nothing could be heard.
fn deaf_for(elapsed: Duration, is_up: bool) -> Duration {
    match is_up {
        true if elapsed <= LATE => Duration::ZERO,
        true => elapsed - TICK,
        false => elapsed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_still_while_nothing_can_be_heard() {
        let clock = LinkClock::default();
        let mark = clock.mark();
        let later = mark.at + Duration::from_secs(60);
        assert_eq!(clock.since(&mark, later), Duration::from_secs(60));
        clock.add(deaf_for(Duration::from_secs(45), false));
        assert_eq!(clock.since(&mark, later), Duration::from_secs(15));
        assert_eq!(deaf_for(TICK, true), Duration::ZERO);
        let asleep = deaf_for(Duration::from_secs(3600), true);
        assert!(asleep > Duration::from_secs(3599), "an hour asleep is no hour of silence");
    }
}
