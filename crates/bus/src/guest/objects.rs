//! An object bucket as a guest uses it: streamed in and out, never whole in memory.
//!
//! Owns: the subjects and the description of an object, which other clients of object stores read too,
//! and verifying what was read. Never: follows links.

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use async_nats::{Client, HeaderMap};
use bytes::{Bytes, BytesMut};
use data_encoding::BASE64URL;
use futures::{StreamExt, TryStreamExt};
use nex_api::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::consumer::Pass;
use super::{BucketKind, Error, NewBucket, Open, other};

/// Bytes of a chunk, as other clients make them.
const CHUNK: usize = 128 * 1024;
/// More objects than this are not listed.
const MOST_OBJECTS: usize = 100_000;

/// What is known about an object; the form is that of the object store's specification (ADR-20).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Object {
    pub name: String,
    pub bucket: String,
    pub nuid: String,
    #[serde(default)]
    pub size: u64,
    #[serde(default)]
    pub chunks: u64,
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(default)]
    pub mtime: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Object {
    /// Unix milliseconds of the last change, if it tells.
    #[must_use]
    pub fn modified(&self) -> Option<i64> {
        let time = Time::parse(self.mtime.as_deref()?)?;
        i64::try_from(time.since(Time::from_unix_nanos(0)).as_millis()).ok()
    }

    fn is_link(&self) -> bool {
        self.options
            .as_ref()
            .is_some_and(|options| options.get("link").is_some_and(|link| !link.is_null()))
    }
}

/// An open bucket.
#[derive(Debug, Clone)]
pub struct ObjectBucket {
    open: Open,
}

/// Whether a description by somebody else is one that a list may keep: it is a stranger's text.
fn is_bounded(object: &Object) -> bool {
    let lengths = [object.name.len(), object.bucket.len(), object.nuid.len()];
    let digest = object.digest.as_ref().map_or(0, String::len);
    lengths.iter().all(|length| *length <= 1024) && digest <= 128
}

impl ObjectBucket {
    /// Opens a bucket that is there.
    ///
    /// # Errors
    /// When it is not, or JetStream does not answer.
    pub async fn open(client: &Client, bucket: &str) -> Result<Self, Error> {
        Ok(Self { open: Open::open(client, BucketKind::Objects, bucket).await? })
    }

    /// Opens a bucket, or makes it.
    ///
    /// # Errors
    /// When JetStream refuses or does not answer.
    pub async fn open_or_make(
        client: &Client,
        bucket: &str,
        new: &NewBucket,
    ) -> Result<Self, Error> {
        let make = || stream_config(bucket, new);
        Ok(Self { open: Open::open_or_make(client, BucketKind::Objects, bucket, make).await? })
    }

    /// What is known about an object, if it is there.
    ///
    /// # Errors
    /// When the bucket is gone, or JetStream does not answer.
    pub async fn info(&self, name: &str) -> Result<Option<Object>, Error> {
        let found = self.open.bounded(self.read_info(name)).await?;
        Ok(found.filter(|object| !object.deleted))
    }

    /// The pieces of `object`, from first to last; an error where they are not what its digest tells.
    pub fn read(
        &self,
        object: &Object,
    ) -> impl futures::Stream<Item = Result<Bytes, Error>> + Send + 'static {
        let reading = Reading {
            bucket: self.open.bucket.clone(),
            stream: self.open.stream.clone(),
            chunks: format!("$O.{}.C.{}", self.open.bucket, object.nuid),
            left: object.size,
            sequence: None,
            hash: Sha256::new(),
            digest: object.digest.clone(),
        };
        let refused = object.is_link().then(|| Error::Other {
            bucket: self.open.bucket.clone(),
            reason: format!("object {} is a link, which is not followed", object.name),
        });
        let link = futures::stream::iter(refused.map(Err));
        let pieces = futures::stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|piece| (piece, reading)))
        });
        // A link has no bytes of its own, so that nothing follows the refusal.
        link.chain(pieces)
    }

    /// Writes an object from pieces. Until the last of them is there, the previous one is what readers see.
    ///
    /// # Errors
    /// What `pieces` yields, or that JetStream refuses or does not answer; then nothing stays.
    pub async fn write<E: From<Error>>(
        &self,
        name: &str,
        pieces: impl futures::Stream<Item = Result<Bytes, E>>,
    ) -> Result<Object, E> {
        let previous = self.open.bounded(self.read_info(name)).await?;
        let nuid = nex_types::Id::random().to_string();
        let chunks = format!("$O.{}.C.{nuid}", self.open.bucket);
        match self.write_new(name, &nuid, &chunks, pieces).await {
            Ok(object) => {
                if let Some(previous) = previous.filter(|previous| previous.nuid != nuid) {
                    self.forget_chunks(&previous).await;
                }
                Ok(object)
            }
            Err(error) => {
                let _cleared = self.open.stream.purge().filter(&chunks).await;
                Err(error)
            }
        }
    }

    /// Removes an object; one that is not there is fine.
    ///
    /// # Errors
    /// When the bucket is gone, or JetStream refuses.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let Some(object) = self.info(name).await? else { return Ok(()) };
        let gone = Object { size: 0, chunks: 0, digest: None, deleted: true, ..object.clone() };
        self.describe(&gone).await?;
        self.forget_chunks(&object).await;
        Ok(())
    }

    /// All objects whose names begin with `prefix`, in order of their names.
    ///
    /// # Errors
    /// When there are too many, the bucket is gone or JetStream does not answer.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let filter = format!("$O.{}.M.>", self.open.bucket);
        let mut objects = Vec::new();
        let pass =
            Pass { filter: &filter, from: DeliverPolicy::LastPerSubject, headers_only: false };
        self.open
            .pass(pass, |message| {
                // What somebody else wrote there and is no description is no object.
                let described = serde_json::from_slice::<Object>(&message.payload);
                let Some(object) = described.ok().filter(is_bounded) else {
                    return Ok(());
                };
                if object.deleted || !object.name.starts_with(prefix) {
                    return Ok(());
                }
                if objects.len() >= MOST_OBJECTS {
                    let reason =
                        format!("it has more than {MOST_OBJECTS} objects; list with a prefix");
                    return Err(other(&self.open.bucket, &reason));
                }
                objects.push(object);
                Ok(())
            })
            .await?;
        objects.sort_by(|one: &Object, other| one.name.cmp(&other.name));
        Ok(objects)
    }

    async fn write_new<E: From<Error>>(
        &self,
        name: &str,
        nuid: &str,
        chunks: &str,
        pieces: impl futures::Stream<Item = Result<Bytes, E>>,
    ) -> Result<Object, E> {
        let mut pieces = std::pin::pin!(pieces);
        let (mut size, mut n_chunks) = (0_u64, 0_u64);
        let mut hash = Sha256::new();
        let mut buffer = BytesMut::with_capacity(CHUNK);
        loop {
            let piece = pieces.try_next().await?;
            let is_end = piece.is_none();
            buffer.extend_from_slice(&piece.unwrap_or_default());
            while buffer.len() >= CHUNK || (is_end && !buffer.is_empty()) {
                let chunk = buffer.split_to(buffer.len().min(CHUNK)).freeze();
                hash.update(&chunk);
                size += chunk.len() as u64;
                n_chunks += 1;
                self.open.publish(chunks, HeaderMap::new(), chunk).await?;
            }
            if is_end {
                break;
            }
        }
        let object = Object {
            name: name.to_owned(),
            bucket: self.open.bucket.clone(),
            nuid: nuid.to_owned(),
            size,
            chunks: n_chunks,
            digest: Some(digest_text(hash)),
            mtime: Some(Time::now().to_string()),
            deleted: false,
            options: Some(json!({ "max_chunk_size": CHUNK })),
        };
        self.describe(&object).await?;
        Ok(object)
    }

    async fn describe(&self, object: &Object) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Rollup", "sub");
        let body = serde_json::to_vec(object).map_err(|error| other(&self.open.bucket, &error))?;
        self.open.publish(&self.meta(&object.name), headers, body.into()).await.map(|_| ())
    }

    async fn read_info(&self, name: &str) -> Result<Option<Object>, Error> {
        let bucket = &self.open.bucket;
        let payload = match self.open.stream.direct_get_last_for_subject(self.meta(name)).await {
            Ok(found) => found.payload,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) if super::kv::says_nobody(&error) => {
                return Err(Error::NoBucket { bucket: bucket.clone() });
            }
            Err(error) => return Err(other(bucket, &error)),
        };
        let object: Object =
            serde_json::from_slice(&payload).map_err(|error| other(bucket, &error))?;
        if object.name != name {
            return Err(other(bucket, &"the description is of another object"));
        }
        Ok(Some(object))
    }

    /// What nobody can see any more takes no room for long; if this fails, it does.
    async fn forget_chunks(&self, object: &Object) {
        // The name of the chunks is a stranger's text: a wildcard would remove those of others.
        if !object.nuid.is_empty() && object.nuid.chars().all(|c| c.is_ascii_alphanumeric()) {
            let chunks = format!("$O.{}.C.{}", self.open.bucket, object.nuid);
            let _stays = self.open.stream.purge().filter(chunks).await;
        }
    }

    fn meta(&self, name: &str) -> String {
        format!("$O.{}.M.{}", self.open.bucket, BASE64URL.encode(name.as_bytes()))
    }
}

/// An object that is being read, chunk by chunk with direct gets.
struct Reading {
    bucket: String,
    stream: Stream<()>,
    chunks: String,
    left: u64,
    sequence: Option<u64>,
    hash: Sha256,
    digest: Option<String>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let asked = self.stream.direct_get_next_for_subject(&self.chunks, self.sequence);
        let chunk = match tokio::time::timeout(super::ANSWER_BOUND, asked).await {
            Ok(chunk) => chunk.map_err(|error| other(&self.bucket, &error))?,
            Err(_) => return Err(Error::TooSlow { bucket: self.bucket.clone() }),
        };
        self.sequence = Some(chunk.sequence + 1);
        let length = chunk.payload.len() as u64;
        if length > self.left || length == 0 {
            return Err(other(&self.bucket, &"the object is not what its description tells"));
        }
        self.left -= length;
        self.hash.update(&chunk.payload);
        if self.left == 0 {
            let read = digest_text(std::mem::take(&mut self.hash));
            let is_as_told = self
                .digest
                .as_ref()
                .is_none_or(|told| told.trim_end_matches('=') == read.trim_end_matches('='));
            if !is_as_told {
                return Err(other(&self.bucket, &"the object is not what its digest tells"));
            }
        }
        Ok(Some(chunk.payload))
    }
}

fn digest_text(hash: Sha256) -> String {
    format!("SHA-256={}", BASE64URL.encode(&hash.finalize()))
}

fn stream_config(bucket: &str, new: &NewBucket) -> Value {
    json!({
        "name": format!("OBJ_{bucket}"),
        "description": new.description,
        "subjects": [format!("$O.{bucket}.C.>"), format!("$O.{bucket}.M.>")],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_bytes": new.max_bytes,
        "max_msgs": -1,
        "max_consumers": -1,
        "max_msg_size": -1,
        "max_age": 0,
        "num_replicas": 1,
        "allow_rollup_hdrs": true,
        "allow_direct": true,
    })
}
