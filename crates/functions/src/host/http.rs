//! The HTTP service: requests to the hosts that are allowed.
//!
//! Owns: the allow list, protection of addresses (checked after name resolution and again after each
//! redirect), and bounds. Never: reaches a private, link-local or loopback address that is not listed, or
//! goes on without a verified certificate.

use bytes::Bytes;
use futures::stream::BoxStream;

use super::HostError;

/// A body, in pieces.
pub type Body = BoxStream<'static, Result<Bytes, HostError>>;

/// Sends requests.
#[derive(Debug)]
pub struct Http {}

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

#[expect(clippy::unused_async, unused_variables, reason = "signatures first")]
impl Http {
    /// Sends; returns when the head of the response is there.
    pub async fn send(&self, request: Request) -> Result<Response, HostError> {
        Err(HostError::Failed("http is not there yet".to_owned()))
    }
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
