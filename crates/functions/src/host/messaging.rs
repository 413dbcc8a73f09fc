//! The messaging service: publishing and asking over the workload's own connection.
//!
//! Owns: what a guest may publish to. Never: subscribes for a guest but to its own inbox.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use nex_bus::{Client, HeaderMap, HeaderName, HeaderValue, RequestErrorKind};
use nex_types::{SubjectPattern, denied_by, may_answer};
use tokio::time::Instant;

use super::HostError;
use super::places::{GATHERINGS, Places};
use super::scope::shown;

/// Answers that are gathered at most; they are held by the host until the last is there.
const MOST_ANSWERS: usize = 10_000;
/// Bytes of all answers together.
const MOST_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of all headers of a message together.
const MOST_HEADER_BYTES: usize = 64 * 1024;
/// The server's way to say that nobody listens.
const NO_RESPONDERS: u16 = 503;

/// Header names and values, in order.
pub type Headers = Vec<(String, String)>;

/// Publishes and asks.
#[derive(Debug)]
pub struct Messaging {
    client: Arc<Client>,
    deny: Arc<[SubjectPattern]>,
    /// `None`: all that is not denied.
    allow: Option<Vec<SubjectPattern>>,
    gatherings: Places,
}

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

impl Messaging {
    pub(crate) fn new(
        client: Arc<Client>,
        deny: Arc<[SubjectPattern]>,
        allow: Option<Vec<SubjectPattern>>,
    ) -> Self {
        Self { client, deny, allow, gatherings: Places::new(GATHERINGS) }
    }

    /// Publishes; returns when the message is on its way. `own_reply`: the reply subject of the guest's
    /// own call, which it may publish to.
    pub async fn publish(
        &self,
        subject: &str,
        headers: Headers,
        payload: Bytes,
        own_reply: Option<&str>,
    ) -> Result<(), HostError> {
        let is_own_reply = own_reply == Some(subject) && may_answer(subject, &self.deny);
        if !is_own_reply {
            self.permit(subject)?;
        }
        let headers = self.outgoing(&headers, &payload)?;
        let subject = subject.to_owned();
        let sent = match headers {
            Some(headers) => self.client.publish_with_headers(subject, headers, payload).await,
            None => self.client.publish(subject, payload).await,
        };
        sent.map_err(|error| HostError::Failed(format!("cannot publish: {error}")))
    }

    /// The first answer.
    pub async fn request(
        &self,
        subject: &str,
        headers: Headers,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Message, HostError> {
        self.permit(subject)?;
        let headers = self.outgoing(&headers, &payload)?;
        let mut request = nex_bus::request(payload, timeout);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let answer = self.client.send_request(subject.to_owned(), request).await;
        answer.map(to_message).map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => {
                HostError::NoAnswer(format!("nobody listens on {}", shown(subject)))
            }
            RequestErrorKind::TimedOut => HostError::NoAnswer(format!(
                "nobody answered on {} within {timeout:?}",
                shown(subject)
            )),
            _ => HostError::Failed(format!("cannot ask on {}: {error}", shown(subject))),
        })
    }

    /// All answers until `until`; none is no error.
    pub async fn request_many(
        &self,
        subject: &str,
        headers: Headers,
        payload: Bytes,
        until: Until,
    ) -> Result<Vec<Message>, HostError> {
        self.permit(subject)?;
        let headers = self.outgoing(&headers, &payload)?.unwrap_or_default();
        let failed =
            |error: &dyn std::fmt::Display| HostError::Failed(format!("cannot ask: {error}"));
        let _place = self.gatherings.take().await;
        let inbox = self.client.new_inbox();
        let mut answers =
            self.client.subscribe(inbox.clone()).await.map_err(|error| failed(&error))?;
        let asked =
            self.client.publish_with_reply_and_headers(subject.to_owned(), inbox, headers, payload);
        asked.await.map_err(|error| failed(&error))?;
        let end = deadline_in(until.timeout);
        let mut wait_until = end;
        let mut gathered = Vec::new();
        let mut n_bytes = 0;
        let wanted = until.count.unwrap_or(MOST_ANSWERS).min(MOST_ANSWERS);
        while gathered.len() < wanted {
            let Ok(Some(answer)) = tokio::time::timeout_at(wait_until, answers.next()).await else {
                break;
            };
            if answer.status.is_some_and(|status| status.as_u16() == NO_RESPONDERS) {
                break;
            }
            n_bytes += answer.length;
            if n_bytes > MOST_ANSWER_BYTES {
                return Err(HostError::Failed(format!(
                    "the answers on {} have more than {MOST_ANSWER_BYTES} bytes; ask for fewer with a count",
                    shown(subject)
                )));
            }
            gathered.push(to_message(answer));
            if let Some(stall) = until.stall {
                wait_until = deadline_in(stall).min(end);
            }
        }
        Ok(gathered)
    }

    /// Refuses what a guest may not publish to; the message names the pattern or the setting.
    fn permit(&self, subject: &str) -> Result<(), HostError> {
        let pattern = SubjectPattern::parse(subject)
            .map_err(|error| HostError::Invalid(format!("{}: {error}", shown(subject))))?;
        if let Some(denied) = denied_by(&pattern, &self.deny) {
            return Err(HostError::Denied(format!(
                "functions may not publish to {}: {denied} is denied",
                shown(subject)
            )));
        }
        if !pattern.is_literal() {
            return Err(HostError::Invalid(format!(
                "cannot publish to {}: a subject with wildcards is for listening",
                shown(subject)
            )));
        }
        let is_allowed = self
            .allow
            .as_ref()
            .is_none_or(|allow| allow.iter().any(|allowed| allowed.covers(&pattern)));
        if is_allowed {
            return Ok(());
        }
        Err(HostError::Denied(format!(
            "{} is not in host_services.messaging.allow of the start request",
            shown(subject)
        )))
    }

    /// The headers as NATS has them, and nothing that the server would close the connection for.
    fn outgoing(
        &self,
        headers: &[(String, String)],
        payload: &Bytes,
    ) -> Result<Option<HeaderMap>, HostError> {
        let invalid =
            |name: &str| HostError::Invalid(format!("header {} is not valid", shown(name)));
        let mut map = HeaderMap::new();
        let mut n_bytes = 0;
        for (name, value) in headers {
            n_bytes += name.len() + value.len() + 4;
            let is_sound = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
                && !value.contains(['\r', '\n', '\0']);
            if !is_sound {
                return Err(invalid(name));
            }
            if nex_types::is_order_to_server(name) {
                return Err(HostError::Denied(format!(
                    "functions may not set the header {}: the server takes it for an order",
                    shown(name)
                )));
            }
            let value: HeaderValue = value.parse().map_err(|_| invalid(name))?;
            let name: HeaderName = name.parse().map_err(|_| invalid(name))?;
            map.append(name, value);
        }
        if n_bytes > MOST_HEADER_BYTES {
            return Err(HostError::Invalid(format!(
                "the headers have {n_bytes} bytes, more than {MOST_HEADER_BYTES}"
            )));
        }
        let most = self.client.server_info().max_payload;
        // The line before the headers and the empty one after them count too.
        let total = payload.len() + n_bytes + if headers.is_empty() { 0 } else { 16 };
        if total > most {
            return Err(HostError::Invalid(format!(
                "the message has {total} bytes, the server takes {most}"
            )));
        }
        Ok((!headers.is_empty()).then_some(map))
    }
}

/// A moment that is always representable.
fn deadline_in(duration: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
    Instant::now() + duration.min(LONGEST)
}

fn to_message(message: nex_bus::Message) -> Message {
    let headers = message.headers.as_ref().map_or_else(Vec::new, |headers| {
        let pairs = headers.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| (name.to_string(), value.to_string()))
        });
        pairs.collect()
    });
    Message { subject: message.subject.to_string(), headers, payload: message.payload }
}
