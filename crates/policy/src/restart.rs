//! When to start a process again that ended by itself: almost at once, then 1 s doubling to 30 s, never given up,
//! `degraded` after five ends within a minute.
//!
//! Owns: the pause and the word for it. Never: starts anything.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A single end is mostly an accident, and its workloads are away meanwhile.
const FIRST: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(60);
const DEGRADED_AT: usize = 5;
/// A process that ran this long starts again at the shortest pause.
const STEADY: Duration = Duration::from_secs(60);

/// The ends of one supervised process.
#[derive(Debug, Clone, Default)]
pub struct Restarts {
    ends: VecDeque<Instant>,
    pause: Option<Duration>,
    total: u32,
}

/// What to do about an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// How long to wait before the next start.
    pub after: Duration,
    /// Whether it ended so often lately that somebody should look.
    pub degraded: bool,
}

impl Restarts {
    /// The process that started at `started` ended at `now`, unasked.
    pub fn ended(&mut self, started: Instant, now: Instant) -> Restart {
        self.total = self.total.saturating_add(1);
        self.ends.push_back(now);
        while self.ends.front().is_some_and(|end| now.saturating_duration_since(*end) > WINDOW) {
            self.ends.pop_front();
        }
        let was_steady = now.saturating_duration_since(started) >= STEADY;
        let after = match self.pause {
            Some(pause) if !was_steady => (pause * 2).clamp(SECOND, LONGEST),
            _ => FIRST,
        };
        self.pause = Some(after);
        Restart { after, degraded: self.ends.len() >= DEGRADED_AT }
    }

    /// How often it ended in all.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pause_is_short_and_later_ones_double_to_thirty_seconds_and_the_fifth_end_degrades()
    {
        let mut restarts = Restarts::default();
        let start = Instant::now();
        let mut seen = Vec::new();
        for _ in 0..7 {
            seen.push(restarts.ended(start, start));
        }
        let millis: Vec<u128> = seen.iter().map(|restart| restart.after.as_millis()).collect();
        assert_eq!(millis, [100, 1000, 2000, 4000, 8000, 16_000, 30_000]);
        let degraded: Vec<bool> = seen.iter().map(|restart| restart.degraded).collect();
        assert_eq!(degraded, [false, false, false, false, true, true, true]);
        assert_eq!(restarts.total(), 7);
    }

    #[test]
    fn a_steady_run_forgets() {
        let mut restarts = Restarts::default();
        let start = Instant::now();
        restarts.ended(start, start);
        restarts.ended(start, start);
        let restart = restarts.ended(start, start + Duration::from_secs(61));
        assert_eq!(restart, Restart { after: FIRST, degraded: false });
    }
}
