//! Host services as operations of the JavaScript guest.
//!
//! Owns: the numbers of the operations and what their heads look like; `guests/js/src/js/services.js` is the
//! other side. Never: decides what is allowed (`nex_functions::host` does), or holds more for an instance
//! than the instance may have itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nex_functions::host::{
    Entry, Host, HostError, Message, ObjectInfo, Request, Until, bucket_span, http_span,
    message_span,
};
use nex_functions::{Scope, Span};
use serde::Deserialize;
use serde::Serialize;
use serde_json::{Value, json};

use super::framing::{Held, read, write};

pub(super) type OperationResult = Result<Vec<u8>, String>;

const KV_GET: u32 = 10;
const KV_PUT: u32 = 11;
const KV_DELETE: u32 = 12;
const KV_KEYS: u32 = 13;
const KV_HISTORY: u32 = 14;
const KV_WATCH: u32 = 15;
const OBJECT_GET: u32 = 20;
const OBJECT_PUT: u32 = 21;
const OBJECT_DELETE: u32 = 22;
const OBJECT_INFO: u32 = 23;
const OBJECT_LIST: u32 = 24;
const PUBLISH: u32 = 30;
const REQUEST: u32 = 31;
const REQUEST_MANY: u32 = 32;
const HTTP: u32 = 40;

/// Keys or objects in a page, unless the guest asks for fewer.
const PAGE: usize = 1000;
/// How large a piece of an object is that the guest gave as a whole.
const PIECE: usize = 128 * 1024;

/// What an operation works with.
pub(super) struct Context {
    pub(super) host: Arc<Host>,
    /// The reply subject of the call that the guest runs.
    pub(super) own_reply: Option<String>,
    /// The span of that call.
    pub(super) scope: Scope,
    /// What is held for the argument, and will be for the result.
    pub(super) held: Held,
}

/// The argument of a key-value operation; each takes of it what it needs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Place {
    bucket: Option<String>,
    key: String,
    mode: Mode,
    revision: Option<u64>,
    /// Seconds.
    ttl: Option<f64>,
    prefix: String,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Set,
    Create,
    Update,
}

#[derive(Deserialize)]
struct Letter {
    subject: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// Milliseconds.
    #[serde(default)]
    timeout: f64,
    stall: Option<f64>,
    count: Option<usize>,
}

#[derive(Deserialize)]
struct Fetch {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    redirects: usize,
    has_body: bool,
}

/// Runs an operation; what it holds is given back with the second part of the answer.
pub(super) async fn run(
    operation: u32,
    argument: Bytes,
    mut context: Context,
) -> (OperationResult, Held) {
    let result = match operation {
        KV_GET..=KV_WATCH => key_value(operation, &argument, &mut context).await,
        OBJECT_GET..=OBJECT_LIST => objects(operation, &argument, &mut context).await,
        PUBLISH..=REQUEST_MANY => messaging(operation, &argument, &mut context).await,
        HTTP => http(&argument, &mut context).await,
        unknown => Err(Failure::Text(format!("there is no host operation {unknown}"))),
    };
    (result.map_err(Failure::into_text), context.held)
}

async fn key_value(operation: u32, argument: &Bytes, context: &mut Context) -> Outcome {
    let (place, value): (Place, Bytes) = read(argument)?;
    let span = bucket_span(&context.scope, name_of(operation), place.bucket.as_deref());
    let outcome = on_keys(operation, &place, value, context).await;
    end(span, outcome)
}

async fn on_keys(operation: u32, place: &Place, value: Bytes, context: &mut Context) -> Outcome {
    let Context { host, held, .. } = context;
    let kv = host.key_value()?;
    let (bucket, key) = (place.bucket.as_deref(), place.key.as_str());
    let ttl = place.ttl.map(seconds).transpose()?;
    match operation {
        KV_GET => match kv.get(bucket, key).await? {
            Some(entry) => give(held, &about(&entry), &[entry.value]),
            None => give(held, &Value::Null, &[]),
        },
        KV_PUT => {
            let revision = match (place.mode, place.revision) {
                (Mode::Set, _) => kv.set(bucket, key, value, ttl).await?,
                (Mode::Create, _) => kv.create(bucket, key, value, ttl).await?,
                (Mode::Update, Some(revision)) => kv.update(bucket, key, value, revision).await?,
                (Mode::Update, None) => {
                    return Err(Failure::Text("an update names a revision".to_owned()));
                }
            };
            give(held, &revision, &[])
        }
        KV_DELETE => {
            kv.delete(bucket, key, place.revision).await?;
            give(held, &Value::Null, &[])
        }
        KV_KEYS => {
            let limit = place.limit.unwrap_or(PAGE);
            let page = kv.keys(bucket, &place.prefix, place.cursor.as_deref(), limit).await?;
            give(held, &json!({ "keys": page.keys, "cursor": page.cursor }), &[])
        }
        KV_HISTORY => {
            let entries = kv.history(bucket, key).await?;
            let heads: Vec<Value> = entries.iter().map(about).collect();
            let values: Vec<Bytes> = entries.into_iter().map(|entry| entry.value).collect();
            give(held, &heads, &values)
        }
        _ => {
            let entry = kv.watch(bucket, key, place.revision.unwrap_or(0)).await?;
            give(held, &about(&entry), &[entry.value])
        }
    }
}

async fn objects(operation: u32, argument: &Bytes, context: &mut Context) -> Outcome {
    let (place, value): (Place, Bytes) = read(argument)?;
    let span = bucket_span(&context.scope, name_of(operation), place.bucket.as_deref());
    let outcome = on_objects(operation, &place, value, context).await;
    end(span, outcome)
}

async fn on_objects(operation: u32, place: &Place, value: Bytes, context: &mut Context) -> Outcome {
    let Context { host, held, .. } = context;
    let objects = host.objects()?;
    let (bucket, name) = (place.bucket.as_deref(), place.key.as_str());
    match operation {
        OBJECT_GET => match objects.get(bucket, name).await? {
            Some((info, body)) => {
                // What cannot fit is refused before it is fetched.
                held.add(usize::try_from(info.size).unwrap_or(usize::MAX))?;
                let bytes = collect(body, None).await?;
                give(held, &object(&info), &[bytes])
            }
            None => give(held, &Value::Null, &[]),
        },
        OBJECT_PUT => {
            let info = objects.put(bucket, name, pieces(value)).await?;
            give(held, &object(&info), &[])
        }
        OBJECT_DELETE => {
            objects.delete(bucket, name).await?;
            give(held, &Value::Null, &[])
        }
        OBJECT_INFO => {
            let info = objects.info(bucket, name).await?;
            give(held, &info.as_ref().map(object), &[])
        }
        _ => {
            let limit = place.limit.unwrap_or(PAGE);
            let page = objects.list(bucket, &place.prefix, place.cursor.as_deref(), limit).await?;
            let infos: Vec<Value> = page.objects.iter().map(object).collect();
            give(held, &json!({ "objects": infos, "cursor": page.cursor }), &[])
        }
    }
}

async fn messaging(operation: u32, argument: &Bytes, context: &mut Context) -> Outcome {
    let (mut letter, payload): (Letter, Bytes) = read(argument)?;
    let name = name_of(operation);
    let span = message_span(&context.scope, name, &letter.subject, &mut letter.headers);
    let outcome = send(operation, letter, payload, context).await;
    end(span, outcome)
}

async fn send(operation: u32, letter: Letter, payload: Bytes, context: &mut Context) -> Outcome {
    let Letter { subject, headers, timeout, stall, count } = letter;
    let Context { host, own_reply, held, .. } = context;
    let messaging = host.messaging()?;
    match operation {
        PUBLISH => {
            messaging.publish(&subject, headers, payload, own_reply.as_deref()).await?;
            give(held, &Value::Null, &[])
        }
        REQUEST => {
            let timeout = milliseconds(timeout)?;
            let answer = messaging.request(&subject, headers, payload, timeout).await?;
            give(held, &message(&answer), &[answer.payload])
        }
        _ => {
            let stall = stall.map(milliseconds).transpose()?;
            let until = Until { count, stall, timeout: milliseconds(timeout)? };
            let answers = messaging.request_many(&subject, headers, payload, until).await?;
            let heads: Vec<Value> = answers.iter().map(message).collect();
            let payloads: Vec<Bytes> = answers.into_iter().map(|answer| answer.payload).collect();
            give(held, &heads, &payloads)
        }
    }
}

async fn http(argument: &Bytes, context: &mut Context) -> Outcome {
    let (fetch, body): (Fetch, Bytes) = read(argument)?;
    let Fetch { method, url, headers, redirects, has_body } = fetch;
    let mut request = Request { method, url, headers, body: None, max_redirects: redirects };
    let mut span = http_span(&context.scope, &mut request);
    let outcome = fetch_whole(request, has_body.then_some(body), context, &mut span).await;
    end(span, outcome)
}

async fn fetch_whole(
    request: Request,
    body: Option<Bytes>,
    context: &mut Context,
    span: &mut Span,
) -> Outcome {
    let Context { host, held, .. } = context;
    let http = host.http()?;
    let response = match body {
        Some(body) => http.send_bytes(request, body).await?,
        None => http.send(request).await?,
    };
    span.set("http.response.status_code", i64::from(response.status));
    let headers: Vec<(String, String)> = response
        .headers
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let head = json!({ "status": response.status, "url": response.url, "headers": headers });
    let bytes = collect(response.body, Some(held)).await?;
    give(held, &head, &[bytes])
}

/// The span ends with what came of it.
fn end(mut span: Span, outcome: Outcome) -> Outcome {
    if let Err(Failure::Host(error)) = &outcome {
        span.fail(error.kind(), "");
    }
    outcome
}

/// What the operation's span is called.
fn name_of(operation: u32) -> &'static str {
    match operation {
        KV_GET => "kv get",
        KV_PUT => "kv put",
        KV_DELETE => "kv delete",
        KV_KEYS => "kv keys",
        KV_HISTORY => "kv history",
        KV_WATCH => "kv watch",
        OBJECT_GET => "objects get",
        OBJECT_PUT => "objects put",
        OBJECT_DELETE => "objects delete",
        OBJECT_INFO => "objects info",
        OBJECT_LIST => "objects list",
        PUBLISH => "publish",
        REQUEST => "request",
        REQUEST_MANY => "request many",
        _ => "operation",
    }
}

type Outcome = Result<Vec<u8>, Failure>;

/// Why an operation failed, as the guest is told.
enum Failure {
    Host(HostError),
    Text(String),
}

impl Failure {
    /// The kind of the error stands in front, between two characters that no message has.
    fn into_text(self) -> String {
        let (kind, text) = match self {
            Self::Text(text) => ("Failed", text),
            Self::Host(error) => (error.kind(), error.to_string()),
        };
        format!("\u{1}{kind}\u{1}{text}")
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

fn give(held: &mut Held, head: &impl Serialize, parts: &[Bytes]) -> Outcome {
    let result = write(head, parts)?;
    held.add(result.len())?;
    Ok(result)
}

/// Gathers a body; with `held`, it is counted while it comes.
async fn collect(
    mut body: BoxStream<'static, Result<Bytes, HostError>>,
    mut held: Option<&mut Held>,
) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if let Some(held) = &mut held {
            held.add(piece.len())?;
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

fn pieces(value: Bytes) -> BoxStream<'static, Result<Bytes, HostError>> {
    let starts = (0..value.len()).step_by(PIECE);
    stream::iter(starts.map(move |start| {
        let end = value.len().min(start + PIECE);
        Ok(value.slice(start..end))
    }))
    .boxed()
}

fn about(entry: &Entry) -> Value {
    json!({
        "key": entry.key,
        "revision": entry.revision,
        "operation": entry.operation,
        "length": entry.value.len(),
    })
}

fn object(info: &ObjectInfo) -> Value {
    json!({
        "name": info.name,
        "size": info.size,
        "digest": info.digest,
        "modified": info.modified,
    })
}

fn message(message: &Message) -> Value {
    json!({
        "subject": message.subject,
        "headers": message.headers,
        "length": message.payload.len(),
    })
}

fn seconds(number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number).map_err(|error| format!("{number} s: {error}"))
}

fn milliseconds(number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number / 1e3).map_err(|error| format!("{number} ms: {error}"))
}
