//! Publishes the node's events.
//!
//! Owns: the subject. Never: fails a request because an event did not go out.

use nex_api::event::Event;
use nex_api::{encode, subject};
use nex_bus::Client;

/// Where the node's events come from.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    client: Client,
    node_id: String,
}

impl Events {
    pub(crate) fn new(client: Client, node_id: String) -> Self {
        Self { client, node_id }
    }

    pub(crate) async fn emit(&self, event: &Event) {
        let subject = subject::event(&self.node_id, event.type_token());
        if let Err(error) = self.client.publish(subject, encode(event).into()).await {
            tracing::warn!(%error, event = event.type_token(), "event not published");
        }
    }
}
