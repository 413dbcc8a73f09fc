//! Local files become references that any node can fetch.
//!
//! Owns: buckets and object names of uploads. Never: overwrites bytes: names carry the digest; or holds a
//! file whole that can be streamed.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nex_bus::Client;
use nex_bus::objects::{self, Put};
use nex_types::{ByteSize, Digest, Namespace};
use tokio::io::AsyncRead;

use crate::intake::hash_file;
use crate::outgoing::Outgoing;
use crate::reference::bucket_of;

/// A `data:` reference travels in the start request, which must fit a message and the node's state.
const LONGEST_INLINE: usize = 512 * 1024;
const INLINE_HEAD: &str = "data:;base64,";
const LONGEST_NAME: usize = 128;

/// An artifact that nodes can fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// For the start request.
    pub uri: String,
    /// Likewise.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Whether nothing had to be sent.
    pub was_there: bool,
    /// Absent when the bytes stand in the uri itself.
    pub bucket: Option<String>,
}

/// A file that could not be uploaded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum UploadError {
    #[error(
        "NATS has no JetStream here, and {} is more than a start request can carry: start nats-server \
         with -js",
        ByteSize(*size)
    )]
    NoJetStream { size: u64 },
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} was changed while it was uploaded: deploy it again")]
    Changed { path: PathBuf },
    #[error(transparent)]
    Objects(objects::Error),
}

/// Uploads `bytes` under a file's `name` into the bucket of `namespace`, unless they are there. Without
/// JetStream, small ones become a `data:` reference.
///
/// # Errors
/// When JetStream is not there and the bytes are many, or it refuses.
pub async fn upload(
    client: &Client,
    namespace: &Namespace,
    name: &str,
    bytes: &[u8],
) -> Result<Uploaded, UploadError> {
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    match put(client, namespace, name, (digest, size), bytes, |_, _| ()).await {
        Err(objects::Error::NoJetStream) => inline(bytes, digest),
        // Bytes in memory do not change on the way.
        uploaded => uploaded.map(|(uploaded, _)| uploaded).map_err(UploadError::Objects),
    }
}

/// What [`upload_file`] will answer where there is JetStream, without sending anything.
///
/// # Errors
/// When the file cannot be read.
pub async fn foresee(
    namespace: &Namespace,
    name: &str,
    path: &Path,
) -> Result<Uploaded, UploadError> {
    let (digest, size) = hash(path).await?;
    Ok(stored(bucket_of(namespace), &legal_name(name), digest, size, false))
}

/// Likewise where there is none.
///
/// # Errors
/// When the file cannot be read, or is too long to travel with a request.
pub async fn foresee_inline(path: &Path) -> Result<Uploaded, UploadError> {
    inline_file(path, hash(path).await?.1).await
}

/// Like [`upload`], from a file that is never whole in memory.
///
/// # Errors
/// As [`upload`], and when the file cannot be read.
pub async fn upload_file(
    client: &Client,
    namespace: &Namespace,
    name: &str,
    path: &Path,
) -> Result<Uploaded, UploadError> {
    upload_file_with(client, namespace, name, path, |_, _| ()).await
}

/// Likewise; `progress` gets how many bytes are on their way, and how many there are, for each piece.
/// It is not called where nothing has to be sent.
///
/// # Errors
/// As [`upload_file`].
pub async fn upload_file_with(
    client: &Client,
    namespace: &Namespace,
    name: &str,
    path: &Path,
    progress: impl FnMut(u64, u64) + Unpin,
) -> Result<Uploaded, UploadError> {
    let (digest, size) = hash(path).await?;
    let file = tokio::fs::File::open(path).await.map_err(unreadable(path))?;
    match put(client, namespace, name, (digest, size), file, progress).await {
        Err(objects::Error::NoJetStream) => inline_file(path, size).await,
        Ok((_, Sent::Other)) => Err(UploadError::Changed { path: path.to_owned() }),
        uploaded => uploaded.map(|(uploaded, _)| uploaded).map_err(UploadError::Objects),
    }
}

async fn hash(path: &Path) -> Result<(Digest, u64), UploadError> {
    let file = path.to_owned();
    let hashed = tokio::task::spawn_blocking(move || hash_file(&file)).await;
    hashed.map_err(io::Error::other).and_then(|found| found).map_err(unreadable(path))
}

async fn inline_file(path: &Path, size: u64) -> Result<Uploaded, UploadError> {
    if size > LONGEST_INLINE as u64 {
        return Err(UploadError::NoJetStream { size });
    }
    let bytes = tokio::fs::read(path).await.map_err(unreadable(path))?;
    inline(&bytes, Digest::of(&bytes))
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> UploadError {
    move |source| UploadError::File { path: path.to_owned(), source }
}

/// What an upload put under the name of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// The bytes of that digest, now or before.
    Right,
    /// Something else, which is removed again.
    Other,
}

async fn put(
    client: &Client,
    namespace: &Namespace,
    name: &str,
    (digest, size): (Digest, u64),
    source: impl AsyncRead + Unpin,
    progress: impl FnMut(u64, u64) + Unpin,
) -> Result<(Uploaded, Sent), objects::Error> {
    let (bucket, name, hex) = (bucket_of(namespace), legal_name(name), digest.hex());
    let object = format!("{name}_{hex}");
    let link = format!("{name}_latest");
    let mut source = Outgoing::new(source, size, progress);
    let mut put = objects::put(client, &bucket, &object, size, &mut source).await?;
    if put == Put::AlreadyThere {
        // With the link it is safe from those who remove what nobody needs; one of them may just have.
        if objects::link(client, &bucket, &link, &object).await.is_ok() {
            return Ok((stored(bucket, &name, digest, size, true), Sent::Right));
        }
        put = objects::put(client, &bucket, &object, size, &mut source).await?;
    }
    let was_there = put == Put::AlreadyThere;
    if !was_there && source.digest() != digest {
        objects::delete(client, &bucket, &object).await?;
        return Ok((stored(bucket, &name, digest, size, false), Sent::Other));
    }
    if let Err(error) = objects::link(client, &bucket, &link, &object).await {
        // People find it by this; deploys name the digest, and so go on without it.
        tracing::warn!(%error, "cannot link the latest upload");
    }
    Ok((stored(bucket, &name, digest, size, was_there), Sent::Right))
}

fn stored(bucket: String, name: &str, digest: Digest, size: u64, was_there: bool) -> Uploaded {
    let uri = format!("nats://{bucket}/{name}:{}", digest.hex());
    Uploaded { uri, digest, size, was_there, bucket: Some(bucket) }
}

fn inline(bytes: &[u8], digest: Digest) -> Result<Uploaded, UploadError> {
    let size = bytes.len() as u64;
    let encoded_len = base64::encoded_len(bytes.len(), true).unwrap_or(usize::MAX);
    if encoded_len > LONGEST_INLINE {
        return Err(UploadError::NoJetStream { size });
    }
    let uri = format!("{INLINE_HEAD}{}", STANDARD.encode(bytes));
    Ok(Uploaded { uri, digest, size, was_there: false, bucket: None })
}

/// A name that needs no escaping in a reference, an object store or a shell.
pub(crate) fn legal_name(name: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let legal = name.chars().map(|c| if is_legal(c) { c } else { '-' });
    let legal: String = legal.take(LONGEST_NAME).collect();
    if legal.is_empty() { "artifact".to_owned() } else { legal }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Reference;

    #[test]
    fn what_is_inlined_is_read_back_until_it_is_too_long() {
        let uploaded = inline(b"heya", Digest::of(b"heya")).unwrap();
        assert_eq!(uploaded.uri, "data:;base64,aGV5YQ==");
        assert_eq!(Reference::parse(&uploaded.uri), Ok(Reference::Inline(b"heya".to_vec())));
        let many = vec![0; LONGEST_INLINE / 4 * 3];
        assert!(inline(&many, Digest::of(&many)).is_ok());
        let more = vec![0; LONGEST_INLINE / 4 * 3 + 1];
        assert!(matches!(inline(&more, Digest::of(&more)), Err(UploadError::NoJetStream { .. })));
    }

    proptest! {
        #[test]
        fn any_file_name_gives_a_reference(name in "\\PC{0,200}") {
            let name = legal_name(&name);
            let read = Reference::parse(&format!("nats://NEXCLIFILES/{name}:0f"));
            let object = format!("{name}_0f");
            prop_assert_eq!(read, Ok(Reference::Object { bucket: "NEXCLIFILES".to_owned(), object }));
        }
    }
}
