//! Sends snapshots to an OTLP collector.
//!
//! Owns: when it is tried again, and one line in the log per outage. Never: keeps what was
//! not taken; the next snapshot holds it.
//!
//! ```text
//! push ─► POST ─2xx─► taken ──────────────────► (after an outage: says so)
//!           │ 429, 502, 503, 504, no answer: again after a pause, twice
//!           └─ anything else, or the last try ─► dropped (the first of an outage: says so)
//! ```

use std::time::Duration;

use prost::Message;
use reqwest::Client;

use super::message::message;
use super::snapshot::Snapshot;
use crate::otlp::{self, OtlpSettings};

const TRIES: u32 = 3;
/// Before the second try; doubled before the third.
const PAUSE: Duration = Duration::from_millis(500);
/// A collector may ask for a longer pause than ours, but not for a longer one than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The collector has it.
    Taken,
    /// It does not.
    Dropped,
}

/// One collector.
#[derive(Debug)]
pub struct Pusher {
    client: Client,
    url: String,
    /// Dropped in a row.
    dropped: u64,
}

impl Pusher {
    /// Prepares the client; connects when something is sent.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: &OtlpSettings) -> Result<Self, otlp::Error> {
        Ok(Self { client: settings.client()?, url: settings.metrics_url(), dropped: 0 })
    }

    /// Sends one snapshot; takes a while when the collector is away, and never fails.
    pub async fn push(&mut self, snapshot: &Snapshot) -> Outcome {
        let body = bytes::Bytes::from(message(snapshot).encode_to_vec());
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let failure = match otlp::post(&self.client, &self.url, body.clone()).await {
                Ok(()) => return self.taken(),
                Err(failure) => failure,
            };
            match failure.again_after {
                Some(wanted) if attempt < TRIES => {
                    tokio::time::sleep(wanted.max(pause).min(LONGEST_PAUSE)).await;
                    pause *= 2;
                }
                _ => return self.not_taken(&failure.reason),
            }
        }
        Outcome::Dropped
    }

    fn taken(&mut self) -> Outcome {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            tracing::info!(url = self.url, dropped, "the collector takes metrics again");
        }
        Outcome::Taken
    }

    fn not_taken(&mut self, reason: &str) -> Outcome {
        if self.dropped == 0 {
            let url = &self.url;
            tracing::warn!(url, reason, "metrics not taken by the collector, trying on");
        }
        self.dropped = self.dropped.saturating_add(1);
        Outcome::Dropped
    }
}
