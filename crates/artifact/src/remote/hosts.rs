//! Hosts whose addresses may be private.
//!
//! Owns: the list of the node, and the words for those that are not on it. Never: connects.

use std::net::IpAddr;

use crate::outbound::{NamedHosts, plain};

/// Hosts that may have private addresses, by their own names.
#[derive(Debug, Default)]
pub(crate) struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// The entry that is no host is the error.
    pub(crate) fn parse(entries: Vec<String>) -> Result<Self, String> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_host = |entry: &str| {
            let host = plain(entry);
            host.parse::<IpAddr>().is_ok()
                || (!host.is_empty() && host.len() <= 253 && host.chars().all(is_letter))
        };
        match entries.iter().position(|entry| !is_host(entry)) {
            Some(at) => Err(entries.into_iter().nth(at).unwrap_or_default()),
            None => Ok(Self(entries.iter().map(|entry| plain(entry)).collect())),
        }
    }
}

impl NamedHosts for AllowedHosts {
    fn names(&self, host: &str) -> bool {
        self.0.contains(&plain(host))
    }
}

/// Whether a host is this machine by its name alone.
pub(crate) fn is_loopback_name(host: &str) -> bool {
    let host = plain(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// One sentence, with what to change.
pub(crate) fn not_public(host: &str) -> String {
    format!(
        "host {host} has an address of a private network or of this machine: if artifacts may come \
         from there, start the node with --allow-artifact-hosts {host}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_listed_by_their_own_names() {
        let entries = ["Files.test", "10.0.0.1", "[::1]"].map(str::to_owned);
        let allow = AllowedHosts::parse(entries.to_vec()).unwrap();
        for host in ["files.test", "FILES.test.", "10.0.0.1", "[::1]", "::1"] {
            assert!(allow.names(host), "{host}");
        }
        for host in ["test", "a.files.test", "10.0.0.2", ""] {
            assert!(!allow.names(host), "{host}");
        }
        for bad in ["", "https://x", "a/b", "*", "a:1", "a b"] {
            assert_eq!(AllowedHosts::parse(vec![bad.to_owned()]).unwrap_err(), bad);
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["localhost.test", "10.0.0.1", "127.0.0.1.test"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
