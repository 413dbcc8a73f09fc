//! The artifact of a function: fetched, verified, in memory.
//!
//! Owns: its largest size, and what a failed fetch is called. Never: compiles anything.

use bytes::Bytes;
use nex_api::Code;
use nex_artifact::{FetchError, Store};
use nex_bus::Client;
use nex_nexlet::StartFailure;
use nex_types::{Digest, Namespace};

/// Larger artifacts are refused (spec: functions, section 4).
const MAX_BYTES: u64 = 32 << 20;

/// Verified bytes.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
}

/// Where an artifact is, and what its bytes must hash to.
#[derive(Debug)]
pub(crate) struct Reference<'a> {
    pub(crate) uri: &'a str,
    pub(crate) digest: Option<Digest>,
    pub(crate) namespace: &'a Namespace,
}

/// Fetches over `client`, the nexlet's own connection.
pub(crate) async fn fetch(
    store: &Store,
    client: &Client,
    reference: &Reference<'_>,
) -> Result<Source, StartFailure> {
    let Reference { uri, digest, namespace } = *reference;
    let artifact = store
        .fetch(client, uri, digest, namespace, MAX_BYTES)
        .await
        .map_err(|error| StartFailure::new(code_of(&error), error.to_string()))?;
    let bytes = tokio::fs::read(&artifact.path).await.map_err(|error| {
        let path = artifact.path.display();
        StartFailure::new(Code::ArtifactMissing, format!("cannot read {path}: {error}"))
    })?;
    Ok(Source { bytes: bytes.into(), digest: artifact.digest })
}

fn code_of(error: &FetchError) -> Code {
    match error {
        FetchError::Missing { .. } | FetchError::Unavailable { .. } => Code::ArtifactMissing,
        FetchError::DigestMismatch { .. } => Code::DigestMismatch,
        FetchError::TooLarge { .. } => Code::ArtifactTooLarge,
        FetchError::Unsupported { .. } => Code::ArtifactUnsupported,
        FetchError::Io { .. } => Code::NodeFailed,
    }
}
