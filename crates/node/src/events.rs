//! Publishes the node's events.
//!
//! Owns: the subject. Never: fails a request because an event did not go out.

use nex_api::event::Event;
use nex_api::{encode, subject};
use nex_bus::Client;

/// Where a node's own events go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EventSink {
    /// On the node's feed.
    #[default]
    Nats,
    /// A line in the node's log each.
    Log,
    /// Nowhere.
    Off,
}

/// Where the node's events come from.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    client: Client,
    node_id: String,
    sink: EventSink,
}

impl Events {
    pub(crate) fn new(client: Client, node_id: String, sink: EventSink) -> Self {
        Self { client, node_id, sink }
    }

    pub(crate) async fn emit(&self, event: &Event) {
        match self.sink {
            EventSink::Nats => self.publish(event).await,
            EventSink::Log => {
                let payload = encode(event);
                let payload = String::from_utf8_lossy(&payload);
                let kind = event.type_token();
                tracing::info!(group = "event_emitter", kind, %payload, "event emitted");
            }
            EventSink::Off => {}
        }
    }

    async fn publish(&self, event: &Event) {
        let subject = subject::event(&self.node_id, event.type_token());
        if let Err(error) = self.client.publish(subject, encode(event).into()).await {
            tracing::warn!(%error, event = event.type_token(), "event not published");
        }
    }
}
