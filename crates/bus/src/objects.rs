//! Artifacts in the NATS object store.
//!
//! Owns: buckets, names, streaming in and out, bounded. Never: trusts what it fetched (see `nex-artifact`).

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::ObjectStoreErrorKind;
use async_nats::jetstream::object_store::{
    Config, InfoError, InfoErrorKind, ObjectInfo, ObjectMetadata, ObjectStore,
};
use async_nats::jetstream::stream::DirectGetErrorKind;
use futures::TryStreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::streams::context;

/// A whole fetch may take this long; then somebody else's slow server is to blame, and the deploy says so.
const FETCH_BOUND: Duration = Duration::from_secs(50);
const LIST_BOUND: Duration = Duration::from_secs(10);
/// Links that are followed, one after the other.
const LINKS: usize = 3;

/// An object that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("bucket {bucket} does not exist")]
    NoBucket { bucket: String },
    #[error("object {object} does not exist in bucket {bucket}")]
    NoObject { bucket: String, object: String },
    #[error("object {object} in bucket {bucket} has {size} bytes, more than the {limit} allowed")]
    TooLarge { bucket: String, object: String, size: u64, limit: u64 },
    #[error(
        "object {object} in bucket {bucket} is a link into bucket {target}, which is not followed"
    )]
    LeadsElsewhere { bucket: String, object: String, target: String },
    #[error("NATS has no JetStream here")]
    NoJetStream,
    #[error("object {object} in bucket {bucket} did not arrive within 50s")]
    TooSlow { bucket: String, object: String },
    #[error("bucket {bucket}: {reason}")]
    Other { bucket: String, reason: String },
}

/// Writes an object to `sink`, chunk by chunk, and returns its size.
///
/// # Errors
/// When it is not there, larger than `limit`, does not arrive in time, or cannot be written.
pub async fn fetch(
    client: &Client,
    bucket: &str,
    object: &str,
    limit: u64,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<u64, Error> {
    let named = || (bucket.to_owned(), object.to_owned());
    let store = open(client, bucket).await?;
    let info = describe(&store, bucket, object).await?;
    let size = info.size as u64;
    if size > limit {
        let (bucket, object) = named();
        return Err(Error::TooLarge { bucket, object, size, limit });
    }
    let copy = copy(client, &store, &info, limit, sink);
    let copied = match tokio::time::timeout(FETCH_BOUND, copy).await {
        Ok(copied) => copied?,
        Err(_) => {
            let (bucket, object) = named();
            return Err(Error::TooSlow { bucket, object });
        }
    };
    if copied > limit {
        let (bucket, object) = named();
        return Err(Error::TooLarge { bucket, object, size: copied, limit });
    }
    Ok(copied)
}

/// The object, or the one that it links to in the same bucket: whoever may write to this bucket could
/// otherwise read any other with the rights of the fetcher.
async fn describe(store: &ObjectStore, bucket: &str, object: &str) -> Result<ObjectInfo, Error> {
    let named = || (bucket.to_owned(), object.to_owned());
    let mut name = object.to_owned();
    for _ in 0..LINKS {
        let info = store.info(&name).await.map_err(|error| missing(&error, bucket, object))?;
        if info.deleted {
            break;
        }
        let Some(link) = info.options.as_ref().and_then(|options| options.link.clone()) else {
            return Ok(info);
        };
        if link.bucket != bucket {
            let (bucket, object) = named();
            return Err(Error::LeadsElsewhere { bucket, object, target: link.bucket });
        }
        let Some(target) = link.name else { break };
        name = target;
    }
    let (bucket, object) = named();
    Err(Error::NoObject { bucket, object })
}

/// Chunk by chunk with direct gets, which need no right but to read: a consumer, as the library makes
/// one, could deliver what is stored to any subject. Buckets without direct gets are read with one.
async fn copy(
    client: &Client,
    store: &ObjectStore,
    info: &ObjectInfo,
    limit: u64,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<u64, Error> {
    let bucket = &info.bucket;
    let stream = context(client).get_stream_no_info(format!("OBJ_{bucket}")).await;
    let stream = stream.map_err(|error| other(bucket, &error))?;
    let chunks = format!("$O.{bucket}.C.{}", info.nuid);
    let (mut copied, mut sequence) = (0, None);
    // One byte more than the limit is enough to notice an object that lies about its size.
    while copied < info.size as u64 && copied <= limit {
        let chunk = match stream.direct_get_next_for_subject(&chunks, sequence).await {
            Ok(chunk) => chunk,
            Err(error) if copied == 0 && error.kind() != DirectGetErrorKind::NotFound => {
                return consume(store, info, limit, sink).await;
            }
            Err(error) => return Err(other(bucket, &error)),
        };
        sequence = Some(chunk.sequence + 1);
        copied += chunk.payload.len() as u64;
        sink.write_all(&chunk.payload).await.map_err(|error| other(bucket, &error))?;
    }
    sink.flush().await.map_err(|error| other(bucket, &error))?;
    Ok(copied)
}

async fn consume(
    store: &ObjectStore,
    info: &ObjectInfo,
    limit: u64,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<u64, Error> {
    let source = store.get(&info.name).await.map_err(|error| other(&info.bucket, &error))?;
    let copied = tokio::io::copy(&mut source.take(limit + 1), sink).await;
    let copied = copied.map_err(|error| other(&info.bucket, &error))?;
    sink.flush().await.map_err(|error| other(&info.bucket, &error))?;
    Ok(copied)
}

fn missing(error: &InfoError, bucket: &str, object: &str) -> Error {
    match error.kind() {
        InfoErrorKind::NotFound => {
            Error::NoObject { bucket: bucket.to_owned(), object: object.to_owned() }
        }
        _ => other(bucket, error),
    }
}

/// What `put` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Put {
    Uploaded,
    AlreadyThere,
}

/// Stores `source` under `object`, unless an object of that name and size is there; makes the bucket
/// when it is missing. Names carry the digest, so that equal names mean equal bytes.
///
/// # Errors
/// When JetStream is not there or refuses.
pub async fn put(
    client: &Client,
    bucket: &str,
    object: &str,
    size: u64,
    source: &mut (impl AsyncRead + Unpin),
) -> Result<Put, Error> {
    let store = open_or_create(client, bucket).await?;
    match store.info(object).await {
        Ok(info) if info.size as u64 == size && !info.deleted => return Ok(Put::AlreadyThere),
        Ok(_) => {}
        Err(error) if error.kind() == InfoErrorKind::NotFound => {}
        Err(error) => return Err(other(bucket, &error)),
    }
    let metadata = ObjectMetadata { name: object.to_owned(), ..ObjectMetadata::default() };
    store.put(metadata, source).await.map_err(|error| other(bucket, &error))?;
    Ok(Put::Uploaded)
}

/// Makes `name` a link to `object`, so that people find the latest one by name.
///
/// # Errors
/// When JetStream refuses, or a real object has that name.
pub async fn link(client: &Client, bucket: &str, name: &str, object: &str) -> Result<(), Error> {
    let store = open(client, bucket).await?;
    let target = store.info(object).await.map_err(|error| other(bucket, &error))?;
    store.add_link(name, &target).await.map_err(|error| other(bucket, &error))?;
    Ok(())
}

/// An object, or a link to one of the same bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// When it was put there, in nanoseconds since 1970; the epoch where nobody says.
    pub modified: i128,
    /// The object that it stands for.
    pub links_to: Option<String>,
}

/// Everything in a bucket.
///
/// # Errors
/// When the bucket is not there, or its list does not arrive.
pub async fn list(client: &Client, bucket: &str) -> Result<Vec<Listed>, Error> {
    let store = open(client, bucket).await?;
    let listing = async {
        let found = store.list().await.map_err(|error| other(bucket, &error))?;
        let found: Result<Vec<ObjectInfo>, _> = found.try_collect().await;
        found.map_err(|error| other(bucket, &error))
    };
    let Ok(found) = tokio::time::timeout(LIST_BOUND, listing).await else {
        let reason = format!("its list did not arrive within {}s", LIST_BOUND.as_secs());
        return Err(Error::Other { bucket: bucket.to_owned(), reason });
    };
    let listed = found?.into_iter().map(|info| Listed {
        modified: info.modified.map_or(0, |at| at.unix_timestamp_nanos()),
        links_to: info.options.and_then(|options| options.link).and_then(|link| link.name),
        name: info.name,
    });
    Ok(listed.collect())
}

/// Removes an object; one that is not there is fine.
///
/// # Errors
/// When JetStream refuses.
pub async fn delete(client: &Client, bucket: &str, object: &str) -> Result<(), Error> {
    let store = open(client, bucket).await?;
    match store.delete(object).await {
        Ok(()) => Ok(()),
        Err(error) if error.to_string().contains("not found") => Ok(()),
        Err(error) => Err(other(bucket, &error)),
    }
}

async fn open(client: &Client, bucket: &str) -> Result<ObjectStore, Error> {
    use async_nats::jetstream::context::GetStreamErrorKind;
    let context = context(client);
    match context.get_object_store(bucket).await {
        Ok(store) => Ok(store),
        Err(error) if error.kind() == ObjectStoreErrorKind::InvalidBucketName => {
            Err(Error::Other {
                bucket: bucket.to_owned(),
                reason: "is not a bucket name".to_owned(),
            })
        }
        Err(error) => match context.get_stream(format!("OBJ_{bucket}")).await {
            Err(stream) if matches!(stream.kind(), GetStreamErrorKind::JetStream(_)) => {
                Err(Error::NoBucket { bucket: bucket.to_owned() })
            }
            // Somebody made it just now.
            Ok(_) => {
                let store = context.get_object_store(bucket).await;
                store.map_err(|error| other(bucket, &error))
            }
            Err(_) if !crate::streams::has_jetstream(client).await => Err(Error::NoJetStream),
            Err(_) => Err(other(bucket, &error)),
        },
    }
}

async fn open_or_create(client: &Client, bucket: &str) -> Result<ObjectStore, Error> {
    match open(client, bucket).await {
        Err(Error::NoBucket { .. }) => {}
        opened => return opened,
    }
    let config = Config {
        bucket: bucket.to_owned(),
        description: Some("artifacts that nex run uploaded".to_owned()),
        ..Config::default()
    };
    context(client).create_object_store(config).await.map_err(|error| other(bucket, &error))
}

fn other(bucket: &str, error: &dyn std::error::Error) -> Error {
    Error::Other { bucket: bucket.to_owned(), reason: error.to_string() }
}
