//! The messaging service: publishing and asking over the workload's own connection.
//!
//! Owns: what a guest may publish to. Never: subscribes for a guest but to its own inbox.

use std::time::Duration;

use bytes::Bytes;

use super::HostError;

/// Header names and values, in order.
pub type Headers = Vec<(String, String)>;

/// Publishes and asks.
#[derive(Debug)]
pub struct Messaging {}

/// A message from somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub subject: String,
    pub headers: Headers,
    pub payload: Bytes,
}

/// When no further answer is waited for; whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    /// So many answers.
    pub count: Option<usize>,
    /// So long after the latest answer.
    pub stall: Option<Duration>,
    /// So long after the question.
    pub timeout: Duration,
}

#[expect(clippy::unused_async, unused_variables, reason = "signatures first")]
impl Messaging {
    /// Publishes; returns when the message is on its way. `own_reply`: the reply subject of the guest's
    /// own call, which it may publish to.
    pub async fn publish(
        &self,
        subject: &str,
        headers: Headers,
        payload: Bytes,
        own_reply: Option<&str>,
    ) -> Result<(), HostError> {
        Err(unavailable())
    }

    /// The first answer.
    pub async fn request(
        &self,
        subject: &str,
        headers: Headers,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Message, HostError> {
        Err(unavailable())
    }

    /// All answers until `until`; none is no error.
    pub async fn request_many(
        &self,
        subject: &str,
        headers: Headers,
        payload: Bytes,
        until: Until,
    ) -> Result<Vec<Message>, HostError> {
        Err(unavailable())
    }
}

fn unavailable() -> HostError {
    HostError::Failed("messaging is not there yet".to_owned())
}
