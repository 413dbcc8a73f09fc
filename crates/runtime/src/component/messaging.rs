//! `nex:host/messaging`: publishing and asking.
//!
//! Owns: the translation, and the largest number of answers. Never: decides which subject is allowed.

use std::time::Duration;

use nex_functions::Span;
use nex_functions::host::{self, Headers, Messaging, Until, message_span, traced};

use super::bindings::nex::host::messaging;
use super::errors::{ServiceError, switched_off};
use super::message::headers_in;
use super::state::State;

/// Answers of one question; more can be had in several.
const MAX_ANSWERS: usize = 10_000;

impl messaging::Host for State {
    async fn publish(
        &mut self,
        subject: String,
        payload: Vec<u8>,
        headers: Vec<messaging::Header>,
    ) -> Result<(), ServiceError> {
        let own_reply = self.own_reply.as_deref();
        let (headers, span) = self.sending("publish", &subject, headers);
        let service = service(&self.host)?;
        traced(span, service.publish(&subject, headers, payload.into(), own_reply)).await?;
        Ok(())
    }

    async fn request(
        &mut self,
        subject: String,
        payload: Vec<u8>,
        headers: Vec<messaging::Header>,
        timeout_ms: u32,
    ) -> Result<messaging::Message, ServiceError> {
        let timeout = millis(timeout_ms);
        let (headers, span) = self.sending("request", &subject, headers);
        let service = service(&self.host)?;
        let asking = service.request(&subject, headers, payload.into(), timeout);
        let answer = traced(span, asking).await?;
        Ok(message(answer))
    }

    async fn request_many(
        &mut self,
        subject: String,
        payload: Vec<u8>,
        headers: Vec<messaging::Header>,
        until: messaging::Until,
    ) -> Result<Vec<messaging::Message>, ServiceError> {
        let count = until.count.and_then(|count| usize::try_from(count).ok());
        let until = Until {
            count: Some(count.unwrap_or(MAX_ANSWERS).min(MAX_ANSWERS)),
            stall: until.stall_ms.map(millis),
            timeout: millis(until.timeout_ms),
        };
        let (headers, span) = self.sending("request many", &subject, headers);
        let service = service(&self.host)?;
        let asking = service.request_many(&subject, headers, payload.into(), until);
        let answers = traced(span, asking).await?;
        Ok(answers.into_iter().map(message).collect())
    }
}

impl State {
    /// The headers of a message that the guest sends, and its span.
    fn sending(
        &self,
        name: &'static str,
        subject: &str,
        headers: Vec<messaging::Header>,
    ) -> (Headers, Span) {
        let mut headers = self.outgoing(headers);
        let span = message_span(&self.scope, name, subject, &mut headers);
        (headers, span)
    }
}

fn service(host: &host::Host) -> Result<&Messaging, ServiceError> {
    host.messaging.as_ref().ok_or_else(|| switched_off("messaging").into())
}

fn message(message: host::Message) -> messaging::Message {
    messaging::Message {
        subject: message.subject,
        headers: headers_in(&message.headers),
        payload: message.payload.to_vec(),
    }
}

fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}
