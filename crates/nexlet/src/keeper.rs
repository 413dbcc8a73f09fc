//! Keeps a nexlet registered while its node dies, comes back or is replaced.
//!
//! Owns: whether the node is there, registering again with a new one or for new credentials, and the end
//! of an orphan.
//! Never: interrupts a workload; endpoints and functions go on meanwhile.
//!
//! ```text
//!            PING with a new start time, two heartbeats that do not list us, or two thirds of the
//!            credentials' life
//! there ───────────────────────────────────────────────────────────────────► registering again
//!   ▲                                                                        │ taken   │ refused, silent
//!   └────────────────────────────────────────────────────────────────────────┘         └─► pause, again
//! nothing heard for `orphan_after`, counted while our own link is up ─► orphaned
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use nex_api::agent::NODE_START_HEADER;
use nex_api::node::NodeHeartbeat;
use nex_api::{decode, subject};
use nex_bus::{LinkClock, Mark, Message, Subscriber, is_connected};

use crate::register::{FIRST_PAUSE, Registered, Registration, longer};
use crate::renewal::Renewal;
use crate::restore::restore;
use crate::run::RunError;
use crate::server::Server;

const TICK: Duration = Duration::from_millis(250);
/// Between two registrations, however often strangers ping with new start times.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// One heartbeat may have been composed just before we registered.
const UNLISTED_BEATS: u32 = 2;

/// What listens for the node.
#[derive(Debug)]
pub(crate) struct Keeper {
    server: Arc<Server>,
    registration: Registration,
    renewal: Renewal,
    link: LinkClock,
    pings: Subscriber,
    beats: Subscriber,
    node: NodeView,
}

impl Keeper {
    /// Listens from here on; `node_start` is what the node said at registration.
    pub(crate) async fn listen(
        server: Arc<Server>,
        registration: Registration,
        renewal: Renewal,
        link: LinkClock,
        node_start: Option<String>,
    ) -> Result<Self, RunError> {
        let failed = |error: nex_bus::SubscribeError| RunError::Serve(error.to_string());
        let node_id = &server.node_id;
        let ping = subject::agent_ping(node_id, &server.agent_id);
        let pings = server.client.subscribe(ping).await.map_err(failed)?;
        let beat = subject::node_heartbeat(node_id);
        let beats = server.client.subscribe(beat).await.map_err(failed)?;
        let node = NodeView::new(node_start, link.mark());
        Ok(Self { server, registration, renewal, link, pings, beats, node })
    }

    /// Keeps the nexlet registered; returns when the node has been away for `orphan_after`.
    pub(crate) async fn keep(mut self, orphan_after: Duration) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                Some(ping) = self.pings.next() => {
                    self.node.pinged(header(&ping).as_deref(), self.link.mark());
                }
                Some(beat) = self.beats.next() => {
                    let listed = lists(&beat, &self.server.agent_id);
                    self.node.beat(listed, self.link.mark());
                }
                _ = ticks.tick() => {}
            }
            let is_aged = self.renewal.is_due(SystemTime::now());
            if self.node.is_due(is_aged, Instant::now()) {
                self.register().await;
            }
            if self.link.since(&self.node.heard, Instant::now()) > orphan_after {
                return;
            }
        }
    }

    async fn register(&mut self) {
        let running = self.server.running();
        // Without a link nothing can be asked over it, and its credentials may have expired.
        let registered = match is_connected(&self.server.client) {
            true => self.registration.ask(&self.server.client, running).await,
            false => self.registration.ask_apart(running).await,
        };
        match registered {
            Ok(Registered { reply, node_start }) => {
                tracing::info!(node.start = node_start, "registered again");
                self.renewal.take(&reply.connection_data);
                self.node.taken(node_start, self.link.mark());
                self.server.beat();
                restore(&self.server, reply.existing_state);
                self.server.nexlet.registered();
            }
            Err(error) => {
                tracing::warn!(%error, again = ?self.node.pause, "not registered again yet");
                self.node.not_taken(matches!(error, RunError::Refused(_)), Instant::now());
            }
        }
    }
}

/// What is known of the node.
#[derive(Debug)]
struct NodeView {
    start: Option<String>,
    /// The start time of a ping that was not the one known.
    new_start: Option<String>,
    unlisted: u32,
    heard: Mark,
    due: bool,
    /// A node that does not want us is as good as none.
    refused: bool,
    pause: Duration,
    not_before: Option<Instant>,
}

impl NodeView {
    fn new(start: Option<String>, now: Mark) -> Self {
        Self {
            start,
            new_start: None,
            unlisted: 0,
            heard: now,
            due: false,
            refused: false,
            pause: FIRST_PAUSE,
            not_before: None,
        }
    }

    fn pinged(&mut self, start: Option<&str>, now: Mark) {
        self.hear(now);
        if let Some(start) = start
            && self.start.as_deref() != Some(start)
        {
            self.new_start = Some(start.to_owned());
            self.due = true;
        }
    }

    fn beat(&mut self, listed: bool, now: Mark) {
        self.hear(now);
        self.unlisted = if listed { 0 } else { self.unlisted + 1 };
        self.due |= self.unlisted >= UNLISTED_BEATS;
    }

    fn taken(&mut self, start: Option<String>, now: Mark) {
        let not_before = Some(Instant::now() + SHORTEST_PAUSE);
        let start = start.or(self.new_start.take());
        *self = Self { not_before, ..Self::new(start, now) };
    }

    fn not_taken(&mut self, refused: bool, now: Instant) {
        // Who only wants new credentials is not an orphan without them.
        self.refused = refused && self.due;
        self.not_before = Some(now + self.pause);
        self.pause = longer(self.pause);
    }

    fn is_due(&self, is_aged: bool, now: Instant) -> bool {
        (self.due || is_aged) && self.not_before.is_none_or(|moment| now >= moment)
    }

    fn hear(&mut self, now: Mark) {
        if !self.refused {
            self.heard = now;
        }
    }
}

fn header(message: &Message) -> Option<String> {
    message.headers.as_ref()?.get(NODE_START_HEADER).map(|value| value.as_str().to_owned())
}

/// Whether a node's heartbeat names this agent; one that cannot be read says nothing against it.
fn lists(message: &Message, agent_id: &str) -> bool {
    let Ok(beat) = decode::<NodeHeartbeat>(&message.payload) else { return true };
    beat.registrations.split(", ").any(|entry| entry.split(' ').next() == Some(agent_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> (NodeView, LinkClock) {
        let link = LinkClock::default();
        (NodeView::new(Some("first".to_owned()), link.mark()), link)
    }

    #[test]
    fn a_new_start_time_is_answered_once_and_a_known_one_not_at_all() {
        let (mut node, link) = view();
        let now = Instant::now();
        node.pinged(Some("first"), link.mark());
        node.pinged(None, link.mark());
        assert!(!node.is_due(false, now));
        node.pinged(Some("second"), link.mark());
        assert!(node.is_due(false, now));
        node.taken(Some("second".to_owned()), link.mark());
        node.pinged(Some("second"), link.mark());
        assert!(!node.is_due(false, now + SHORTEST_PAUSE * 2));
        node.pinged(Some("third"), link.mark());
        assert!(!node.is_due(false, now), "not at once again");
        assert!(node.is_due(false, now + SHORTEST_PAUSE * 2));
    }

    #[test]
    fn two_heartbeats_without_us_are_a_reason() {
        let (mut node, link) = view();
        node.beat(false, link.mark());
        node.beat(true, link.mark());
        node.beat(false, link.mark());
        assert!(!node.is_due(false, Instant::now()));
        node.beat(false, link.mark());
        assert!(node.is_due(false, Instant::now()));
    }

    #[test]
    fn refusals_are_answered_with_longer_pauses_and_do_not_count_as_a_node() {
        let (mut node, link) = view();
        let start = Instant::now();
        node.pinged(Some("second"), link.mark());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(node.pause.as_millis());
            node.not_taken(true, start);
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10000, 10000]);
        let heard = link.since(&node.heard, start + Duration::from_secs(60));
        node.pinged(Some("second"), link.mark());
        assert_eq!(link.since(&node.heard, start + Duration::from_secs(60)), heard);
    }

    #[test]
    fn aged_credentials_are_a_reason_and_no_end_of_an_orphan() {
        let (mut node, link) = view();
        let now = Instant::now();
        assert!(node.is_due(true, now));
        node.not_taken(true, now);
        assert!(!node.is_due(true, now) && node.is_due(true, now + FIRST_PAUSE));
        assert!(!node.refused, "the node is there");
        node.taken(None, link.mark());
        assert!(!node.is_due(false, now + SHORTEST_PAUSE * 2));
    }
}
