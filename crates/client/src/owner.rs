//! Whose a workload is.
//!
//! Owns: finding the namespace of an id for who acts for all (spec: control API, section 5.6). Never: guesses
//! between two.

use std::collections::BTreeSet;

use nex_api::workload::{StopWorkloadResponse, WorkloadSummary};

use crate::{Client, Error};

impl Client {
    /// Stops one workload by its id alone: in this client's namespace, or, for `system`, in the one
    /// namespace that has it.
    ///
    /// # Errors
    /// As [`Client::stop`]; for `system` also [`Error::NotFound`], [`Error::OwnerUnknown`] and [`Error::AmbiguousId`].
    pub async fn stop_by_id(&self, id: &str) -> Result<StopWorkloadResponse, Error> {
        if !self.is_system() {
            return self.stop(self.namespace.as_str(), id).await;
        }
        let listed = self.workloads(&[id.to_owned()]).await?;
        let owner = owner_of(id, &listed)?;
        self.stop(&owner, id).await
    }
}

fn owner_of(id: &str, listed: &[WorkloadSummary]) -> Result<String, Error> {
    // The filter takes names too; another workload may be called like this one's id.
    let named = listed.iter().filter(|workload| workload.id == id);
    let owners: BTreeSet<&str> = named.map(|workload| workload.namespace.as_str()).collect();
    let mut owners = owners.into_iter();
    match (owners.next(), owners.next()) {
        (None, _) => Err(Error::NotFound),
        (Some(""), _) => Err(Error::OwnerUnknown),
        (Some(owner), None) => Ok(owner.to_owned()),
        (Some(_), Some(_)) => Err(Error::AmbiguousId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(id: &str, namespace: &str) -> WorkloadSummary {
        let (id, namespace) = (id.to_owned(), namespace.to_owned());
        WorkloadSummary { id, namespace, ..WorkloadSummary::default() }
    }

    #[test]
    fn the_one_namespace_that_has_it_is_the_owner() {
        let named_alike = WorkloadSummary { name: "w".to_owned(), ..workload("x", "b") };
        let twice = [workload("w", "a"), workload("w", "a"), named_alike];
        assert_eq!(owner_of("w", &twice), Ok("a".to_owned()));
        assert_eq!(owner_of("nope", &twice), Err(Error::NotFound));
        assert_eq!(owner_of("w", &[workload("w", "")]), Err(Error::OwnerUnknown));
        let both = [workload("w", "a"), workload("w", "b")];
        assert_eq!(owner_of("w", &both), Err(Error::AmbiguousId));
    }
}
