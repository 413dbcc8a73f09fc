//! Leases on names, so that two who deploy one name do it one after the other; and tombstones, so
//! that a node that was away does not bring a replaced workload back (spec: CLI, "Replacing").
//!
//! Owns: taking, renewing and giving back; burying. Never: holds a lease longer than it renews it: a
//! holder that was killed loses it after some 12 s, by the server's clock.

use std::time::Duration;

use bytes::Bytes;
use nex_api::lease::{LEASE_LIFE, RENEW_EVERY, TOMBSTONE_LIFE, bucket, lease_key, tombstone_key};
use nex_bus::kv::{Bucket, Config, Written};
use nex_types::Id;
use tokio::time::Instant;

use crate::{Client, Error};

/// How often it is tried while somebody else has it.
const RETRY: Duration = Duration::from_millis(200);
/// How often it is looked whether the holder renews it.
const LOOK: Duration = Duration::from_secs(2);

/// Leases and tombstones of one namespace.
#[derive(Debug)]
pub struct Leases {
    nats: nex_bus::Client,
    name: String,
    bucket: Bucket,
}

/// A lease that is held.
#[derive(Debug)]
pub struct Lease<'a> {
    leases: &'a Leases,
    key: String,
    holder: Bytes,
    revision: u64,
}

impl Client {
    /// The leases of this client's namespace; none without JetStream.
    ///
    /// # Errors
    /// When JetStream is there and refuses.
    pub async fn leases(&self) -> Result<Option<Leases>, Error> {
        let name = bucket(self.namespace.as_str());
        let config = Config {
            bucket: name.clone(),
            description: "leases on names and tombstones of workloads (nex)".to_owned(),
            max_age: TOMBSTONE_LIFE,
            ..Config::default()
        };
        match Bucket::open_or_create(&self.nats, &config).await {
            Ok(bucket) => Ok(Some(Leases { nats: self.nats.clone(), name, bucket })),
            Err(_) if !nex_bus::streams::has_jetstream(&self.nats).await => Ok(None),
            Err(error) => Err(Error::Nats(error.to_string())),
        }
    }
}

impl Leases {
    /// Takes the lease on `name`; tells `waits` once when somebody else has it.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it does not become free within `patience`.
    pub async fn take(
        &self,
        name: &str,
        patience: Duration,
        waits: impl FnOnce(),
    ) -> Result<Lease<'_>, Error> {
        let (key, holder) = (lease_key(name), Bytes::from(Id::random().to_string()));
        let deadline = Instant::now() + patience;
        let mut waits = Some(waits);
        let mut looked: Option<Instant> = None;
        loop {
            let mut written = self.bucket.create(&key, holder.clone()).await;
            let is_due = looked.is_none_or(|at| at.elapsed() >= LOOK);
            if matches!(written, Ok(Written::NotAsThought)) && is_due {
                looked = Some(Instant::now());
                written = self.take_over(&key, &holder).await;
            }
            match written {
                Ok(Written::At(revision)) => {
                    return Ok(Lease { leases: self, key, holder, revision });
                }
                Ok(Written::NotAsThought) => {}
                Err(error) => return Err(Error::Nats(error.to_string())),
            }
            if let Some(waits) = waits.take() {
                waits();
            }
            if Instant::now() >= deadline {
                return Err(Error::TimedOut);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Writes a tombstone for each of these workloads.
    ///
    /// # Errors
    /// When JetStream does not take one.
    pub async fn bury<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        let bury =
            |id: &'a str| async move { self.bucket.put(&tombstone_key(id), Bytes::new()).await };
        let buried = futures::future::try_join_all(ids.into_iter().map(bury)).await;
        buried.map(|_| ()).map_err(|error| Error::Nats(error.to_string()))
    }

    /// Takes a lease that its holder has not renewed.
    async fn take_over(&self, key: &str, holder: &Bytes) -> Result<Written, nex_bus::kv::Error> {
        let entries = nex_bus::snapshot(&self.nats, &self.name, key).await.unwrap_or_default();
        match entries.first() {
            Some(entry) if entry.age > LEASE_LIFE => {
                self.bucket.update(key, holder.clone(), entry.revision).await
            }
            _ => Ok(Written::NotAsThought),
        }
    }
}

impl Lease<'_> {
    /// Does `work` while the lease is renewed, and gives it back.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when it could not be renewed: `work` was dropped in the middle.
    pub async fn hold<T>(mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        let done = tokio::select! {
            done = work => done,
            () = self.until_lost() => return Err(Error::LeaseLost),
        };
        // When this fails, the lease ends by itself.
        let _ends_by_itself = self.leases.bucket.delete_at(&self.key, self.revision).await;
        Ok(done)
    }

    async fn until_lost(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < LEASE_LIFE {
            tokio::time::sleep(RENEW_EVERY).await;
            let update = self.leases.bucket.update(&self.key, self.holder.clone(), self.revision);
            match update.await {
                Ok(Written::At(revision)) => {
                    self.revision = revision;
                    renewed = Instant::now();
                }
                Ok(Written::NotAsThought) => return,
                Err(_) => {}
            }
        }
    }
}
