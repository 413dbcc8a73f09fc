//! Passes over a stream through a consumer that goes away by itself.
//!
//! Owns: its configuration and its end. Never: delivers anywhere but to who asks (it is a pull consumer).

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::message::Message;
use futures::StreamExt;

use super::{Error, Open, other};

/// What a consumer is asked for at once.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;
/// From one message to the next.
const STALL: Duration = Duration::from_secs(2);
/// The server forgets a consumer that nobody asks for so long, where the guest's call ended in between.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// Which messages are wanted, and how much of them.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) filter: &'a str,
    pub(super) from: DeliverPolicy,
    pub(super) headers_only: bool,
}

impl Open {
    /// Calls `take` with each message that is there now; returns how many there were.
    pub(super) async fn pass(
        &self,
        pass: Pass<'_>,
        mut take: impl FnMut(&Message) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let consumer = self.consumer(pass).await?;
        let mut n_left = consumer.cached_info().num_pending;
        let name = consumer.cached_info().name.clone();
        while n_left > 0 {
            let wanted = usize::try_from(n_left).unwrap_or(BATCH).min(BATCH);
            let batch = consumer.fetch().max_messages(wanted).max_bytes(BATCH_BYTES);
            let mut batch = batch.messages().await.map_err(|error| other(&self.bucket, &error))?;
            let mut n_seen = 0_u64;
            while let Ok(Some(message)) = tokio::time::timeout(STALL, batch.next()).await {
                let message = message.map_err(|error| other(&self.bucket, &error))?;
                n_seen += 1;
                n_left = message.info().map_err(|error| other(&self.bucket, &error))?.pending;
                take(&message)?;
            }
            // The last ones may have been removed since they were counted.
            if n_seen == 0 {
                break;
            }
        }
        let _forgotten_later_then = self.stream.delete_consumer(&name).await;
        Ok(())
    }

    /// The first message that there is, now or later.
    pub(super) async fn first(&self, pass: Pass<'_>) -> Result<Message, Error> {
        const PULL: Duration = Duration::from_secs(20);
        let consumer = self.consumer(pass).await?;
        let name = consumer.cached_info().name.clone();
        loop {
            let batch = consumer.batch().max_messages(1).expires(PULL);
            let mut batch = batch.messages().await.map_err(|error| other(&self.bucket, &error))?;
            match batch.next().await {
                Some(Ok(message)) => {
                    let _forgotten_later_then = self.stream.delete_consumer(&name).await;
                    return Ok(message);
                }
                Some(Err(error)) => return Err(other(&self.bucket, &error)),
                // Nothing in this time; also when the bucket is gone, which the next pull tells.
                None => {}
            }
        }
    }

    async fn consumer(&self, pass: Pass<'_>) -> Result<Consumer<Config>, Error> {
        let config = Config {
            deliver_policy: pass.from,
            ack_policy: AckPolicy::None,
            filter_subject: pass.filter.to_owned(),
            headers_only: pass.headers_only,
            inactive_threshold: FORGOTTEN_AFTER,
            num_replicas: 1,
            memory_storage: true,
            ..Config::default()
        };
        let made = async {
            self.stream.create_consumer(config).await.map_err(|error| other(&self.bucket, &error))
        };
        self.bounded(made).await
    }
}
