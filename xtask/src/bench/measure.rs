//! One measurement of one subject: the latency of requests one by one, and the throughput of many callers.
//!
//! Owns: the callers. Never: knows who answers.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;

const PAYLOAD_BYTES: usize = 128;
const WARM_UP: usize = 50;

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    n_sequential: usize,
    n_callers: usize,
    n_per_caller: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self { n_sequential: 1000, n_callers: 64, n_per_caller: 400 }
    }
}

impl Load {
    /// For many pairs in quick turns.
    pub(super) const BRIEF: Self = Self { n_sequential: 200, n_callers: 64, n_per_caller: 60 };
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) per_second: f64,
}

pub(super) fn payload() -> Bytes {
    Bytes::from_static(&[b'x'; PAYLOAD_BYTES])
}

/// Asks `subject` one by one, then by many callers at once.
pub(super) async fn measure(
    client: &async_nats::Client,
    subject: &str,
    load: Load,
) -> anyhow::Result<Sample> {
    for _ in 0..WARM_UP {
        ask(client, subject).await?;
    }
    let mut latencies = Vec::with_capacity(load.n_sequential);
    for _ in 0..load.n_sequential {
        let start = Instant::now();
        ask(client, subject).await?;
        latencies.push(start.elapsed());
    }
    latencies.sort_unstable();
    Ok(Sample {
        p50: percentile(&latencies, 50),
        p99: percentile(&latencies, 99),
        per_second: throughput(client, subject, load).await?,
    })
}

async fn throughput(client: &async_nats::Client, subject: &str, load: Load) -> anyhow::Result<f64> {
    let start = Instant::now();
    let callers = (0..load.n_callers).map(|_| {
        let (client, subject) = (client.clone(), subject.to_owned());
        tokio::spawn(async move {
            for _ in 0..load.n_per_caller {
                ask(&client, &subject).await?;
            }
            anyhow::Ok(())
        })
    });
    for caller in futures::future::join_all(callers).await {
        caller.context("a caller panicked")??;
    }
    let n_requests = u32::try_from(load.n_callers * load.n_per_caller)?;
    Ok(f64::from(n_requests) / start.elapsed().as_secs_f64())
}

async fn ask(client: &async_nats::Client, subject: &str) -> anyhow::Result<()> {
    let reply = client.request(subject.to_owned(), payload()).await;
    let reply = reply.with_context(|| format!("a request to {subject}"))?;
    ensure!(reply.headers.is_none(), "{subject} answers with an error: {:?}", reply.headers);
    Ok(())
}

/// A percentile of sorted values.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let idx = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(idx).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred_values() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_micros(51));
        assert_eq!(percentile(&sorted, 99), Duration::from_micros(100));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
