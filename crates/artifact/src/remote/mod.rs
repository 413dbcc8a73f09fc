//! Web servers and registries: requests that lead to public hosts only, or to those that the node allows.
//!
//! Owns: redirects, the protection of this machine and its networks, bounds, and the words for hosts that
//! fail. Never: sends to an address that was not looked at, takes a certificate that is not verified, or
//! tells a path or a query.
//!
//! Whoever deploys names the address, and the node is who asks: it stands where strangers do not.

mod body;
mod hosts;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nex_types::is_public;
use reqwest::header::{self, HeaderMap};
use reqwest::{Certificate, Response, StatusCode, Url};
use tokio::sync::Semaphore;

pub(crate) use self::body::{read_whole, stream};
pub(crate) use self::hosts::{AllowedHosts, is_loopback_name};
use self::hosts::{Refused, Resolver, not_public};
use crate::FetchError;
use crate::address::has_credentials;

const CONNECT_BOUND: Duration = Duration::from_secs(10);
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
    extra_roots: Arc<[Certificate]>,
    /// Made when it is first needed.
    client: Arc<OnceLock<Result<reqwest::Client, String>>>,
    places: Arc<Semaphore>,
}

impl Remote {
    pub(crate) fn new(allow: AllowedHosts, extra_roots: Vec<Certificate>) -> Self {
        Self {
            allow: Arc::new(allow),
            extra_roots: extra_roots.into(),
            client: Arc::default(),
            places: Arc::new(Semaphore::new(PLACES)),
        }
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
            let request = self.client()?.get(url.clone()).headers(headers.clone());
            let response = request.send().await.map_err(|error| failed(host_of(&url), &error))?;
            // Whatever resolved the name: what answered is what counts.
            if let Some(address) = response.remote_addr() {
                self.permit_address(&url, address.ip())?;
            }
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
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => self.permit_address(url, address),
            Err(_) => Ok(()),
        }
    }

    fn permit_address(&self, url: &Url, address: IpAddr) -> Result<(), FetchError> {
        let host = host_of(url);
        if is_public(address) || self.allow.names(host) {
            return Ok(());
        }
        Err(FetchError::Unsupported { reason: not_public(host) })
    }

    fn client(&self) -> Result<&reqwest::Client, FetchError> {
        let made = self.client.get_or_init(|| {
            // Others in this process may have chosen one before; both are the same.
            let _already_there = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(CONNECT_BOUND)
                .pool_max_idle_per_host(1)
                .pool_idle_timeout(Duration::from_secs(30))
                .user_agent(concat!("nex/", env!("CARGO_PKG_VERSION")))
                .tls_certs_merge(self.extra_roots.iter().cloned())
                .dns_resolver(Resolver { allow: Arc::clone(&self.allow) })
                .build()
                .map_err(|error| chain(&error))
        });
        made.as_ref().map_err(|error| FetchError::Unavailable {
            reason: format!("https cannot be used here: {error}"),
        })
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

pub(crate) fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

fn redirect_of(response: &Response, url: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = response.headers().get(header::LOCATION)?.to_str().ok()?;
    url.join(target).ok()
}

/// A refusal of the resolver stays one; the rest says what and where.
fn failed(host: &str, error: &reqwest::Error) -> FetchError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return FetchError::Unsupported { reason: refused.to_string() };
        }
        source = error.source();
    }
    FetchError::Unavailable { reason: format!("host {host}: {}", chain(error)) }
}

/// An error's causes, without the URL that stands in it.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        causes.push(error.to_string());
        source = error.source();
    }
    if causes.is_empty() { "the request failed".to_owned() } else { causes.join(": ") }
}
