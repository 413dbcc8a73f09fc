//! Exporters with real sockets.
//!
//! 1. A snapshot has one text, which Prometheus reads; names of strangers cannot break out of their quotes.
//! 2. `/metrics` is answered, and nothing else; who is slow or many is not waited for.
//! 3. A collector gets the same values under the same names; its absence costs nothing but one line.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod endpoint;
mod pusher;
mod support;
mod text;
