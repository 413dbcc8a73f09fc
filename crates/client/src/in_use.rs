//! Which artifacts of a namespace somebody may need.
//!
//! Owns: asking everybody who may refer to one: what the view lists, what nodes are to bring back, nodes that
//! stand in no view. Never: guesses; where one of them cannot be asked, nothing is known.

use std::collections::HashSet;
use std::time::Duration;

use nex_api::view;
use nex_api::workload::{WorkloadSummary, fact};
use nex_bus::{Entry, buckets, snapshot};
use nex_types::{Digest, Namespace};

use crate::Client;

/// Of the whole question; whoever asks has something better to do.
const BOUND: Duration = Duration::from_secs(5);
/// Buckets of nodes' states are called by their ids, which begin with this (control API: "what should run").
const STATE_PREFIX: &str = "nex-N";
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// What the nodes' own buckets say.
#[derive(Debug, Default)]
struct Kept {
    digests: HashSet<Digest>,
    /// Of the workloads whose requests are there.
    ids: HashSet<String>,
}

impl Client {
    /// The digests of artifacts that a workload of this client's own namespace refers to, or one that
    /// some node may bring back. None when that cannot be known for all of them.
    pub async fn digests_in_use(&self) -> Option<HashSet<Digest>> {
        tokio::time::timeout(BOUND, self.ask_all_who_refer()).await.ok()?
    }

    async fn ask_all_who_refer(&self) -> Option<HashSet<Digest>> {
        let fleet = self.fleet().await.ok().filter(|fleet| fleet.has_view)?;
        // A workload of `system` may refer to what anybody uploaded.
        let mut listed = self.listed_in(Namespace::SYSTEM).await?;
        if !self.is_system() {
            listed.extend(self.listed_in(self.namespace.as_str()).await?);
        }
        if fleet.has_strangers() {
            listed.extend(self.workloads_of_strangers(&fleet).await.ok()?);
        }
        let kept = self.kept_by_nodes().await?;
        let mut digests = kept.digests;
        for workload in listed {
            match workload.metadata.get(fact::DIGEST).map(|digest| digest.parse::<Digest>()) {
                Some(Ok(digest)) => {
                    digests.insert(digest);
                }
                // Its nexlet does not tell; what it was started with does, if somebody kept it.
                _ if kept.ids.contains(&workload.id) => {}
                _ => return None,
            }
        }
        Some(digests)
    }

    /// All that the view has of a namespace, also of nodes that ended and may come back.
    async fn listed_in(&self, namespace: &str) -> Option<Vec<WorkloadSummary>> {
        let entries = snapshot(&self.nats, &view::bucket(namespace), ">").await.ok()?;
        // One that cannot be read might name anything.
        let is_workload =
            |entry: &&Entry| ["w.", "away."].iter().any(|it| entry.key.starts_with(it));
        entries.iter().filter(is_workload).map(|entry| nex_api::decode(&entry.value).ok()).collect()
    }

    async fn kept_by_nodes(&self) -> Option<Kept> {
        let mut kept = Kept::default();
        for bucket in buckets(&self.nats, STATE_PREFIX).await.ok()? {
            kept.add(&snapshot(&self.nats, &bucket, ">").await.ok()?);
        }
        Some(kept)
    }
}

impl Kept {
    fn add(&mut self, entries: &[Entry]) {
        for entry in entries {
            // `<type>_<id>`
            self.ids.extend(entry.key.rsplit_once('_').map(|(_, id)| id.to_owned()));
            self.digests.extend(digests_in(&entry.value));
        }
    }
}

/// Whatever looks like a digest, in a key or an address: one too many does no harm.
fn digests_in(request: &[u8]) -> impl Iterator<Item = Digest> {
    let words = request.split(|byte| !byte.is_ascii_hexdigit());
    let words = words.filter(|word| word.len() == DIGITS);
    words.filter_map(|word| format!("sha256:{}", str::from_utf8(word).ok()?).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_refers_to_what_its_digest_and_its_address_name() {
        let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
        let request = format!(
            r#"{{"run_request":"{{\"uri\":\"nats://B/x:{}\",\"digest\":\"{second}\",\"n\":\"abc\"}}"}}"#,
            first.hex()
        );
        let found: HashSet<Digest> = digests_in(request.as_bytes()).collect();
        assert_eq!(found, HashSet::from([first, second]));
        assert_eq!(digests_in(&[b'a'; DIGITS + 1]).count(), 0);
        assert_eq!(digests_in(b"").count(), 0);
    }
}
