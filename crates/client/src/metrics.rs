//! What workloads count: as it passes, and as it is now.
//!
//! Owns: reading the feed, and asking nodes. Never: adds up, keeps, or believes a message about another
//! workload than the one of its subject.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use nex_api::metrics::WorkloadMetrics;
use nex_api::subject;
use nex_api::workload::{ListWorkloadsRequest, WorkloadState, WorkloadSummary, fact};
use nex_bus::gather::{Bounds, gather};
use nex_bus::{Message, Subscriber};

use crate::{Client, Error, STALL, read};

/// A longer message is not read: ours have less than 2 KiB.
const LONGEST: usize = 64 * 1024;
/// Nodes answer within milliseconds; whoever asks goes on without those that do not.
const NOW_BOUND: Duration = Duration::from_millis(500);

/// The feed of metrics, as it passes: of each workload every five seconds at most, and of an idle one every
/// thirty.
#[derive(Debug)]
pub struct MetricsFeed(Subscriber);

impl MetricsFeed {
    /// The next metrics of a workload; none when the connection is closed. What cannot be read is passed
    /// over.
    pub async fn next(&mut self) -> Option<WorkloadMetrics> {
        loop {
            let message = self.0.next().await?;
            if let Some(metrics) = of_feed(&message.subject, &message.payload) {
                return Some(metrics);
            }
        }
    }
}

/// A workload with what it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// As a list shows it.
    pub summary: WorkloadSummary,
    /// None where it counts nothing, or its node did not tell in time.
    pub metrics: Option<WorkloadMetrics>,
}

impl Client {
    /// Follows the metrics of all workloads that this client may see.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn metrics(&self) -> Result<MetricsFeed, Error> {
        let namespace = if self.is_system() { "*" } else { self.namespace.as_str() };
        let subscriber = self.nats.subscribe(subject::metrics(namespace, "*")).await;
        let subscriber = subscriber.map_err(|error| Error::Nats(error.to_string()))?;
        nex_bus::round_trip(&self.nats, nex_bus::ROUND_TRIP_BOUND).await;
        Ok(MetricsFeed(subscriber))
    }

    /// These workloads as their nexlets tell of them now, with what they count. What nobody tells of in time
    /// stays as it was listed.
    ///
    /// # Errors
    /// When NATS fails.
    pub async fn counted(&self, listed: Vec<WorkloadSummary>) -> Result<Vec<Counted>, Error> {
        let can_answer = |w: &&WorkloadSummary| w.workload_state != WorkloadState::Unknown;
        let wanted = listed.iter().filter(can_answer).map(|w| w.id.clone()).collect();
        let mut told = self.ask_metrics(wanted).await?;
        let counted = listed.into_iter().map(|listed| {
            let mut summary = told.remove(&listed.id).unwrap_or(listed);
            let metrics = summary.metadata.remove(fact::METRICS);
            let metrics = metrics.and_then(|text| of_text(text.as_bytes()));
            Counted { metrics: metrics.filter(|metrics| metrics.id == summary.id), summary }
        });
        Ok(counted.collect())
    }

    async fn ask_metrics(
        &self,
        wanted: BTreeSet<String>,
    ) -> Result<BTreeMap<String, WorkloadSummary>, Error> {
        let mut told = BTreeMap::new();
        if wanted.is_empty() {
            return Ok(told);
        }
        let namespace = self.namespace.as_str();
        let request = ListWorkloadsRequest {
            filter: wanted.iter().cloned().collect(),
            metrics: true,
            namespace: namespace.to_owned(),
        };
        let subject = subject::control(namespace, "WPING");
        let bounds = Bounds { total: NOW_BOUND, stall: STALL, max: None };
        let are_all_told = |message: &Message| {
            let list = read::<Vec<WorkloadSummary>>(message).unwrap_or_default();
            let asked = list.into_iter().filter(|w| wanted.contains(&w.id));
            told.extend(asked.map(|w| (w.id.clone(), w)));
            told.len() == wanted.len()
        };
        gather(&self.nats, subject, nex_api::encode(&request).into(), bounds, are_all_told)
            .await
            .map_err(|error| Error::Nats(error.to_string()))?;
        Ok(told)
    }
}

/// Whose they are, the subject says: who may publish on it, the server decides.
fn of_feed(subject: &str, payload: &[u8]) -> Option<WorkloadMetrics> {
    let mut tokens = subject.split('.').skip(2);
    let namespace = tokens.next()?;
    let id = tokens.nth(1)?;
    let metrics = of_text(payload)?;
    Some(WorkloadMetrics { id: id.to_owned(), namespace: namespace.to_owned(), ..metrics })
}

fn of_text(bytes: &[u8]) -> Option<WorkloadMetrics> {
    (bytes.len() <= LONGEST).then(|| serde_json::from_slice(bytes).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_says_whose_metrics_they_are_and_what_cannot_be_read_is_passed_over() {
        let payload = br#"{"id":"other","name":"n","namespace":"other","type":"t",
            "time":"2026-01-01T00:00:00Z","process":{"restarts":2}}"#;
        let metrics = of_feed("$NEX.FEED.shop.metrics.w1", payload).unwrap();
        assert_eq!((metrics.namespace.as_str(), metrics.id.as_str()), ("shop", "w1"));
        assert_eq!(metrics.process.unwrap().restarts, 2);
        assert_eq!(of_feed("$NEX.FEED.shop", payload), None);
        assert_eq!(of_feed("$NEX.FEED.shop.metrics.w1", b"opaque"), None);
        let long = format!("{}{}", " ".repeat(LONGEST), String::from_utf8_lossy(payload));
        assert_eq!(of_feed("$NEX.FEED.shop.metrics.w1", long.as_bytes()), None);
    }
}
