//! Waiting for a state with a deadline, instead of sleeping and hoping.
//!
//! Owns: the loop and its message. Never: decides what is being waited for.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::failure::OrPanic;

const INTERVAL: Duration = Duration::from_millis(10);

/// Asks `probe` again and again until it says `Ok`; panics after `within` with the last `Err` seen.
///
/// ```
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut seen = 0;
/// nex_testkit::eventually("three probes", Duration::from_secs(1), async || {
///     seen += 1;
///     if seen >= 3 { Ok(()) } else { Err(seen) }
/// })
/// .await;
/// # }
/// ```
pub async fn eventually<T, E: Debug>(
    what: &str,
    within: Duration,
    probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    poll(what, within, probe).await.or_panic()
}

/// Like [`eventually`], for callers that would rather have the failure than a panic.
pub async fn poll<T, E: Debug>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, Failure> {
    let start = Instant::now();
    let deadline = tokio::time::Instant::from_std(start + patience(within));
    let mut last = None;
    loop {
        match tokio::time::timeout_at(deadline, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = Some(seen),
            Err(_) => return Err(gave_up(what, start.elapsed(), last.as_ref())),
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(gave_up(what, start.elapsed(), last.as_ref()));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// `within`, multiplied by `NEX_TEST_PATIENCE`.
#[must_use]
pub fn patience(within: Duration) -> Duration {
    let factor = std::env::var("NEX_TEST_PATIENCE").ok().and_then(|text| text.parse::<u32>().ok());
    within.saturating_mul(factor.unwrap_or(1).max(1))
}

fn gave_up<E: Debug>(what: &str, after: Duration, last: Option<&E>) -> Failure {
    match last {
        Some(seen) => {
            Failure::new(format!("gave up after {after:.1?}: {what}; last seen: {seen:#?}"))
        }
        None => Failure::new(format!("gave up after {after:.1?}: {what}; no probe came back")),
    }
}
