//! The HTTP service: requests to the hosts that are allowed.
//!
//! Owns: the allow list, redirects, and bounds; `nex_artifact::outbound` keeps requests off addresses that are
//! not listed. Never: asks a host that is not on the list.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use nex_artifact::outbound::{self, NamedHosts, NotPublic, Outbound, host_of, redirect_of};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};

use super::HostError;
use super::hosts::HostList;
use super::places::{Place, Places, REQUESTS};
use super::scope::shown;

/// Headers of a request or a response.
const MOST_HEADERS: usize = 200;
const MOST_HEADER_BYTES: usize = 64 * 1024;
/// Redirects, whatever a guest asks for.
const MOST_REDIRECTS: usize = 20;
/// Headers about the connection itself, which are not a guest's business; and the host's name, which
/// would lead to another host than the allow list saw.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A body, in pieces.
pub type Body = BoxStream<'static, Result<Bytes, HostError>>;

/// Sends requests.
#[derive(Debug)]
pub struct Http {
    allow: Arc<HostList>,
    outbound: Outbound,
    requests: Places,
}

/// What is asked.
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Body>,
    /// Redirects that are followed; past it the response of the last is given.
    pub max_redirects: usize,
}

/// What came back; any status is a response.
pub struct Response {
    pub status: u16,
    /// The address that answered, after redirects.
    pub url: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Body,
}

/// A body that is sent: once, or as often as redirects ask for it.
enum Payload {
    Empty,
    Bytes(Bytes),
    Stream(Body),
    Gone,
}

impl Http {
    pub(crate) fn new(allow: HostList) -> Self {
        let allow = Arc::new(allow);
        let named = Arc::clone(&allow) as Arc<dyn NamedHosts>;
        let outbound = Outbound::new(named, Vec::new());
        Self { allow, outbound, requests: Places::new(REQUESTS) }
    }

    /// Sends; returns when the head of the response is there. A redirect that asks for the body again
    /// (307, 308) fails, since it is streamed; see [`Http::send_bytes`].
    pub async fn send(&self, mut request: Request) -> Result<Response, HostError> {
        let payload = request.body.take().map_or(Payload::Empty, Payload::Stream);
        self.follow(request, payload).await
    }

    /// Sends with a body that is whole, and can be sent again after a redirect.
    pub async fn send_bytes(&self, request: Request, body: Bytes) -> Result<Response, HostError> {
        self.follow(request, Payload::Bytes(body)).await
    }

    async fn follow(&self, request: Request, mut payload: Payload) -> Result<Response, HostError> {
        let mut method = to_method(&request.method)?;
        let mut headers = to_headers(&request.headers)?;
        let mut url = Url::parse(&request.url).map_err(|error| {
            HostError::Invalid(format!("{} is not a URL: {error}", shown(&request.url)))
        })?;
        let place = self.requests.take().await;
        let mut n_left = request.max_redirects.min(MOST_REDIRECTS);
        loop {
            self.permit(&url)?;
            let body = payload.take()?;
            let response = self.send_one(&method, &url, &headers, body).await?;
            let Some(target) = redirect_of(&response, &url).filter(|_| n_left > 0) else {
                return to_response(response, place);
            };
            n_left -= 1;
            if becomes_get(response.status(), &method) {
                method = Method::GET;
                payload = Payload::Empty;
                for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
                    headers.remove(name);
                }
            }
            if target.origin() != url.origin() {
                for name in [header::AUTHORIZATION, header::COOKIE] {
                    headers.remove(name);
                }
            }
            url = target;
        }
    }

    async fn send_one(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: Option<reqwest::Body>,
    ) -> Result<reqwest::Response, HostError> {
        let client = self
            .outbound
            .client()
            .map_err(|error| HostError::Failed(format!("http cannot be used here: {error}")))?;
        let mut request = client.request(method.clone(), url.clone()).headers(headers.clone());
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| failed(url, &error))?;
        self.outbound.permit_answer(url, &response).map_err(refused)?;
        Ok(response)
    }

    /// Refuses hosts that are not listed, and addresses in their stead.
    fn permit(&self, url: &Url) -> Result<(), HostError> {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(HostError::Invalid(format!("{} names no host", shown(url.as_str()))));
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(HostError::Invalid(format!(
                "{} is not http or https",
                shown(url.as_str())
            )));
        }
        if !self.allow.permits(host, port) {
            return Err(HostError::Denied(format!(
                "host {host}:{port} is not in host_services.http.allow of the start request"
            )));
        }
        self.outbound.permit(url).map_err(refused)
    }
}

impl Payload {
    fn take(&mut self) -> Result<Option<reqwest::Body>, HostError> {
        match std::mem::replace(self, Self::Gone) {
            Self::Empty => {
                *self = Self::Empty;
                Ok(None)
            }
            Self::Bytes(bytes) => {
                *self = Self::Bytes(bytes.clone());
                Ok(Some(bytes.into()))
            }
            Self::Stream(stream) => Ok(Some(reqwest::Body::wrap_stream(stream))),
            Self::Gone => Err(HostError::Failed(
                "a redirect asks for the body again, which was streamed".to_owned(),
            )),
        }
    }
}

fn to_method(method: &str) -> Result<Method, HostError> {
    let parsed = Method::from_bytes(method.as_bytes()).ok();
    parsed.filter(|method| *method != Method::CONNECT && *method != Method::TRACE).ok_or_else(
        || HostError::Invalid(format!("{} is not a method that can be sent", shown(method))),
    )
}

fn to_headers(pairs: &[(String, String)]) -> Result<HeaderMap, HostError> {
    let n_bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if pairs.len() > MOST_HEADERS || n_bytes > MOST_HEADER_BYTES {
        return Err(HostError::Invalid(format!(
            "a request takes {MOST_HEADERS} headers of {MOST_HEADER_BYTES} bytes together"
        )));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let invalid = || HostError::Invalid(format!("header {} is not valid", shown(name)));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?;
        if !OURS.contains(&name.as_str()) {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// As browsers do it: 303 always, 301 and 302 for POST.
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status {
        StatusCode::SEE_OTHER => *method != Method::HEAD && *method != Method::GET,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        _ => false,
    }
}

fn to_response(response: reqwest::Response, place: Place) -> Result<Response, HostError> {
    let headers: Vec<(String, Vec<u8>)> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    let n_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MOST_HEADERS || n_bytes > MOST_HEADER_BYTES {
        return Err(HostError::Failed(format!(
            "the response has more than {MOST_HEADERS} headers or {MOST_HEADER_BYTES} bytes of them"
        )));
    }
    let (status, url) = (response.status().as_u16(), response.url().clone());
    let of_body = url.clone();
    let body = response.bytes_stream().map_err(move |error| failed(&of_body, &error));
    // The place is free when the body is read, or dropped.
    let body = body.map(move |piece| (piece, &place).0).boxed();
    Ok(Response { status, url: url.to_string(), headers, body })
}

/// A refusal of the resolver stays one; the rest says what and where, without what a URL may hide.
fn failed(url: &Url, error: &reqwest::Error) -> HostError {
    if let Some(refusal) = outbound::refusal(error) {
        return refused(refusal.clone());
    }
    let causes = outbound::causes(error).unwrap_or_else(|| "it did not end well".to_owned());
    HostError::Failed(format!("request to {} failed: {causes}", host_of(url)))
}

/// With what to change.
fn refused(NotPublic(host): NotPublic) -> HostError {
    HostError::Denied(format!(
        "host {host} has an address of a private network or of this machine; \
         list it by its own name in host_services.http.allow if that is meant"
    ))
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
