//! Which hosts and addresses the HTTP service may reach.
//!
//! Owns: the allow list. Never: connects, or decides what a public address is (`nex_types::is_public`).

use std::net::Ipv6Addr;

use nex_artifact::outbound::{NamedHosts, plain};

/// Hosts that a workload may reach.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostList(Vec<Allowed>);

/// One entry: `*`, `host`, `host:port`, `*.example.com`, an address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Allowed {
    host: HostPattern,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    /// Every public host.
    Any,
    /// Every host below this one, with a leading dot.
    Below(String),
    Exactly(String),
}

/// An entry that is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a host: write api.example.com, api.example.com:8443, *.example.com or * (every public host)"
)]
pub(crate) struct NotAHost(String);

impl HostList {
    pub(crate) fn parse(entries: &[String]) -> Result<Self, NotAHost> {
        entries.iter().map(|entry| Allowed::parse(entry)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a request may go there, as far as the name tells.
    pub(crate) fn permits(&self, host: &str, port: u16) -> bool {
        let host = plain(host);
        let is_exact = |allowed: &&Allowed| allowed.host == HostPattern::Exactly(host.clone());
        let has_port = |allowed: &Allowed| allowed.port.is_none_or(|wanted| wanted == port);
        // A host that is listed by its name may have any address: then its ports count, and no wildcard's.
        if self.0.iter().any(|allowed| is_exact(&allowed)) {
            return self.0.iter().filter(is_exact).any(has_port);
        }
        self.0.iter().any(|allowed| {
            let is_host = match &allowed.host {
                HostPattern::Any => true,
                HostPattern::Below(domain) => host.ends_with(domain),
                HostPattern::Exactly(exact) => *exact == host,
            };
            is_host && has_port(allowed)
        })
    }
}

impl NamedHosts for HostList {
    /// Whether the host is listed by its own name, so that it may have any address.
    fn names(&self, host: &str) -> bool {
        let host = plain(host);
        self.0.iter().any(|allowed| allowed.host == HostPattern::Exactly(host.clone()))
    }
}

impl Allowed {
    fn parse(entry: &str) -> Result<Self, NotAHost> {
        let refused = || NotAHost(entry.chars().take(120).collect());
        let (host, port) = split_port(entry).ok_or_else(refused)?;
        let host = match host {
            "*" => HostPattern::Any,
            _ => match host.strip_prefix("*.") {
                Some(domain) if is_name(domain) => {
                    HostPattern::Below(format!(".{}", plain(domain)))
                }
                None if is_name(host) || host.parse::<Ipv6Addr>().is_ok() => {
                    HostPattern::Exactly(plain(host))
                }
                _ => return Err(refused()),
            },
        };
        Ok(Self { host, port })
    }
}

/// Host and port of an entry; an IPv6 address with a port stands in brackets.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    if entry.parse::<Ipv6Addr>().is_ok() {
        return Some((entry, None));
    }
    match entry.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((entry, None)),
    }
}

fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(is_letter) && !text.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> HostList {
        HostList::parse(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_wildcard_opens_no_other_port_of_a_host_that_is_listed_by_name() {
        let entries = ["*", "localhost:8080"].map(str::to_owned);
        let hosts = HostList::parse(&entries).unwrap();
        assert!(hosts.permits("localhost", 8080) && hosts.permits("example.com", 443));
        assert!(!hosts.permits("localhost", 5432));
    }

    #[test]
    fn hosts_are_listed_by_name_port_domain_or_all() {
        let hosts = list(&["api.example.com", "localhost:8080", "*.example.org", "[::1]:90"]);
        for (host, port) in [
            ("api.example.com", 443),
            ("API.Example.com.", 80),
            ("localhost", 8080),
            ("a.b.example.org", 443),
            ("[::1]", 90),
        ] {
            assert!(hosts.permits(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("example.com", 443),
            ("localhost", 8081),
            ("example.org", 443),
            ("badexample.org", 443),
            ("api.example.com.evil.test", 443),
            ("::1", 91),
        ] {
            assert!(!hosts.permits(host, port), "{host}:{port}");
        }
        assert!(hosts.names("localhost") && !hosts.names("x.example.org"));
        assert!(list(&["*"]).permits("anything.test", 1) && !list(&["*"]).names("anything.test"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in ["", "http://a", "a/b", "*.", "a:b", "a:70000", "**", "x.*.y", "[::1", "a b"] {
            assert!(HostList::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
