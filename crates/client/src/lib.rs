//! Typed client of the control API: what the CLI and every other face of Nex use.
//!
//! Owns: requests, scatter-gather and their bounds, errors as values. Never: prints.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod clone;
mod copies;
mod deploy;
mod error;
mod feed;
mod fleet;
mod history;
mod in_use;
mod known;
mod lameduck;
mod lease;
mod metrics;
mod nodes;
mod observe;
mod overview;
mod owner;
mod view;
mod workloads;

use std::time::Duration;

use nex_api::{decode, encode, subject};
use nex_bus::gather::{Bounds, Gathered, gather};
use nex_bus::{Client as Nats, Message};
use nex_telemetry::traces::Scope;
use nex_types::Namespace;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use copies::Copies;
pub use deploy::{Placement, sealed};
pub use error::{Error, Refusal};
pub use feed::{EventLine, Events, LogRecord};
pub use fleet::{Fleet, Member};
pub use history::History;
pub use lease::{Lease, Leases};
pub use metrics::{Counted, MetricsFeed};
pub use nex_bus::history::{Begin, HistoryError};
pub use observe::{Observed, observe};
pub use overview::Overview;

/// Where the view does not tell how many will answer, the wait ends this long after the last reply …
const STALL: Duration = Duration::from_millis(100);
/// … and at most after this.
const TOTAL: Duration = Duration::from_secs(1);

/// A client that acts for one namespace.
#[derive(Debug, Clone)]
pub struct Client {
    nats: Nats,
    namespace: Namespace,
    scope: Scope,
}

impl Client {
    /// A client over an open connection.
    #[must_use]
    pub fn new(nats: Nats, namespace: Namespace) -> Self {
        Self { nats, namespace, scope: Scope::none() }
    }

    /// Whose deploys are part of a trace.
    #[must_use]
    pub fn within(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// The namespace that it acts for.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The connection.
    #[must_use]
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// One request to all nodes.
    async fn ask_all(
        &self,
        namespace: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<Gathered, Error> {
        let subject = subject::control(namespace, verb);
        let bounds = Bounds { total: TOTAL, stall: STALL, max: None };
        gather(&self.nats, subject, encode(body).into(), bounds, |_| false)
            .await
            .map_err(|error| Error::Nats(error.to_string()))
    }

    /// One request to one answerer.
    async fn ask_one<T: DeserializeOwned + Default>(
        &self,
        subject: String,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<T, Error> {
        let request = nex_bus::request(body.into(), patience);
        let reply = self.nats.send_request(subject, request).await?;
        read(&reply)
    }
}

/// An answer as its message, or the refusal that it is.
fn read<T: DeserializeOwned + Default>(reply: &Message) -> Result<T, Error> {
    if let Some(refusal) = Refusal::of(reply) {
        return Err(Error::Refused(refusal));
    }
    decode(&reply.payload).map_err(|error| Error::Unreadable(error.to_string()))
}
