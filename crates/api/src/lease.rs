//! Leases on names and tombstones of replaced workloads, shared by all who deploy in a namespace
//! (spec: CLI, "Replacing").
//!
//! Owns: names of bucket and keys, and how long things stay. Never: reads or writes a bucket.

use std::time::Duration;

/// How long a lease lives that nobody renews: its holder was killed.
pub const LEASE_LIFE: Duration = Duration::from_secs(12);
/// How often a holder renews it.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How long tombstones stay; the age limit of the bucket.
pub const TOMBSTONE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// What keys of tombstones begin with.
pub const TOMBSTONE_PREFIX: &str = "gone.";

/// The bucket of a namespace.
#[must_use]
pub fn bucket(namespace: &str) -> String {
    format!("nex-lease-{namespace}")
}

/// The key of the lease on a name.
#[must_use]
pub fn lease_key(name: &str) -> String {
    format!("lease.{name}")
}

/// The key of the tombstone of a workload.
#[must_use]
pub fn tombstone_key(workload_id: &str) -> String {
    format!("{TOMBSTONE_PREFIX}{workload_id}")
}
