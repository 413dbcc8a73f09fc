//! Which buckets a workload means, and which it may not.
//!
//! Owns: the names of a workload's own buckets, and the refusal of all that the request does not list.
//! Never: asks JetStream.

use nex_bus::guest::{self, BucketKind, NewBucket};
use nex_types::{Namespace, WorkloadName, own_kv_bucket, own_object_bucket};

use super::HostError;

/// What a bucket of host services takes unless the request says otherwise.
pub(crate) const DEFAULT_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The buckets of one kind that a workload may use.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    own: String,
    listed: Vec<String>,
    new: NewBucket,
    /// The key of the request in which buckets are listed, for refusals.
    setting: &'static str,
}

/// A bucket that may be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) bucket: &'a str,
    /// How it is made, if it is the workload's own.
    pub(crate) new: Option<&'a NewBucket>,
}

impl Scope {
    pub(crate) fn new(
        namespace: &Namespace,
        name: &WorkloadName,
        kind: BucketKind,
        listed: Vec<String>,
        max_bytes: u64,
    ) -> Self {
        let (own, setting) = match kind {
            BucketKind::KeyValue => (own_kv_bucket(namespace, name), "host_services.kv.buckets"),
            BucketKind::Objects => {
                (own_object_bucket(namespace, name), "host_services.objects.buckets")
            }
        };
        let description = format!("host services of workload {name} in namespace {namespace}");
        Self { own, listed, new: NewBucket { description, max_bytes }, setting }
    }

    /// The bucket that the guest names; its own without a name.
    pub(crate) fn target<'a>(&'a self, bucket: Option<&'a str>) -> Result<Target<'a>, HostError> {
        match bucket {
            None | Some("") => Ok(Target { bucket: &self.own, new: Some(&self.new) }),
            Some(bucket) if bucket == self.own => Ok(Target { bucket, new: Some(&self.new) }),
            Some(bucket) if self.listed.iter().any(|listed| listed == bucket) => {
                Ok(Target { bucket, new: None })
            }
            Some(bucket) => Err(HostError::Denied(format!(
                "bucket {} is not one of this workload; its start request lists others in {}",
                shown(bucket),
                self.setting
            ))),
        }
    }
}

/// Does something with a bucket; where it was removed since it was opened, once again. A macro, since the
/// future of an asynchronous closure is not known to be `Send` for every lifetime.
macro_rules! on_bucket {
    ($service:expr, $name:expr, |$bucket:ident| $work:expr) => {{
        let name: Option<&str> = $name;
        let opened = $service.opened(name, false).await?;
        let $bucket = &opened;
        match $work.await {
            Err(nex_bus::guest::Error::NoBucket { .. }) => {
                let opened = $service.opened(name, true).await?;
                let $bucket = &opened;
                $work.await.map_err(HostError::from)
            }
            done => done.map_err(HostError::from),
        }
    }};
}
pub(super) use on_bucket;

/// A guest's text in a message: short and on one line.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut shown: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

impl From<guest::Error> for HostError {
    fn from(error: guest::Error) -> Self {
        let text = error.to_string();
        match error {
            guest::Error::NotLatest => Self::Conflict(text),
            guest::Error::Full { .. } => Self::Full(text),
            guest::Error::TooLarge { .. } | guest::Error::NoTtl { .. } => Self::Invalid(text),
            guest::Error::TooSlow { .. } => Self::NoAnswer(text),
            guest::Error::NoJetStream
            | guest::Error::NoBucket { .. }
            | guest::Error::Other { .. } => Self::Failed(text),
        }
    }
}
