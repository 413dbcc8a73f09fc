//! A bucket read through an ordered consumer, for servers and buckets without direct gets.
//!
//! Owns: one pass over the last message of each key. Never: leaves the consumer of a pass behind, which
//! would slow the bucket down for everybody until the server clears it away.

use async_nats::Client;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::consumer::{Consumer, DeliverPolicy, ReplayPolicy};
use futures::StreamExt;
use nex_api::Time;

use super::{Entry, OPERATION_HEADER, STALL, SnapshotError, other};
use crate::streams::context;

/// The entries of one bucket.
pub(super) async fn read(
    client: &Client,
    bucket: &str,
    filter: &str,
    now: Time,
) -> Result<Vec<Entry>, SnapshotError> {
    let prefix = format!("$KV.{bucket}.");
    let stream = context(client)
        .get_stream_no_info(format!("KV_{bucket}"))
        .await
        .map_err(|error| other(bucket, &error))?;
    let config = OrderedConfig {
        deliver_subject: client.new_inbox(),
        deliver_policy: DeliverPolicy::LastPerSubject,
        filter_subject: format!("{prefix}{filter}"),
        replay_policy: ReplayPolicy::Instant,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(|error| other(bucket, &error))?;
    let name = consumer.cached_info().name.clone();
    let entries = pass(consumer, bucket, &prefix, now).await;
    let _gone_later_then = stream.delete_consumer(&name).await;
    entries
}

async fn pass(
    consumer: Consumer<OrderedConfig>,
    bucket: &str,
    prefix: &str,
    now: Time,
) -> Result<Vec<Entry>, SnapshotError> {
    let mut n_left = consumer.cached_info().num_pending;
    let mut messages = consumer.messages().await.map_err(|error| other(bucket, &error))?;
    let mut entries = Vec::new();
    while n_left > 0 {
        // The last ones may have been removed since they were counted.
        let Ok(Some(message)) = tokio::time::timeout(STALL, messages.next()).await else { break };
        let message = message.map_err(|error| other(bucket, &error))?;
        let info = message.info().map_err(|reason| SnapshotError::Other {
            bucket: bucket.to_owned(),
            reason: reason.to_string(),
        })?;
        n_left = info.pending;
        let is_marker = message.headers.as_ref().is_some_and(|h| h.get(OPERATION_HEADER).is_some());
        let Some(key) = message.subject.strip_prefix(prefix).filter(|_| !is_marker) else {
            continue;
        };
        let written = Time::from_unix_nanos(info.published.unix_timestamp_nanos());
        entries.push(Entry {
            key: key.to_owned(),
            value: message.payload.clone(),
            age: now.since(written),
            revision: info.stream_sequence,
        });
    }
    Ok(entries)
}
