//! Micro services: endpoints, requests, and the promise that every request gets a reply.
//!
//! Owns: reading requests without ever awaiting work, running each in a task of its own, bounded in
//! number and time, and answering also when it fails. Never: knows what a request means.
//!
//! A reply subject is a stranger's text: only inboxes and plain subjects are answered.

mod gate;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_nats::service::endpoint::Endpoint as NatsEndpoint;
use async_nats::service::{Request as NatsRequest, Service, ServiceExt};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER, INTERNAL};
use nex_api::{Code, ErrorBody, encode};
use nex_sandbox::{OnFailure, Tasks};
use nex_types::{Id, may_answer};

use crate::{ROUND_TRIP_BOUND, round_trip};

use gate::Gate;

/// Longer than any handler's own bound (a start takes at most 60 s); what passes it is answered 500.
const HANDLER_BOUND: Duration = Duration::from_secs(70);

/// What `$SRV.INFO` tells.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the standard's own names")]
pub struct Info {
    pub name: String,
    pub version: String,
    pub description: String,
}

/// One endpoint.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the standard's own names")]
pub struct Endpoint {
    pub name: &'static str,
    pub subject: String,
    pub queue_group: String,
}

/// A request as a handler gets it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Request {
    pub endpoint: &'static str,
    pub subject: String,
    pub body: Bytes,
    /// The W3C trace context of whoever asks; a stranger's text.
    pub traceparent: Option<String>,
}

/// What a handler answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A success, or another party's reply relayed as it is.
    Reply {
        /// The body.
        body: Vec<u8>,
        /// Names and values.
        headers: Vec<(String, String)>,
    },
    /// No reply at all, so that another node may answer.
    Silence,
}

impl Answer {
    /// A success without headers.
    #[must_use]
    pub fn ok<T: serde::Serialize>(message: &T) -> Self {
        Self::Reply { body: encode(message), headers: Vec::new() }
    }

    /// An error reply of a node (spec: control API, section 2.4). The text of a 5xx goes to the log
    /// under the error id, never to the caller.
    #[must_use]
    pub fn error(status: u16, description: &str, error: &str, code: Code) -> Self {
        let error_id = Id::random().to_string();
        let shown = if status >= 500 {
            tracing::error!(error_id, description, error, "request failed");
            INTERNAL
        } else {
            error
        };
        let body = ErrorBody { error_id, error: shown.to_owned(), code: Some(code.to_string()) };
        Self::error_with_body(&status.to_string(), description, encode(&body))
    }

    /// The code of an error reply.
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        let Self::Reply { headers, .. } = self else { return None };
        let code = headers.iter().find(|(name, _)| name == ERROR_CODE_HEADER);
        code.map(|(_, code)| code.as_str())
    }

    /// The same with one more header; silence stays silence.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: String) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name.to_owned(), value));
        }
        self
    }

    /// An error reply with a body of the caller's making.
    #[must_use]
    pub fn error_with_body(code: &str, description: &str, body: Vec<u8>) -> Self {
        let headers = vec![
            (ERROR_HEADER.to_owned(), one_line(description)),
            (ERROR_CODE_HEADER.to_owned(), code.to_owned()),
        ];
        Self::Reply { body, headers }
    }
}

/// Handles requests; each call runs in a task of its own.
pub type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A service that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    service: Service,
}

impl Running {
    /// Unsubscribes from everything; requests that were read are still answered.
    pub async fn stop(self) {
        if let Err(error) = self.service.stop().await {
            tracing::debug!(%error, "service stop");
        }
    }
}

/// Starts the service and all its endpoints, and sees that the server knows of them.
///
/// # Errors
/// When a name or version is not legal, or the connection is closed.
pub async fn serve(
    client: &Client,
    info: Info,
    endpoints: Vec<Endpoint>,
    handler: Handler,
    tasks: &Tasks,
) -> Result<Running, async_nats::Error> {
    let service = client
        .service_builder()
        .description(info.description)
        .start(info.name, info.version)
        .await?;
    for endpoint in endpoints {
        let requests = service
            .endpoint_builder()
            .name(endpoint.name)
            .queue_group(endpoint.queue_group)
            .add(endpoint.subject)
            .await?;
        let reader = read(endpoint.name, requests, Arc::clone(&handler), tasks.clone());
        tasks.spawn("service endpoint", OnFailure::Log, reader);
    }
    if !round_trip(client, ROUND_TRIP_BOUND).await {
        tracing::warn!("no echo from NATS; subscriptions may be read later");
    }
    Ok(Running { service })
}

/// Text that may stand in a header.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// Header pairs as NATS wants them; a pair that NATS would refuse is left out.
#[must_use]
pub fn header_map<'a>(pairs: impl IntoIterator<Item = &'a (String, String)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = name.parse::<async_nats::header::HeaderName>();
        let value = value.parse::<async_nats::header::HeaderValue>();
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

async fn read(endpoint: &'static str, mut requests: NatsEndpoint, handler: Handler, tasks: Tasks) {
    let gate = Arc::new(Gate::new(endpoint));
    while let Some(request) = requests.next().await {
        let Some(place) = gate.enter() else {
            gate.refused(&tasks);
            tasks.spawn("refuse", OnFailure::Log, respond(request, busy()));
            continue;
        };
        let (handler, gate, counted) = (Arc::clone(&handler), Arc::clone(&gate), tasks.clone());
        tasks.spawn("request", OnFailure::Log, async move {
            let Some(permit) = gate.pass(place).await else {
                gate.refused(&counted);
                return respond(request, busy()).await;
            };
            let answer = run(endpoint, &request, &handler).await;
            respond(request, answer).await;
            drop(permit);
        });
    }
}

/// What a request beyond the bounds is told; the log tells how many there were.
fn busy() -> Answer {
    let body = ErrorBody {
        error_id: Id::random().to_string(),
        error: INTERNAL.to_owned(),
        code: Some(Code::NodeFailed.to_string()),
    };
    Answer::error_with_body("503", "too many requests at once", encode(&body))
}

async fn run(endpoint: &'static str, request: &NatsRequest, handler: &Handler) -> Answer {
    let message = &request.message;
    let header = |headers: &HeaderMap| headers.get(nex_api::TRACEPARENT).map(ToString::to_string);
    let asked = Request {
        endpoint,
        subject: message.subject.to_string(),
        body: message.payload.clone(),
        traceparent: message.headers.as_ref().and_then(header),
    };
    let handled = AssertUnwindSafe(handler(asked)).catch_unwind();
    match tokio::time::timeout(HANDLER_BOUND, handled).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => {
            Answer::error(500, "request failed", "handler panicked", Code::NodeFailed)
        }
        Err(_) => {
            Answer::error(500, "request took too long", "handler timed out", Code::NodeFailed)
        }
    }
}

async fn respond(request: NatsRequest, answer: Answer) {
    let Answer::Reply { body, headers } = answer else { return };
    let Some(reply) = &request.message.reply else { return };
    if !may_answer(reply, &[]) {
        tracing::warn!(reply = %reply, "reply subject refused");
        return;
    }
    if let Err(error) = request.respond_with_headers(Ok(body.into()), header_map(&headers)).await {
        tracing::warn!(%error, subject = %request.message.subject, "reply not sent");
    }
}
