//! Functions against a real nats-server, with an engine that does what a test tells it.
//!
//! 1. A function is ready when its start returns; copies share its calls.
//! 2. A caller always gets an answer: the reply, or an error reply with code, text and request id.
//! 3. Past the concurrency calls wait, past the queue they get 429; past the deadline 504.
//! 4. A reply subject that may not be answered is not answered.
//! 5. What is refused is refused before anything is fetched, and leaves nothing behind.
//! 6. A guest reaches its own buckets and what its request lists, by its own connection, and nothing else.
//! 7. A stop loses no delivered call, ends in time, frees the guest and closes what it opened.
//! 8. A source that keeps its messages loses none: each is run, given back or set aside.
//! 9. Calls that are ready take turns by namespace, then by function.
//! 10. Every call is counted, with its failures, times and bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod calls;
mod clocks;
mod drain;
mod durables;
mod engine;
mod harness;
mod host_http;
mod host_messaging;
mod host_services;
mod load;
mod metrics;
mod sources;
mod starts;
mod turns;
