//! What this session deployed, as opposed to what else has its name.
//!
//! Owns: telling them apart, and removing ours. Never: deploys.
//!
//! Ids are not enough: a deploy that fails half-way may have started a copy, and `nex scale` may have added
//! some. So what runs in a version of ours is ours too, unless it ran before.

use std::collections::{BTreeMap, BTreeSet};

use nex_api::workload::{WorkloadSummary, fact};
use nex_bus::{ROUND_TRIP_BOUND, round_trip};
use nex_client::Client;

use crate::commands::stop::{bury, stop_all};
use crate::error::{CliError, Kind};

/// By name: a Nexfile may change it.
#[derive(Debug, Default)]
pub(super) struct Ours(BTreeMap<String, Known>);

#[derive(Debug, Default)]
struct Known {
    /// Ran before the session came to this name.
    before: BTreeSet<String>,
    started: BTreeSet<String>,
    versions: BTreeSet<String>,
}

/// The ids of all that has a name now.
pub(super) async fn ids_of(client: &Client, name: &str) -> Result<Vec<String>, CliError> {
    let fleet = client.fleet().await?;
    let found = client.copies(&fleet, name).await?;
    let all = found.here.into_iter().chain(found.away).chain(found.finished);
    Ok(all.map(|workload| workload.id).collect())
}

impl Ours {
    /// The names that may have something of ours.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The session came to a name, which those of `before` had. A version that was going to be started is
    /// ours; none when it ran already, since its other copies are whoever's started them.
    pub(super) fn asked_for(&mut self, name: &str, version: Option<&str>, before: &[String]) {
        let known = self.0.entry(name.to_owned()).or_insert_with(|| Known {
            before: before.iter().cloned().collect(),
            ..Known::default()
        });
        known.versions.extend(version.map(str::to_owned));
    }

    /// Whether a copy of that name was started by this session.
    pub(super) fn has_started(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|known| !known.started.is_empty())
    }

    pub(super) fn started(&mut self, name: &str, id: &str) {
        self.0.entry(name.to_owned()).or_default().started.insert(id.to_owned());
    }

    /// Whether a line with this name or id is shown.
    pub(super) fn concerns(&self, name: Option<&str>, id: &str) -> bool {
        match name {
            Some(name) => self.0.contains_key(name),
            None => self.0.values().any(|known| known.started.contains(id)),
        }
    }

    fn has(&self, workload: &WorkloadSummary) -> bool {
        let Some(known) = self.0.get(&workload.name) else { return false };
        let version = workload.metadata.get(fact::REQUEST_DIGEST);
        known.started.contains(&workload.id)
            || (version.is_some_and(|version| known.versions.contains(version))
                && !known.before.contains(&workload.id))
    }

    /// Stops what is ours of that name, and forgets the name.
    pub(super) async fn remove(
        &mut self,
        client: &Client,
        name: &str,
    ) -> Result<Vec<String>, CliError> {
        // Where nobody answers nothing is found, which must not be taken for nothing being there.
        if !round_trip(client.nats(), ROUND_TRIP_BOUND).await {
            let message = format!("NATS does not answer, so {name} was not removed");
            return Err(CliError::new(Kind::NatsUnreachable, message));
        }
        let fleet = client.fleet().await?;
        let found = client.copies(&fleet, name).await?;
        let mut here: Vec<WorkloadSummary> = found.here;
        here.extend(found.finished);
        here.retain(|workload| self.has(workload));
        let away: Vec<WorkloadSummary> =
            found.away.into_iter().filter(|workload| self.has(workload)).collect();
        stop_all(client, &here).await?;
        bury(client, &away).await?;
        self.0.remove(name);
        Ok(here.into_iter().chain(away).map(|workload| workload.id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(name: &str, id: &str, version: &str) -> WorkloadSummary {
        WorkloadSummary {
            id: id.to_owned(),
            name: name.to_owned(),
            metadata: [(fact::REQUEST_DIGEST.to_owned(), version.to_owned())].into(),
            ..WorkloadSummary::default()
        }
    }

    #[test]
    fn only_what_the_session_started_is_ours() {
        let mut ours = Ours::default();
        ours.asked_for("echo", Some("v1"), &["old".to_owned()]);
        ours.started("echo", "new");
        assert!(ours.has(&workload("echo", "new", "v1")));
        assert!(ours.has(&workload("echo", "half-way", "v1")), "a copy that nobody told of");
        assert!(!ours.has(&workload("echo", "old", "v1")), "it ran before");
        assert!(!ours.has(&workload("echo", "theirs", "v2")), "somebody else's version");
        assert!(!ours.has(&workload("other", "new", "v1")));
        assert!(ours.concerns(Some("echo"), "?") && ours.concerns(None, "new"));
        assert!(!ours.concerns(Some("other"), "new") && !ours.concerns(None, "old"));
    }
}
