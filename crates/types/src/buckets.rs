//! Names of the buckets that host services make, and those that are Nex's own (spec: functions, sections 2 and 5).
//!
//! Owns: how a workload's buckets are called, and which namespace one is of. Never: asks whether one is there.
//!
//! A namespace has no `_` (see [`Namespace`]), so that `hs_a_b_c_kv` is the bucket of workload `b_c` in
//! namespace `a` and of no other, and both names are made of letters that buckets may have.

use crate::{Namespace, WorkloadName};

/// What buckets of host services begin with.
pub(crate) const HOST_SERVICES: &str = "hs_";

/// What the buckets of the workloads of one namespace begin with.
#[must_use]
pub fn host_bucket_prefix(namespace: &Namespace) -> String {
    format!("{HOST_SERVICES}{namespace}_")
}

/// The key-value bucket of a workload's own.
#[must_use]
pub fn own_kv_bucket(namespace: &Namespace, name: &WorkloadName) -> String {
    format!("{}{name}_kv", host_bucket_prefix(namespace))
}

/// The object bucket of a workload's own.
#[must_use]
pub fn own_object_bucket(namespace: &Namespace, name: &WorkloadName) -> String {
    format!("{}{name}_obj", host_bucket_prefix(namespace))
}

/// Whether `text` may be a bucket's name at all.
#[must_use]
pub fn is_bucket_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty() && text.len() <= 250 && text.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_buckets_of_different_workloads_have_different_names() {
        let bucket = |namespace: &str, name: &str| {
            let namespace = Namespace::parse(namespace).unwrap();
            own_kv_bucket(&namespace, &WorkloadName::parse(name).unwrap())
        };
        assert_eq!(bucket("default", "counter"), "hs_default_counter_kv");
        assert_ne!(bucket("a", "b_c"), bucket("a-b", "c"));
        assert!(Namespace::parse("a_b").is_err(), "hs_a_b_c_kv would mean two workloads");
        assert!(is_bucket_name(&bucket("a-b", "c_d-e")) && !is_bucket_name("a.b"));
    }
}
