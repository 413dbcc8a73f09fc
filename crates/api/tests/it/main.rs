//! The wire, message by message: every row of the specification's tables (control API, sections 4 and 8.2)
//! stands in a file under `golden/`, and fails here when it is broken in either direction. Each error code is named
//! by a test that provokes it.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod codes;
mod events;
mod events_page;
mod golden;
mod messages;
mod subjects;
