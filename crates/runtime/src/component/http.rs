//! `wasi:http/outgoing-handler`: requests go to the http service, which decides about addresses.
//!
//! Owns: the translation of requests, responses and errors, and bounds on sizes and numbers.
//! Never: opens a connection itself; nothing of hyper's client is part of this binary.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use nex_functions::Scope;
use nex_functions::host::{Body, Host, HostError, Request, Response, http_span};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::errors::switched_off;
use super::state::with_trace;

/// Requests of one instance that are under way, body included.
const MAX_REQUESTS: usize = 16;

/// Bytes of a body, in either direction. Bodies are streamed: this bounds what one call may move.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// Bytes of names and values of a response's headers.
const MAX_HEADERS: usize = 64 * 1024;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

/// What `wasmtime-wasi-http` asks of us.
pub(crate) struct Hooks {
    host: Arc<Host>,
    places: Arc<Semaphore>,
    /// The trace of the call.
    pub(super) trace: Option<String>,
    /// The call's span.
    pub(super) scope: Scope,
}

impl Hooks {
    pub(super) fn new(host: Arc<Host>) -> Self {
        let places = Arc::new(Semaphore::new(MAX_REQUESTS));
        Self { host, places, trace: None, scope: Scope::none() }
    }
}

impl WasiHttpHooks for Hooks {
    /// The client that sends it writes its own.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let host = Arc::clone(&self.host);
        let (trace, scope) = (self.trace.clone(), self.scope.clone());
        let place = Arc::clone(&self.places).try_acquire_owned();
        Box::new(async move {
            let place = place.map_err(|_| Error::ConnectionLimitReached)?;
            let sending = send(&host, request, trace.as_deref(), &scope);
            let response = match options.and_then(|options| options.first_byte_timeout) {
                None => sending.await?,
                Some(bound) => tokio::time::timeout(bound, sending)
                    .await
                    .map_err(|_| Error::ConnectionReadTimeout)??,
            };
            let response = response_of(response, place)?;
            Ok((response, Box::new(async { Ok(()) }) as Io))
        })
    }
}

async fn send(
    host: &Host,
    request: http::Request<WasiBody>,
    trace: Option<&str>,
    scope: &Scope,
) -> Result<Response, Error> {
    let service = host.http.as_ref().ok_or_else(|| failed(&switched_off("http")))?;
    let (head, body) = request.into_parts();
    let mut headers = Vec::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        let value = value.to_str().map_err(|_| Error::HttpRequestHeaderSize {
            field_name: Some(name.to_string()),
            field_size: None,
        })?;
        headers.push((name.to_string(), value.to_owned()));
    }
    let is_empty = http_body::Body::size_hint(&body).exact() == Some(0);
    let mut request = Request {
        method: head.method.to_string(),
        url: head.uri.to_string(),
        headers: with_trace(headers, trace),
        body: (!is_empty).then(|| outgoing(body)),
        // The interface leaves redirects to the guest.
        max_redirects: 0,
    };
    let mut span = http_span(scope, &mut request);
    let sent = service.send(request).await;
    match &sent {
        Ok(response) => span.set("http.response.status_code", i64::from(response.status)),
        Err(error) => span.fail(error.kind(), ""),
    }
    sent.map_err(|error| failed(&error))
}

fn outgoing(body: WasiBody) -> Body {
    let pieces = body.into_data_stream();
    let pieces = pieces.map(|piece| piece.map_err(|error| HostError::Failed(error.to_string())));
    let too_large =
        || HostError::Invalid(format!("the request's body is larger than {MAX_BODY} bytes"));
    bounded(pieces, too_large).boxed()
}

fn response_of(
    response: Response,
    place: OwnedSemaphorePermit,
) -> Result<http::Response<WasiBody>, Error> {
    let size = |(name, value): &(String, Vec<u8>)| name.len() + value.len();
    if response.headers.iter().map(size).sum::<usize>() > MAX_HEADERS {
        return Err(Error::HttpResponseHeaderSectionSize(None));
    }
    let mut head = http::Response::builder().status(response.status);
    for (name, value) in response.headers {
        head = head.header(name, value);
    }
    let pieces = response.body.map(|piece| piece.map_err(|error| failed(&error)));
    let pieces = bounded(pieces, || Error::HttpResponseBodySize(Some(MAX_BODY)));
    let frames = pieces.map(move |piece| {
        // Until its last byte is read, the response takes a place.
        let _place = &place;
        piece.map(http_body::Frame::data)
    });
    head.body(StreamBody::new(frames).boxed_unsync()).map_err(|_| Error::HttpProtocolError)
}

/// Ends with an error once more than [`MAX_BODY`] came.
fn bounded<E: Send>(
    pieces: impl Stream<Item = Result<Bytes, E>> + Send,
    too_large: impl Fn() -> E + Send,
) -> impl Stream<Item = Result<Bytes, E>> + Send {
    let mut left = MAX_BODY;
    pieces.map(move |piece| {
        let piece = piece?;
        let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(len).ok_or_else(&too_large)?;
        Ok(piece)
    })
}

fn failed(error: &HostError) -> Error {
    match error {
        HostError::Denied(_) => Error::HttpRequestDenied,
        HostError::Invalid(_) => Error::HttpRequestUriInvalid,
        HostError::NoAnswer(_) => Error::ConnectionTimeout,
        HostError::Conflict(why) | HostError::Full(why) | HostError::Failed(why) => {
            Error::InternalError(Some(why.clone()))
        }
    }
}
