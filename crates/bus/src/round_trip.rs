//! A round trip over one connection: what was sent before it, the server has read; what the server
//! sent before it, has arrived.
//!
//! Owns: the echo. Never: waits longer than it is told. The client's own `flush` only empties its
//! buffer into the socket, and promises neither.

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use futures::StreamExt;

/// How long callers wait who have no reason to wait longer.
pub const ROUND_TRIP_BOUND: Duration = Duration::from_secs(2);

/// Whether the echo came back in time. It does not where the credentials may not publish to their
/// own inbox, or while the server is away; callers then go on without the promise.
pub async fn round_trip(client: &Client, patience: Duration) -> bool {
    let crossing = async {
        let inbox = client.new_inbox();
        let mut echo = client.subscribe(inbox.clone()).await.ok()?;
        echo.unsubscribe_after(1).await.ok()?;
        client.publish(inbox, Bytes::new()).await.ok()?;
        echo.next().await
    };
    matches!(tokio::time::timeout(patience, crossing).await, Ok(Some(_)))
}
