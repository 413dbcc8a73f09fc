//! The SDK with a nexlet of these tests, on a real nats-server, with a node that is played.
//!
//! 1. A name or version that no service may have is refused before anybody is told.
//! 2. Ingress and event listening are there for nexlets that have them: endpoints, announcements, answers.
//! 3. Lame duck mode: no new work, workloads stopped at nine tenths, also one that was just being started; then
//!    the nexlet ends by itself.
//! 4. What workloads count is on the feed: soon after the start, when it changes, and at the end.

#![allow(clippy::disallowed_methods, reason = "the nexlet runs beside the test in a plain task")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod hooks;
mod lameduck;
mod metrics;
mod played;
mod toy;
