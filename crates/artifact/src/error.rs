//! What can go wrong with an artifact, in words for whoever deploys it.
//!
//! Owns: the situations that a caller tells apart. Never: a secret part of an address.

use std::io;
use std::sync::Arc;

use nex_bus::objects;
use nex_types::{ByteSize, Digest};

/// An artifact that could not be fetched. Clones go to all who waited for the same fetch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// The bucket, object, file or page is not there.
    #[error("{what} does not exist")]
    Missing {
        /// Which.
        what: String,
    },
    /// The bytes are not the ones that were asked for.
    #[error("the artifact has digest {actual}, but {wanted} was asked for")]
    DigestMismatch {
        /// As the request says.
        wanted: Digest,
        /// As the bytes say.
        actual: Digest,
    },
    /// Larger than the limit.
    #[error("{what} is larger than the {} allowed", ByteSize(*limit))]
    TooLarge {
        /// Which.
        what: String,
        /// In bytes.
        limit: u64,
    },
    /// A scheme that is not taken, or a place that this workload may not read.
    #[error("{reason}")]
    Unsupported {
        /// One sentence.
        reason: String,
    },
    /// NATS, JetStream, a web server or a registry did not answer as it should.
    #[error("{reason}")]
    Unavailable {
        /// One sentence.
        reason: String,
    },
    /// The local disk.
    #[error("{what}")]
    Io {
        /// What could not be done.
        what: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl From<objects::Error> for FetchError {
    fn from(error: objects::Error) -> Self {
        use objects::Error as E;
        match error {
            E::NoBucket { bucket } => Self::Missing { what: format!("bucket {bucket}") },
            E::NoObject { bucket, object } => {
                Self::Missing { what: format!("object {object} in bucket {bucket}") }
            }
            E::TooLarge { bucket, object, limit, .. } => {
                Self::TooLarge { what: format!("object {object} in bucket {bucket}"), limit }
            }
            E::LeadsElsewhere { .. } => Self::Unsupported { reason: error.to_string() },
            E::NoJetStream | E::TooSlow { .. } | E::Other { .. } => {
                Self::Unavailable { reason: error.to_string() }
            }
        }
    }
}

/// Names what could not be done with the disk.
pub(crate) fn disk(what: impl Into<String>) -> impl Fn(io::Error) -> FetchError {
    let what = what.into();
    move |source| FetchError::Io { what: what.clone(), source: Arc::new(source) }
}
