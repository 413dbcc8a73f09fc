//! `GET /metrics`, for Prometheus and whoever reaches it.
//!
//! Owns: one route, and the bounds of who asks: connections, time, size. Never: answers anything else, reads
//! a body, asks who somebody is.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::snapshot::Snapshot;
use super::text::{Format, text};

/// Who comes when there are as many waits in the kernel's queue for one of them to end.
const MOST_CONNECTIONS: usize = 8;
/// A connection takes one request, and ends after this at the latest.
const CONNECTION_BOUND: Duration = Duration::from_secs(10);
const MOST_HEADERS: usize = 64;
const LARGEST_HEADERS: usize = 16 * 1024;
/// After a connection that could not be taken, as when no file is left.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener that nobody is answered on yet.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// Takes the address; port 0 takes a free port.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address in use.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers with what `read` says, until it is dropped; then all connections end.
pub async fn serve<R>(endpoint: Endpoint, read: R)
where
    R: Fn() -> Snapshot + Send + Sync + 'static,
{
    let read = Arc::new(read);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match endpoint.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection for metrics was not taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(attend(stream, Arc::clone(&read), place));
    }
}

async fn attend<R>(stream: TcpStream, read: Arc<R>, place: OwnedSemaphorePermit)
where
    R: Fn() -> Snapshot + Send + Sync + 'static,
{
    let service = service_fn(move |request| {
        let response = answer(&request, &*read);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_BOUND)
        .keep_alive(false)
        .max_headers(MOST_HEADERS)
        .max_header_size(LARGEST_HEADERS)
        .max_buf_size(2 * LARGEST_HEADERS);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_BOUND, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request for metrics ended early"),
        Err(_) => tracing::debug!("a request for metrics took too long"),
    }
    drop(place);
}

fn answer(request: &Request<Incoming>, read: impl Fn() -> Snapshot) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD only\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::wanted(accept.unwrap_or_default());
    let mut response = Response::new(Full::from(text(read(), format)));
    let kind = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
