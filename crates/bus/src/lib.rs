//! Everything NATS: connections, micro services, scatter-gather, objects, and the managed server.
//!
//! Owns: the NATS client; other crates use the types re-exported here. Never: knows what a node or
//! a workload is.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod connection;
pub mod gather;
pub mod managed;
pub mod objects;
pub mod pool;
pub mod service;
pub mod streams;

pub use async_nats::client::{RequestError, RequestErrorKind};
pub use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
pub use async_nats::{Client, Message, StatusCode, Subject, Subscriber};
pub use connection::{ConnectError, Settings, connect};
pub use pool::Pool;

/// A request with a patience of its own, instead of the connection's.
#[must_use]
pub fn request(body: bytes::Bytes, patience: std::time::Duration) -> async_nats::Request {
    async_nats::Request::new().payload(body).timeout(Some(patience))
}

/// Waits until the server has seen everything that was sent before, subscriptions among it: a flush
/// empties only our own buffer, so this asks an inbox that nobody has and waits for "no responders".
/// Bounded by the connection's request timeout; a server that says nothing is no reason to fail.
pub async fn settle(client: &Client) {
    let _no_responders = client.request(client.new_inbox(), bytes::Bytes::new()).await;
}
