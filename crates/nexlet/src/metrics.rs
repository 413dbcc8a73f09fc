//! Metrics of workloads on their way to the feed (spec: control API, section 8.4).
//!
//! Owns: when each workload's are published, so that a thousand of them make no burst, and what stands around
//! them. Never: counts anything, or keeps what NATS does not take: the next publish has it all.
//!
//! ```text
//! start ─► within a second ─► at a moment of its own in each period ─► … ─► once more at the end
//!                              └ unchanged: not published, but for once in 30 s
//! ```

mod schedule;

use std::sync::Arc;
use std::time::Duration;

use nex_api::log::{GROUP_HEADER, NAME_HEADER, NAMESPACE_HEADER, NODE_HEADER};
use nex_api::metrics::{FunctionMetrics, ProcessMetrics, WorkloadMetrics};
use nex_api::{Time, encode, subject};
use nex_bus::is_connected;
use nex_bus::service::header_map;
use nex_types::Id;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::Ending;
use crate::server::Server;
use crate::table::Metered;
use schedule::Schedule;

/// How finely publishes are spread: twenty moments in each period.
const TICK: Duration = Duration::from_millis(250);

/// What a workload has counted since it started; what does not apply is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// As a function.
    pub function: Option<FunctionMetrics>,
    /// As a program of its own.
    pub process: Option<ProcessMetrics>,
}

impl Metrics {
    /// Those of a workload, read now.
    pub(crate) fn of(self, id: &Id, metered: &Metered) -> WorkloadMetrics {
        WorkloadMetrics {
            function: self.function,
            id: id.to_string(),
            name: metered.name.to_string(),
            namespace: metered.namespace.to_string(),
            process: self.process,
            time: Time::now(),
            workload_type: metered.workload_type.clone(),
        }
    }
}

/// Publishes what the workloads of `server` count, until `token` is cancelled.
pub(crate) async fn publish_all(server: Arc<Server>, token: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut schedule = Schedule::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = token.cancelled() => return,
        }
        // While NATS is away nothing queues up. After a hand-over the ids are another nexlet's, which
        // counts from zero: two that tell of one id would look like one that starts again and again.
        if is_connected(&server.client) && *server.ending.borrow() != Some(Ending::HandOver) {
            publish_due(&server, &mut schedule).await;
        }
    }
}

async fn publish_due(server: &Server, schedule: &mut Schedule) {
    let now = Instant::now();
    let due = schedule.round(|round| server.table.metered(|id| round.is_due(id, now)));
    for (id, metered) in due {
        if let Some(metrics) = metered.workload.metrics()
            && schedule.is_news(&id, &metrics, now)
        {
            publish(server, metrics.of(&id, &metered)).await;
        }
    }
}

/// What the workload counted until its end.
pub(crate) async fn publish_last(server: &Server, id: &Id, metered: &Metered) {
    if let Some(metrics) = metered.workload.metrics() {
        publish(server, metrics.of(id, metered)).await;
    }
}

async fn publish(server: &Server, metrics: WorkloadMetrics) {
    let headers = [
        (GROUP_HEADER, String::new()),
        (NAMESPACE_HEADER, metrics.namespace.clone()),
        (NAME_HEADER, metrics.name.clone()),
        (NODE_HEADER, server.node_id.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let subject = subject::metrics(&metrics.namespace, &metrics.id);
    let body = encode(&metrics).into();
    let sent = server.client.publish_with_headers(subject, header_map(&headers), body);
    if let Err(error) = sent.await {
        tracing::debug!(workload.id = metrics.id, %error, "metrics not published");
    }
}
