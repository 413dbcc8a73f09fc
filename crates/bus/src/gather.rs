//! Scatter-gather: one request, many answers (spec: control API, section 3, "request-many").
//!
//! Owns: when enough is enough. Never: decodes an answer.

use std::time::Duration;

use async_nats::{Client, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

/// How long to listen.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Until the first answer, and in all.
    pub total: Duration,
    /// From one answer to the next.
    pub stall: Duration,
    /// Answers after which nobody else is expected.
    pub max: Option<usize>,
}

/// What was gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Answers in the order of arrival, error replies included.
    pub messages: Vec<Message>,
    /// The server said that nobody listens.
    pub no_responders: bool,
}

/// Publishes once and collects until `done` says so, the bounds pass, or nobody listens.
///
/// # Errors
/// When the request cannot be published or the connection is closed.
pub async fn gather(
    client: &Client,
    subject: String,
    body: Bytes,
    bounds: Bounds,
    done: impl FnMut(&Message) -> bool,
) -> Result<Gathered, async_nats::Error> {
    Ok(Scatter::send(client, subject, body).await?.gather(bounds, done).await)
}

/// A request that went out and whose answers are coming in: for who does something else meanwhile.
#[derive(Debug)]
pub struct Scatter {
    answers: Subscriber,
    sent: Instant,
}

impl Scatter {
    /// Publishes once.
    ///
    /// # Errors
    /// When the request cannot be published or the connection is closed.
    pub async fn send(
        client: &Client,
        subject: String,
        body: Bytes,
    ) -> Result<Self, async_nats::Error> {
        Self::send_traced(client, subject, body, None).await
    }

    /// Likewise, as part of a trace if there is one.
    ///
    /// # Errors
    /// When the request cannot be published or the connection is closed.
    pub async fn send_traced(
        client: &Client,
        subject: String,
        body: Bytes,
        traceparent: Option<&str>,
    ) -> Result<Self, async_nats::Error> {
        let inbox = client.new_inbox();
        let answers = client.subscribe(inbox.clone()).await?;
        match traceparent {
            None => client.publish_with_reply(subject, inbox, body).await?,
            Some(traceparent) => {
                let headers = crate::trace_headers(traceparent);
                client.publish_with_reply_and_headers(subject, inbox, headers, body).await?;
            }
        }
        Ok(Self { answers, sent: Instant::now() })
    }

    /// Collects until `done` says so, the bounds pass, or nobody listens. The total counts from the
    /// sending.
    pub async fn gather(
        mut self,
        bounds: Bounds,
        mut done: impl FnMut(&Message) -> bool,
    ) -> Gathered {
        let end = self.sent + bounds.total;
        let mut gathered = Gathered::default();
        let mut wait = bounds.total;
        while bounds.max.is_none_or(|max| gathered.messages.len() < max) {
            let until = end.min(Instant::now() + wait);
            let Ok(Some(message)) = tokio::time::timeout_at(until, self.answers.next()).await
            else {
                break;
            };
            if message.status == Some(StatusCode::NO_RESPONDERS) {
                gathered.no_responders = gathered.messages.is_empty();
                break;
            }
            let is_last = done(&message);
            gathered.messages.push(message);
            if is_last {
                // What has arrived already counts too.
                while let Some(Some(message)) = self.answers.next().now_or_never() {
                    gathered.messages.push(message);
                }
                break;
            }
            wait = bounds.stall;
        }
        let _already_closed = self.answers.unsubscribe().await;
        gathered
    }
}
