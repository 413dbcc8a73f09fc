//! Everything NATS: connections, micro services, scatter-gather, objects, and the managed server.
//!
//! Owns: the NATS client; other crates use the types re-exported here. Never: knows what a node or
//! a workload is.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod connection;
pub mod credentials;
pub mod durable;
pub mod gather;
pub mod guest;
pub mod history;
pub mod jwt;
pub mod kv;
mod link;
pub mod managed;
pub mod objects;
pub mod pool;
mod round_trip;
pub mod seal;
pub mod service;
mod slow;
mod snapshot;
pub mod streams;

pub use async_nats::client::{PublishError, RequestError, RequestErrorKind, SubscribeError};
pub use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
pub use async_nats::{Client, Message, StatusCode, Subject, Subscriber};
pub use connection::{ConnectError, Renewer, Settings, connect, connect_renewable};
pub use link::{LinkClock, Mark, is_connected};
pub use pool::{Lease, Pool};
pub use round_trip::{ROUND_TRIP_BOUND, round_trip};
pub use slow::slow_consumers;
pub use snapshot::{Entry, SnapshotError, buckets, snapshot};

/// A request with a patience of its own, instead of the connection's.
#[must_use]
pub fn request(body: bytes::Bytes, patience: std::time::Duration) -> async_nats::Request {
    async_nats::Request::new().payload(body).timeout(Some(patience))
}

/// The same, as part of a trace if there is one.
#[must_use]
pub fn traced_request(
    body: bytes::Bytes,
    patience: std::time::Duration,
    traceparent: Option<&str>,
) -> async_nats::Request {
    match traceparent {
        Some(traceparent) => request(body, patience).headers(trace_headers(traceparent)),
        None => request(body, patience),
    }
}

fn trace_headers(traceparent: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(nex_api::TRACEPARENT, traceparent);
    headers
}
