//! Calls: those that are made here, and those of others, as a bystander sees them.
//!
//! Owns: what a typed line sends, waiting for its reply, and how many calls of others are shown. Never: sees
//! replies to others; they go to whoever called.

use std::time::Duration;

use bytes::Bytes;
use nex_api::workload::StartWorkloadRequest;
use nex_bus::{Client as Nats, HeaderMap, Message, StatusCode};
use nex_client::{Refusal, observe};
use nex_types::{ByteSize, SubjectPattern};
use tokio::time::Instant;

use super::happening::{Happening, Payload, milliseconds};
use crate::commands::call::subjects;
use crate::error::CliError;

/// A function may take longer than its usual 4 s.
const PATIENCE: Duration = Duration::from_secs(60);
/// Calls of others that are shown in a second; more are counted.
const MOST_SHOWN: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) subject: String,
    pub(super) payload: Bytes,
    headers: Option<HeaderMap>,
}

impl Request {
    /// What somebody else sent.
    pub(super) fn seen(message: Message) -> Self {
        let Message { subject, payload, headers, .. } = message;
        Self { subject: subject.into_string(), payload, headers }
    }

    /// A typed line: the payload when there is one subject only, else the subject comes first. `@FILE` stands
    /// for what is in the file.
    pub(super) fn typed(line: &str, only: Option<&str>) -> Result<Self, CliError> {
        let (subject, payload) = match only {
            Some(subject) => (subject, line),
            None => line.trim_start().split_once(' ').unwrap_or((line.trim(), "")),
        };
        let is_literal = SubjectPattern::parse(subject).is_ok_and(|pattern| pattern.is_literal());
        if !is_literal {
            return Err(CliError::usage(format!("\"{subject}\" is no subject to call"))
                .hint("type the subject, a blank, and what to send to it"));
        }
        let payload = match payload.strip_prefix('@') {
            Some(path) => content(path).map(Bytes::from).map_err(|error| {
                CliError::usage(format!("cannot read {path}: {error}"))
                    .hint("after @ comes a file from the folder that nex dev was started in")
            })?,
            None => Bytes::copy_from_slice(payload.as_bytes()),
        };
        Ok(Self { subject: subject.to_owned(), payload, headers: None })
    }
}

/// The largest `max_payload` that a NATS server can be given, in bytes.
const LONGEST_PAYLOAD: u64 = 64 << 20;

/// A regular file, no longer than the longest payload that a server takes.
fn content(path: &str) -> std::io::Result<Vec<u8>> {
    match std::fs::metadata(path)? {
        file if file.is_file() && file.len() <= LONGEST_PAYLOAD => std::fs::read(path),
        _ => Err(std::io::Error::other("it is no file, or too long for a call")),
    }
}

/// The subjects that a workload is called on.
pub(super) fn subjects_of(request: &StartWorkloadRequest) -> Vec<String> {
    let run_request: serde_json::Value =
        serde_json::from_str(&request.run_request).unwrap_or_default();
    subjects(run_request["triggers"].as_array().map(Vec::as_slice).unwrap_or_default())
}

/// The subject that a call can only mean.
pub(super) fn only(subjects: &[String]) -> Option<&str> {
    let [only] = subjects else { return None };
    SubjectPattern::parse(only).is_ok_and(|pattern| pattern.is_literal()).then_some(only)
}

/// Sends, with replies to subjects that tell our calls from those of others.
#[derive(Debug)]
pub(super) struct Caller {
    nats: Nats,
    inbox: String,
    n_calls: u64,
}

impl Caller {
    pub(super) fn new(nats: Nats) -> Self {
        let inbox = nats.new_inbox();
        Self { nats, inbox, n_calls: 0 }
    }

    pub(super) fn is_ours(&self, message: &Message) -> bool {
        message.reply.as_ref().is_some_and(|reply| reply.starts_with(&self.inbox))
    }

    /// Calls, and tells what came of it.
    pub(super) fn call(
        &mut self,
        request: Request,
    ) -> impl Future<Output = Happening> + Send + use<> {
        self.n_calls += 1;
        let (nats, inbox) = (self.nats.clone(), format!("{}.{}", self.inbox, self.n_calls));
        async move {
            let (start, subject) = (Instant::now(), request.subject.clone());
            let asked = tokio::time::timeout(PATIENCE, ask(&nats, inbox, request)).await;
            let elapsed = milliseconds(start.elapsed());
            match asked {
                Ok(Ok(reply)) => happening(&subject, &reply, elapsed),
                Ok(Err(error)) => failed(error, elapsed),
                Err(_) => failed("no reply".to_owned(), elapsed),
            }
        }
    }
}

async fn ask(nats: &Nats, inbox: String, request: Request) -> Result<Message, String> {
    let Request { subject, payload, headers } = request;
    let limit = nats.server_info().max_payload;
    if payload.len() > limit {
        let (size, limit) = (ByteSize(payload.len() as u64), ByteSize(limit as u64));
        return Err(format!("the payload has {size}, more than the server's {limit}"));
    }
    let mut answer =
        observe(nats, std::slice::from_ref(&inbox)).await.map_err(|error| error.to_string())?;
    let sent = match headers {
        None => nats.publish_with_reply(subject, inbox, payload).await,
        Some(headers) => {
            nats.publish_with_reply_and_headers(subject, inbox, headers, payload).await
        }
    };
    sent.map_err(|error| error.to_string())?;
    answer.next().await.ok_or_else(|| "the connection was closed".to_owned())
}

fn happening(subject: &str, reply: &Message, elapsed: f64) -> Happening {
    if reply.status == Some(StatusCode::NO_RESPONDERS) {
        return failed(format!("nobody listens on {subject}"), elapsed);
    }
    match Refusal::of(reply) {
        None => Happening::Reply { milliseconds: elapsed, payload: Payload::of(&reply.payload) },
        Some(refusal) => {
            // Without a code of ours the status is the function's own, and so is the body.
            let own = String::from_utf8_lossy(&reply.payload).into_owned();
            let body = (refusal.code.is_none() && !own.is_empty()).then_some(own);
            Happening::CallFailed {
                milliseconds: elapsed,
                error: format!("{}: {}", refusal.status, refusal.description),
                detail: refusal.detail.or(body),
                code: refusal.code,
            }
        }
    }
}

fn failed(error: String, elapsed: f64) -> Happening {
    Happening::CallFailed { milliseconds: elapsed, error, code: None, detail: None }
}

/// Keeps a flood of calls from hiding everything else.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    since: Option<Instant>,
    n_shown: u32,
    n_held: u64,
}

impl Limiter {
    /// Whether one more is shown now.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now >= since + SECOND) {
            (self.since, self.n_shown) = (Some(now), 0);
        }
        if self.n_shown < MOST_SHOWN {
            self.n_shown += 1;
            return true;
        }
        self.n_held += 1;
        false
    }

    /// How many were not shown, when there were any; to be asked once a second.
    pub(super) fn held(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.n_held)).filter(|n| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_payload_or_begins_with_the_subject() {
        let typed = |line: &str, only| {
            Request::typed(line, only)
                .map(|r| (r.subject, String::from_utf8_lossy(&r.payload).into_owned()))
        };
        let pair = |subject: &str, payload: &str| Ok((subject.to_owned(), payload.to_owned()));
        assert_eq!(typed("a b", Some("js.echo")), pair("js.echo", "a b"));
        assert_eq!(typed("", Some("js.echo")), pair("js.echo", ""));
        assert_eq!(typed("lines.a  x y", None), pair("lines.a", " x y"));
        assert_eq!(typed("lines.a", None), pair("lines.a", ""));
        assert!(typed("lines.* x", None).unwrap_err().message.contains("no subject"));
        assert!(typed("", None).is_err());
        assert!(typed("@/nowhere/at/all", Some("a")).unwrap_err().message.contains("cannot read"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a file").unwrap();
        let line = format!("@{}", file.path().display());
        assert_eq!(typed(&line, Some("a")), pair("a", "from a file"));
    }

    #[test]
    fn one_literal_subject_is_meant_by_itself() {
        let only = |subjects: &[&str]| {
            let subjects: Vec<String> = subjects.iter().map(|s| (*s).to_owned()).collect();
            super::only(&subjects).map(str::to_owned)
        };
        assert_eq!(only(&["js.echo"]), Some("js.echo".to_owned()));
        assert_eq!(only(&["lines.*"]), None);
        assert_eq!(only(&["a", "b"]), None);
        assert_eq!(only(&[]), None);
    }

    #[test]
    fn a_flood_is_counted() {
        let (start, mut limiter) = (Instant::now(), Limiter::default());
        let n_shown = (0..100).filter(|_| limiter.admits(start)).count();
        assert_eq!((n_shown, limiter.held(), limiter.held()), (10, Some(90), None));
        assert!(limiter.admits(start + SECOND), "the next second has room again");
    }
}
