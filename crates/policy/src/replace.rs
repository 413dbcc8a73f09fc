//! What `nex run` does about workloads that already have the name (spec: CLI, "Replacing").
//!
//! Owns: the decision. Never: starts or stops one.

/// A workload that runs under the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its id.
    pub id: String,
    /// The digest of the request it was started with, if our nexlet told it.
    pub request_digest: Option<String>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing has the name: start one.
    Start,
    /// All that run are what is wanted.
    AlreadyRunning,
    /// Start one for each of these, then stop it.
    Replace(Vec<String>),
}

/// Compares what runs with what is wanted.
#[must_use]
pub fn plan(running: &[Running], wanted_digest: &str) -> Plan {
    if running.is_empty() {
        return Plan::Start;
    }
    if running.iter().all(|copy| copy.request_digest.as_deref() == Some(wanted_digest)) {
        return Plan::AlreadyRunning;
    }
    Plan::Replace(running.iter().map(|copy| copy.id.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_replaced() {
        let copy = |id: &str, digest: Option<&str>| Running {
            id: id.to_owned(),
            request_digest: digest.map(str::to_owned),
        };
        assert_eq!(plan(&[], "d"), Plan::Start);
        assert_eq!(plan(&[copy("1", Some("d"))], "d"), Plan::AlreadyRunning);
        assert_eq!(plan(&[copy("1", Some("e"))], "d"), Plan::Replace(vec!["1".to_owned()]));
        assert_eq!(plan(&[copy("1", None)], "d"), Plan::Replace(vec!["1".to_owned()]));
    }
}
