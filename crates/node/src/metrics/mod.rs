//! What this node and its workloads count, for exporters; nothing of it runs without one.
//!
//! Owns: hearing the metrics of our own workloads, measuring the way to NATS, and when exporters send. Never:
//! believes a message about a workload that does not run here, or the name that a message tells.
//!
//! ```text
//! $NEX.FEED.*.metrics.* ─► ours? sound? ─► Totals ─┐
//! view, supervisors, round trips ──────────────────┴─► Snapshot ─► endpoint, pusher (nex-telemetry)
//! ```

mod reading;
mod restarts;
mod snapshot;
mod totals;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use nex_api::subject;
use nex_bus::{Client, Message, ROUND_TRIP_BOUND, Subscriber, is_connected, round_trip};
use nex_sandbox::OnFailure;
use nex_telemetry::metrics::{
    Endpoint, Format, Outcome, Pusher, Resource, Snapshot, label, message, serve, text,
};
use nex_telemetry::{OtlpSettings, otlp};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub(crate) use restarts::NexletRestarts;

use self::reading::Reading;
use self::snapshot::snapshot;
use self::totals::{Name, Totals};
use crate::control::Shared;

/// How often workloads that are gone are looked for, and the way to NATS is measured.
const LOOK: Duration = Duration::from_secs(10);
/// The last values are sent when the node ends; it waits no longer for that.
const LAST_BOUND: Duration = Duration::from_secs(2);

/// Where metrics go.
#[derive(Debug, Clone, Default)]
pub struct MetricsExport {
    /// `/metrics` is answered here; port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// They are sent here, and how often.
    pub otlp: Option<(OtlpSettings, Duration)>,
}

/// Metrics that cannot be exported as configured.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The address is taken, not of this machine, or not allowed.
    #[error("metrics cannot be offered at {address}")]
    Listen {
        /// As it was given.
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// No client for the collector.
    #[error(transparent)]
    Otlp(#[from] otlp::Error),
    /// NATS does not let the node hear metrics.
    #[error("cannot subscribe to metrics: {0}")]
    Subscribe(String),
}

/// What exporters need, before anything runs.
#[derive(Debug)]
pub(crate) struct Prepared {
    endpoint: Option<Endpoint>,
    pusher: Option<(Pusher, Duration)>,
    feed: Subscriber,
}

/// What was collected. A std mutex over short sections.
#[derive(Debug)]
struct Collected {
    since: SystemTime,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    totals: Totals,
    dropped_messages: u64,
    dropped_exports: u64,
    /// `None` while NATS is away.
    round_trip: Option<Duration>,
}

impl MetricsExport {
    /// Takes the address and subscribes; `None` without an exporter.
    pub(crate) async fn prepare(self, client: &Client) -> Result<Option<Prepared>, MetricsError> {
        if self.listen.is_none() && self.otlp.is_none() {
            return Ok(None);
        }
        let endpoint = match self.listen {
            Some(address) => {
                let bound = Endpoint::bind(address).await;
                Some(bound.map_err(|source| MetricsError::Listen { address, source })?)
            }
            None => None,
        };
        let pusher = self.otlp.map(|(settings, every)| Ok((Pusher::new(&settings)?, every)));
        let pusher = pusher.transpose().map_err(MetricsError::Otlp)?;
        let feed = client.subscribe(subject::metrics("*", "*")).await;
        let feed = feed.map_err(|error| MetricsError::Subscribe(error.to_string()))?;
        Ok(Some(Prepared { endpoint, pusher, feed }))
    }
}

impl Prepared {
    /// Where `/metrics` will be answered.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.endpoint.as_ref().map(Endpoint::address)
    }

    /// Starts all of it. None of it is worth the node's end: a task that fails is logged.
    pub(crate) fn spawn(self, shared: &Arc<Shared>) {
        let (since, inner) = (SystemTime::now(), Mutex::default());
        let collected = Arc::new(Collected { since, inner });
        // Asked once, so that they are there when an exporter asks.
        let _none_yet = shared.view.counts();
        let tasks = &shared.tasks;
        let (of, into) = (Arc::clone(shared), Arc::clone(&collected));
        tasks.spawn("metrics", OnFailure::Log, collect(of, into, self.feed, tasks.token()));
        let (of, into) = (Arc::clone(shared), Arc::clone(&collected));
        tasks.spawn("round trips", OnFailure::Log, measure(of, into, tasks.token()));
        if let Some(endpoint) = self.endpoint {
            announce(endpoint.address());
            let (of, from) = (Arc::clone(shared), Arc::clone(&collected));
            let served = serve(endpoint, move || snapshot(&of, &from));
            tasks.spawn_until(tasks.token(), "metrics endpoint", OnFailure::Log, served);
        }
        if let Some((pusher, every)) = self.pusher {
            let (of, from) = (Arc::clone(shared), Arc::clone(&collected));
            let pushing = push(of, from, pusher, every, tasks.token());
            tasks.spawn("metrics export", OnFailure::Log, pushing);
        }
    }
}

fn announce(address: SocketAddr) {
    tracing::info!(%address, "metrics are answered at /metrics");
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "whoever reaches this address can read the metrics of this node, and the names of its workloads"
        );
    }
}

impl Collected {
    fn with<R>(&self, work: impl FnOnce(&mut Inner) -> R) -> R {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hears all metrics of the account, and keeps those of this node's workloads.
async fn collect(
    shared: Arc<Shared>,
    collected: Arc<Collected>,
    mut feed: Subscriber,
    token: CancellationToken,
) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = feed.next() => match message {
                Some(message) => take(&shared, &collected, &message),
                None => {
                    tracing::warn!("metrics are heard no more: the subscription has ended");
                    return;
                }
            },
            _ = look.tick() => collected.with(|inner| {
                inner.totals.retain(|id| shared.workloads.is_remembered(id));
            }),
            () = token.cancelled() => return,
        }
    }
}

/// What is about somebody else's workload is passed over before it is read.
fn take(shared: &Shared, collected: &Collected, message: &Message) {
    let Some((namespace, id)) = split(&message.subject) else { return };
    let owner = shared.workloads.namespace_of(id);
    if owner.as_deref().is_some_and(|owner| owner != namespace) {
        return collected.with(|inner| inner.dropped_messages += 1);
    }
    if owner.is_none() && !collected.with(|inner| inner.totals.knows(id)) {
        return;
    }
    let reading = Reading::parse(&message.payload, id);
    collected.with(|inner| {
        let (now, name) = (SystemTime::now(), || name_of(shared, id));
        if let Some(reading) = reading.as_ref().filter(|_| shared.workloads.is_older(id)) {
            inner.totals.begin(id, reading, now, name);
        }
        let is_taken = reading.is_some_and(|reading| inner.totals.take(id, reading, now, name));
        inner.dropped_messages += u64::from(!is_taken);
    });
}

/// `$NEX.FEED.<namespace>.metrics.<id>`
fn split(subject: &str) -> Option<(&str, &str)> {
    let (namespace, id) = subject.strip_prefix("$NEX.FEED.")?.split_once(".metrics.")?;
    Some((namespace, id))
}

/// As the request that started it has it.
fn name_of(shared: &Shared, id: &str) -> Option<Name> {
    let request = shared.workloads.get(id)?.request;
    Some(Name {
        namespace: label(&request.namespace),
        name: label(&request.name),
        workload_type: label(&request.workload_type),
    })
}

/// Measures the way to NATS and back.
async fn measure(shared: Arc<Shared>, collected: Arc<Collected>, token: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = token.cancelled() => return,
        }
        let start = Instant::now();
        let is_back =
            is_connected(&shared.client) && round_trip(&shared.client, ROUND_TRIP_BOUND).await;
        let took = is_back.then(|| start.elapsed());
        collected.with(|inner| inner.round_trip = took);
    }
}

/// Sends what there is every so often, and once more at the end.
async fn push(
    shared: Arc<Shared>,
    collected: Arc<Collected>,
    mut pusher: Pusher,
    every: Duration,
    token: CancellationToken,
) {
    let mut due = tokio::time::interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, when there is nothing to tell.
    due.tick().await;
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = token.cancelled() => break,
        }
        let now = snapshot(&shared, &collected);
        tokio::select! {
            outcome = pusher.push(&now) => {
                let n_dropped = u64::from(outcome == Outcome::Dropped);
                collected.with(|inner| inner.dropped_exports += n_dropped);
            }
            () = token.cancelled() => break,
        }
    }
    let now = snapshot(&shared, &collected);
    if tokio::time::timeout(LAST_BOUND, pusher.push(&now)).await.is_err() {
        tracing::debug!("the last metrics were not taken in time");
    }
}

/// Counts messages of a workload `w`, and tells what came of them; for fuzzers.
pub(crate) fn count_all<'m>(payloads: impl Iterator<Item = &'m [u8]>) {
    let mut totals = Totals::default();
    let name =
        || Name { namespace: label("a"), name: label("n"), workload_type: label("javascript") };
    for reading in payloads.filter_map(|payload| Reading::parse(payload, "w")) {
        totals.take("w", reading, SystemTime::UNIX_EPOCH, || Some(name()));
    }
    let resource = Resource { instance_id: String::new(), version: String::new() };
    let families = snapshot::of_workloads(&totals);
    let snapshot = Snapshot { resource, time: SystemTime::UNIX_EPOCH, families };
    let _message = message(&snapshot);
    let _text = text(snapshot, Format::OpenMetrics);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_says_whose_metrics_they_are() {
        assert_eq!(split("$NEX.FEED.a.metrics.w"), Some(("a", "w")));
        assert_eq!(split("$NEX.FEED.a.logs.w"), None);
    }
}
