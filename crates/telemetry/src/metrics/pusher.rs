//! Sends snapshots to an OTLP collector.
//!
//! Owns: the request, what is worth another try, and one line in the log per outage. Never: keeps what was
//! not taken; the next snapshot holds it.
//!
//! ```text
//! push ─► POST ─2xx─► taken ──────────────────► (after an outage: says so)
//!           │ 429, 502, 503, 504, no answer: again after a pause, twice
//!           └─ anything else, or the last try ─► dropped (the first of an outage: says so)
//! ```

use std::time::Duration;

use http::HeaderValue;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use prost::Message;
use reqwest::{Client, Response, StatusCode};

use super::message::message;
use super::snapshot::Snapshot;
use crate::otlp::{self, OtlpSettings};

const TRIES: u32 = 3;
/// Before the second try; doubled before the third.
const PAUSE: Duration = Duration::from_millis(500);
/// A collector may ask for a longer pause than ours, but not for a longer one than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What a collector says is read so far, so that its connection can be used again.
const LARGEST_ANSWER: usize = 64 * 1024;

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

/// Why a try failed.
struct Failure {
    reason: String,
    /// How long to wait before another; `None` when another would fail alike.
    again_after: Option<Duration>,
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
            let failure = match self.send(body.clone()).await {
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

    async fn send(&self, body: bytes::Bytes) -> Result<(), Failure> {
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        let request = self.client.post(&self.url).header(CONTENT_TYPE, protobuf).body(body);
        let response = request.send().await.map_err(|error| Failure {
            reason: innermost(&error.without_url()),
            again_after: Some(Duration::ZERO),
        })?;
        let status = response.status();
        let wanted = retry_after(&response);
        read_away(response).await;
        if status.is_success() {
            return Ok(());
        }
        let again_after = is_passing(status).then_some(wanted);
        Err(Failure { reason: format!("it answered {}", status.as_u16()), again_after })
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

/// What the protocol says may be tried again.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Duration::from_secs(seconds.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

async fn read_away(mut response: Response) {
    let mut n_read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        n_read += chunk.len();
        if n_read > LARGEST_ANSWER {
            return;
        }
    }
}

/// What lies at the bottom says most, as "connection refused".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
