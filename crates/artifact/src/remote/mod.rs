//! Web servers and registries: requests that lead to public hosts only, or to those that the node allows.
//!
//! Owns: redirects, schemes, bounds, and the words for hosts that fail; `outbound` keeps it off this machine
//! and its networks. Never: tells a path or a query.
//!
//! Whoever deploys names the address, and the node is who asks: it stands where strangers do not.

mod body;
mod hosts;

use std::sync::Arc;

use reqwest::header::{self, HeaderMap};
use reqwest::{Certificate, Response, StatusCode, Url};
use tokio::sync::Semaphore;

pub(crate) use self::body::{read_whole, stream};
use self::hosts::not_public;
pub(crate) use self::hosts::{AllowedHosts, is_loopback_name};
use crate::FetchError;
use crate::address::has_credentials;
use crate::outbound::{self, NamedHosts, NotPublic, Outbound, host_of, redirect_of};

const MOST_REDIRECTS: usize = 5;
/// Fetches under way at once; more wait, within the bound of their fetch.
const PLACES: usize = 16;

/// Which schemes a request may have, also after redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schemes {
    HttpsOnly,
    /// And http to this machine, where it is allowed by name.
    OrHttpToLoopback,
}

/// Sends requests; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    allow: Arc<AllowedHosts>,
    outbound: Arc<Outbound>,
    places: Arc<Semaphore>,
}

impl Remote {
    pub(crate) fn new(allow: AllowedHosts, extra_roots: Vec<Certificate>) -> Self {
        let allow = Arc::new(allow);
        let named = Arc::clone(&allow) as Arc<dyn NamedHosts>;
        let outbound = Arc::new(Outbound::new(named, extra_roots));
        Self { allow, outbound, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Held by a fetch while it lasts.
    pub(crate) async fn place(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    pub(crate) fn allows_by_name(&self, host: &str) -> bool {
        self.allow.names(host)
    }

    /// The head of the response that is none of a redirect. Credentials stay with the origin they are for.
    pub(crate) async fn get(
        &self,
        mut url: Url,
        mut headers: HeaderMap,
        schemes: Schemes,
    ) -> Result<Response, FetchError> {
        for _ in 0..=MOST_REDIRECTS {
            self.permit(&url, schemes)?;
            let client = self.outbound.client().map_err(|error| FetchError::Unavailable {
                reason: format!("https cannot be used here: {error}"),
            })?;
            let request = client.get(url.clone()).headers(headers.clone());
            let response = request.send().await.map_err(|error| failed(host_of(&url), &error))?;
            self.outbound.permit_answer(&url, &response).map_err(refused)?;
            let Some(target) = redirect_of(&response, &url) else { return Ok(response) };
            if target.origin() != url.origin() {
                headers.remove(header::AUTHORIZATION);
            }
            url = target;
        }
        let reason = format!("{} redirects more than {MOST_REDIRECTS} times", host_of(&url));
        Err(FetchError::Unavailable { reason })
    }

    fn permit(&self, url: &Url, schemes: Schemes) -> Result<(), FetchError> {
        let host = host_of(url);
        let unsupported = |reason| Err(FetchError::Unsupported { reason });
        let is_local_http = || {
            url.scheme() == "http"
                && schemes == Schemes::OrHttpToLoopback
                && is_loopback_name(host)
                && self.allow.names(host)
        };
        if url.scheme() != "https" && !is_local_http() {
            return unsupported(format!(
                "host {host} is asked over {}, and only https is taken",
                url.scheme()
            ));
        }
        if has_credentials(url) {
            return unsupported(format!("host {host} is asked with credentials in its address"));
        }
        self.outbound.permit(url).map_err(refused)
    }
}

/// What a status that is not 200 means for the artifact `what`.
pub(crate) fn check_status(response: &Response, what: &str) -> Result<(), FetchError> {
    let status = response.status();
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Err(FetchError::Missing { what: format!("{what} (status {})", status.as_u16()) })
        }
        _ => {
            let reason = format!("{what} cannot be had: status {}", status.as_u16());
            Err(FetchError::Unavailable { reason })
        }
    }
}

/// A refusal of the resolver stays one; the rest says what and where.
fn failed(host: &str, error: &reqwest::Error) -> FetchError {
    if let Some(refusal) = outbound::refusal(error) {
        return refused(refusal.clone());
    }
    let causes = outbound::causes(error).unwrap_or_else(|| "the request failed".to_owned());
    FetchError::Unavailable { reason: format!("host {host}: {causes}") }
}

/// With what to change.
fn refused(NotPublic(host): NotPublic) -> FetchError {
    FetchError::Unsupported { reason: not_public(&host) }
}
