//! `wasi:keyvalue`: a bucket is a JetStream bucket; `""` and `default` name the workload's own.
//!
//! Owns: the translation, counters as decimal text, and pages by number. Never: decides which bucket is
//! allowed.

use std::collections::VecDeque;

use bytes::Bytes;
use nex_functions::Span;
use nex_functions::host::{Entry, Host, HostError, KeyValue, bucket_span, traced};
use nex_functions::runtime::Operation;
use wasmtime::component::Resource;

use super::bindings::wasi::keyvalue::{atomics, batch, store};
use super::errors::{KeyValueError, switched_off};
use super::state::State;

/// Keys of one page.
const PAGE: usize = 1000;

/// Places in the list of keys that a bucket remembers; older ones cannot be gone on from.
const MAX_CURSORS: usize = 64;

/// Attempts to count before somebody else's counting is an error.
const MAX_ATTEMPTS: usize = 32;

/// Keys of one batch.
const MAX_BATCH: usize = 1024;

/// An opened bucket.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Bucket {
    /// `None`: the workload's own.
    name: Option<String>,
    /// The interface's cursors are numbers, the service's are text.
    cursors: VecDeque<(u64, String)>,
    next_cursor: u64,
}

type Handle = Resource<Bucket>;

impl store::Host for State {
    async fn open(&mut self, identifier: String) -> Result<Handle, KeyValueError> {
        service(&self.host)?;
        let name = Some(identifier).filter(|name| !name.is_empty() && name != "default");
        if name.as_ref().is_some_and(|name| name.len() > 256) {
            return Err(KeyValueError::NoSuchStore);
        }
        Ok(self.table.push(Bucket { name, cursors: VecDeque::new(), next_cursor: 1 })?)
    }

    fn convert_error(&mut self, error: KeyValueError) -> wasmtime::Result<store::Error> {
        self.convert_key_value(error)
    }
}

impl store::HostBucket for State {
    async fn get(&mut self, bucket: Handle, key: String) -> Result<Option<Vec<u8>>, KeyValueError> {
        let (service, bucket) = self.bucket(&bucket)?;
        let found = traced(self.span("kv get", bucket), value(service, bucket, &key)).await?;
        Ok(found.map(|entry| entry.value.to_vec()))
    }

    async fn set(
        &mut self,
        bucket: Handle,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), KeyValueError> {
        let (service, bucket) = self.bucket(&bucket)?;
        let setting = service.set(bucket, &key, value.into(), None);
        traced(self.span("kv put", bucket), setting).await?;
        Ok(())
    }

    async fn delete(&mut self, bucket: Handle, key: String) -> Result<(), KeyValueError> {
        let (service, bucket) = self.bucket(&bucket)?;
        let span = self.span("kv delete", bucket);
        Ok(traced(span, service.delete(bucket, &key, None)).await?)
    }

    async fn exists(&mut self, bucket: Handle, key: String) -> Result<bool, KeyValueError> {
        let (service, bucket) = self.bucket(&bucket)?;
        let found = traced(self.span("kv get", bucket), value(service, bucket, &key)).await?;
        Ok(found.is_some())
    }

    async fn list_keys(
        &mut self,
        bucket: Handle,
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, KeyValueError> {
        let cursor = match cursor {
            None => None,
            Some(number) => Some(self.table.get(&bucket)?.cursor(number)?),
        };
        let (service, name) = self.bucket(&bucket)?;
        let listing = service.keys(name, "", cursor.as_deref(), PAGE);
        let page = traced(self.span("kv keys", name), listing).await?;
        let bucket = self.table.get_mut(&bucket)?;
        let cursor = page.cursor.map(|text| bucket.remember(text));
        Ok(store::KeyResponse { keys: page.keys, cursor })
    }

    async fn drop(&mut self, bucket: Handle) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for State {
    async fn increment(
        &mut self,
        bucket: Handle,
        key: String,
        delta: u64,
    ) -> Result<u64, KeyValueError> {
        let (service, bucket) = self.bucket(&bucket)?;
        let span = self.span("kv increment", bucket);
        Ok(traced(span, increment(service, bucket, &key, delta)).await?)
    }
}

async fn increment(
    service: &KeyValue,
    bucket: Option<&str>,
    key: &str,
    delta: u64,
) -> Result<u64, HostError> {
    let mut last = HostError::Conflict(format!("{key} changes all the time"));
    for _ in 0..MAX_ATTEMPTS {
        let entry = value(service, bucket, key).await?;
        let sum = number(key, entry.as_ref())?
            .checked_add(delta)
            .ok_or_else(|| HostError::Invalid(format!("{key} would be larger than a u64")))?;
        let text = Bytes::from(sum.to_string());
        let written = match entry {
            None => service.create(bucket, key, text, None).await,
            Some(entry) => service.update(bucket, key, text, entry.revision).await,
        };
        match written {
            Ok(_) => return Ok(sum),
            // Somebody else counted in between.
            Err(error @ HostError::Conflict(_)) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

impl batch::Host for State {
    async fn get_many(
        &mut self,
        bucket: Handle,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, KeyValueError> {
        refuse_large(keys.len())?;
        let mut left = usize::try_from(self.memory_limit).unwrap_or(usize::MAX);
        let (service, bucket) = self.bucket(&bucket)?;
        let too_large =
            || HostError::Invalid("the values are larger than the function's memory".to_owned());
        let reading = async {
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                let entry = value(service, bucket, &key).await?;
                let taken = entry.as_ref().map_or(0, |entry| entry.value.len());
                left = left.checked_sub(taken).ok_or_else(too_large)?;
                values.push(entry.map(|entry| (key, entry.value.to_vec())));
            }
            Ok(values)
        };
        Ok(traced(self.span("kv get many", bucket), reading).await?)
    }

    async fn set_many(
        &mut self,
        bucket: Handle,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> Result<(), KeyValueError> {
        refuse_large(key_values.len())?;
        let (service, bucket) = self.bucket(&bucket)?;
        let setting = async {
            for (key, value) in key_values {
                service.set(bucket, &key, value.into(), None).await?;
            }
            Ok(())
        };
        Ok(traced(self.span("kv put many", bucket), setting).await?)
    }

    async fn delete_many(
        &mut self,
        bucket: Handle,
        keys: Vec<String>,
    ) -> Result<(), KeyValueError> {
        refuse_large(keys.len())?;
        let (service, bucket) = self.bucket(&bucket)?;
        let deleting = async {
            for key in keys {
                service.delete(bucket, &key, None).await?;
            }
            Ok(())
        };
        Ok(traced(self.span("kv delete many", bucket), deleting).await?)
    }
}

impl State {
    fn span(&self, name: &'static str, bucket: Option<&str>) -> Span {
        bucket_span(&self.scope, name, bucket)
    }

    fn bucket(&self, bucket: &Handle) -> Result<(&KeyValue, Option<&str>), KeyValueError> {
        Ok((service(&self.host)?, self.table.get(bucket)?.name.as_deref()))
    }
}

impl Bucket {
    fn cursor(&self, number: u64) -> Result<String, HostError> {
        let known = self.cursors.iter().find(|(known, _)| *known == number);
        known.map(|(_, text)| text.clone()).ok_or_else(|| {
            HostError::Invalid(format!("{number} is no cursor of this bucket, or too old a one"))
        })
    }

    fn remember(&mut self, text: String) -> u64 {
        if self.cursors.len() == MAX_CURSORS {
            self.cursors.pop_front();
        }
        let number = self.next_cursor;
        self.next_cursor += 1;
        self.cursors.push_back((number, text));
        number
    }
}

fn service(host: &Host) -> Result<&KeyValue, KeyValueError> {
    host.key_value.as_ref().ok_or_else(|| switched_off("key-value").into())
}

/// The latest revision, unless that is a deletion.
async fn value(
    service: &KeyValue,
    bucket: Option<&str>,
    key: &str,
) -> Result<Option<Entry>, HostError> {
    let entry = service.get(bucket, key).await?;
    Ok(entry.filter(|entry| entry.operation == Operation::Put))
}

fn number(key: &str, entry: Option<&Entry>) -> Result<u64, HostError> {
    let Some(entry) = entry else { return Ok(0) };
    std::str::from_utf8(&entry.value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| HostError::Invalid(format!("the value of {key} is not a decimal number")))
}

fn refuse_large(n_keys: usize) -> Result<(), HostError> {
    if n_keys <= MAX_BATCH {
        return Ok(());
    }
    Err(HostError::Invalid(format!("{n_keys} keys in one batch, more than {MAX_BATCH}")))
}
