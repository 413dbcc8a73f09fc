//! An HTTP client that connects to public addresses only, save for hosts that somebody names.
//!
//! Owns: keeping strangers' requests off this machine and its networks, and what a redirect and a failure
//! say. Never: decides which hosts may be asked, follows a redirect, tells a URL, or takes a certificate
//! that is not verified.
//!
//! An address is looked at when it stands in the URL, when a name is resolved, and when it has answered.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nex_types::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::LOCATION;
use reqwest::{Certificate, Client, Response, Url};

const CONNECT_BOUND: Duration = Duration::from_secs(10);

/// Hosts that may have any address, by their own names.
pub trait NamedHosts: fmt::Debug + Send + Sync + 'static {
    /// Whether it is one of them.
    fn names(&self, host: &str) -> bool;
}

/// A host has no address but such as only named hosts may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host {0} has an address of a private network or of this machine")]
pub struct NotPublic(pub String);

/// The client, and whom it may reach.
#[derive(Debug)]
pub struct Outbound {
    named: Arc<dyn NamedHosts>,
    extra_roots: Vec<Certificate>,
    /// Made when it is first needed.
    client: OnceLock<Result<Client, String>>,
}

impl Outbound {
    /// `extra_roots` are trusted beside the system's.
    #[must_use]
    pub fn new(named: Arc<dyn NamedHosts>, extra_roots: Vec<Certificate>) -> Self {
        Self { named, extra_roots, client: OnceLock::new() }
    }

    /// The client; it follows no redirect and uses no proxy.
    ///
    /// # Errors
    /// When the system gives it no certificates, each time alike.
    pub fn client(&self) -> Result<&Client, &str> {
        let made = self.client.get_or_init(|| {
            // Others in this process may have chosen one before; both are the same.
            let _already_there = rustls::crypto::ring::default_provider().install_default();
            Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(CONNECT_BOUND)
                .pool_max_idle_per_host(1)
                .pool_idle_timeout(Duration::from_secs(30))
                .user_agent(concat!("nex/", env!("CARGO_PKG_VERSION")))
                .tls_certs_merge(self.extra_roots.iter().cloned())
                .dns_resolver(Resolver { named: Arc::clone(&self.named) })
                .build()
                .map_err(|error| causes(&error).unwrap_or_else(|| error.to_string()))
        });
        made.as_ref().map_err(String::as_str)
    }

    /// Before it is asked: names are looked at when they are resolved.
    ///
    /// # Errors
    /// When the host is an address that may not be asked.
    pub fn permit(&self, url: &Url) -> Result<(), NotPublic> {
        let host = host_of(url);
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => self.permit_address(host, address),
            Err(_) => Ok(()),
        }
    }

    /// After it has answered: whatever resolved the name, this is what counts.
    ///
    /// # Errors
    /// When an address answered that may not be asked.
    pub fn permit_answer(&self, url: &Url, response: &Response) -> Result<(), NotPublic> {
        match response.remote_addr() {
            Some(address) => self.permit_address(host_of(url), address.ip()),
            None => Ok(()),
        }
    }

    fn permit_address(&self, host: &str, address: IpAddr) -> Result<(), NotPublic> {
        if is_public(address) || self.named.names(host) {
            return Ok(());
        }
        Err(NotPublic(host.to_owned()))
    }
}

/// The host of a URL; empty when it has none.
#[must_use]
pub fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// Where a response that is a redirect leads.
#[must_use]
pub fn redirect_of(response: &Response, url: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = response.headers().get(LOCATION)?.to_str().ok()?;
    url.join(target).ok()
}

/// The refusal that a failed request stands for, if it is one.
#[must_use]
pub fn refusal(error: &reqwest::Error) -> Option<&NotPublic> {
    chain(Some(error)).find_map(|error| error.downcast_ref())
}

/// An error's causes, without the URL that stands in the error itself and may have credentials in it.
#[must_use]
pub fn causes(error: &reqwest::Error) -> Option<String> {
    let causes: Vec<String> = chain(error.source()).map(ToString::to_string).collect();
    (!causes.is_empty()).then(|| causes.join(": "))
}

/// An error and all its causes.
fn chain<'a>(
    first: Option<&'a (dyn Error + 'static)>,
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(first, |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// A host's name as lists hold it: it means the same in capitals, with a dot at the end, and as an address
/// with brackets or in another spelling.
#[must_use]
pub fn plain(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host.parse::<IpAddr>().map_or(host, |address| address.to_string())
}

/// Resolves a name once; what it gives is what is connected to.
struct Resolver {
    named: Arc<dyn NamedHosts>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let may_be_private = self.named.names(&host);
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let has_addresses = !found.is_empty();
            let is_usable = |address: &SocketAddr| may_be_private || is_public(address.ip());
            let usable: Vec<SocketAddr> = found.into_iter().filter(is_usable).collect();
            if usable.is_empty() && has_addresses {
                return Err(Box::new(NotPublic(host)) as Box<_>);
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}
