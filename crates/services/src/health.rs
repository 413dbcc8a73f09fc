//! Probes of a service's health.
//!
//! Owns: asking, and when the answers were too bad for too long. Never: restarts anything; who watches
//! decides. A probe reaches this machine and NATS alone, follows no redirect and reads no body.

use std::error::Error;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use nex_bus::Client;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How a service is probed. Every time is longer than nothing, and `failures` is at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) probe: Probe,
    /// Between the end of a probe and the next one.
    pub(crate) interval: Duration,
    /// Of one probe.
    pub(crate) timeout: Duration,
    /// So many in a row, and the service is unhealthy.
    pub(crate) failures: u32,
}

/// What must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Takes connections.
    Tcp { address: IpAddr, port: u16 },
    /// Answers GET with 2xx or 3xx; `path` begins with a slash.
    Http { address: IpAddr, port: u16, path: String },
    /// Answers a request, which goes out by `client` of [`watch`]: better the workload's rights than ours.
    Nats { subject: String },
}

/// Probes until the service is unhealthy, and tells why. Before its first success a service has
/// `failures` times `interval` to come up. Nothing is left when this is dropped.
pub(crate) async fn watch(health: Health, client: Client) -> String {
    let began = Instant::now();
    let http = is_http(&health.probe).then(http_client);
    let mut record = Record::new(&health);
    loop {
        let answer = match timeout(health.timeout, ask(&health, &client, http.as_ref())).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {:?}", health.timeout)),
        };
        if let Err(why) = &answer {
            tracing::debug!(%why, "health probe failed");
        }
        if let Some(why) = record.take(answer, began.elapsed()) {
            return why;
        }
        sleep(health.interval).await;
    }
}

/// The latest answers, as far as they count.
#[derive(Debug)]
struct Record {
    most_failures: u32,
    /// Failures before the first success count after this.
    grace: Duration,
    has_worked: bool,
    n_failures: u32,
}

impl Record {
    fn new(health: &Health) -> Self {
        let grace = health.interval.saturating_mul(health.failures);
        Self { most_failures: health.failures, grace, has_worked: false, n_failures: 0 }
    }

    /// Why the service is unhealthy, if with this answer it is.
    fn take(&mut self, answer: Result<(), String>, age: Duration) -> Option<String> {
        let Err(why) = answer else {
            self.has_worked = true;
            self.n_failures = 0;
            return None;
        };
        if !self.has_worked && age < self.grace {
            return None;
        }
        self.n_failures = self.n_failures.saturating_add(1);
        let n_failures = self.n_failures;
        let is_unhealthy = n_failures >= self.most_failures;
        is_unhealthy.then(|| format!("{n_failures} health probes in a row failed: {why}"))
    }
}

async fn ask(
    health: &Health,
    client: &Client,
    http: Option<&Result<reqwest::Client, String>>,
) -> Result<(), String> {
    match &health.probe {
        Probe::Tcp { address, port } => {
            on_this_machine(*address)?;
            let connected = TcpStream::connect((*address, *port)).await;
            connected.map(drop).map_err(|error| format!("{address} port {port}: {error}"))
        }
        Probe::Http { address, port, path } => {
            on_this_machine(*address)?;
            let url = format!("http://{}{path}", SocketAddr::new(*address, *port));
            get(http, &url).await
        }
        Probe::Nats { subject } => {
            let request = nex_bus::request(Bytes::new(), health.timeout);
            let answered = client.send_request(subject.clone(), request).await;
            answered.map(drop).map_err(|error| format!("{subject}: {error}"))
        }
    }
}

async fn get(http: Option<&Result<reqwest::Client, String>>, url: &str) -> Result<(), String> {
    let Some(client) = http else { return Err("http cannot be used here".to_owned()) };
    let response = client.as_ref().map_err(Clone::clone)?.get(url).send().await;
    let status = response.map_err(|error| format!("{url}: {}", innermost(&error)))?.status();
    match status.is_success() || status.is_redirection() {
        true => Ok(()),
        false => Err(format!("{url} answered {status}")),
    }
}

fn is_http(probe: &Probe) -> bool {
    matches!(probe, Probe::Http { .. })
}

fn http_client() -> Result<reqwest::Client, String> {
    // Others in this process may have chosen one before; both are the same.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // A probe shows that new connections are taken, too.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("nex-health/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("http cannot be used here: {}", innermost(&error)))
}

/// A request may not make its node knock at other machines: only what this one has can be bound.
fn on_this_machine(address: IpAddr) -> Result<(), String> {
    match UdpSocket::bind((address, 0)) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{address} is not an address of this machine")),
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
