//! Starting a workload a second time, wherever there is room.
//!
//! Owns: CLONE, and the order clone → auction → deploy (spec: control API, section 5.7). Never: stops the
//! original.

use std::time::Duration;

use nex_api::workload::{CloneWorkloadRequest, StartWorkloadRequest, StartWorkloadResponse};
use nex_api::{encode, subject};
use nex_bus::gather::{Bounds, gather};
use nex_bus::seal::{SealKey, open_request};
use nex_types::{Namespace, Tags};

use crate::{Client, Error, Placement, read};

/// The node that has it answers within milliseconds; the others stay silent.
const BOUND: Duration = Duration::from_millis(2500);

impl Client {
    /// The start request of a workload, from the node that runs it. A sealed environment was sealed
    /// anew to a key made for this once, and is clear here; [`Client::deploy`] seals it again.
    ///
    /// # Errors
    /// [`Error::NotFound`] when no node has it, or it belongs to a namespace that this client may not act for.
    pub async fn definition(&self, id: &str) -> Result<StartWorkloadRequest, Error> {
        let subject = subject::control_of(self.namespace.as_str(), "CLONE", id);
        let key = SealKey::fresh();
        let request = CloneWorkloadRequest {
            namespace: self.namespace.to_string(),
            new_target_xkey: key.public(),
            reseal: true,
        };
        let has_it = |message: &nex_bus::Message| read::<StartWorkloadRequest>(message).is_ok();
        let bounds = Bounds { total: BOUND, stall: BOUND, max: None };
        let gathered = gather(&self.nats, subject, encode(&request).into(), bounds, has_it)
            .await
            .map_err(|error| Error::Nats(error.to_string()))?;
        if gathered.no_responders {
            return Err(Error::NoResponders);
        }
        let found = gathered.messages.iter().find(|message| has_it(message));
        // Without one that has it, a refusal tells more than silence does.
        let answer = found.or(gathered.messages.first()).ok_or(Error::NotFound)?;
        let mut definition: StartWorkloadRequest = read(answer)?;
        if definition.namespace.is_empty() {
            return Err(Error::Unreadable("clone response missing namespace".to_owned()));
        }
        // What another key sealed stays so, and its start says what to do.
        if let Ok(clear) = open_request(&definition.run_request, &key) {
            definition.run_request = clear;
        }
        Ok(definition)
    }

    /// Starts a workload again, under a new id in the namespace of the original, on a node with `tags`.
    ///
    /// # Errors
    /// As [`Client::definition`]; [`Error::NoBid`] when nobody takes it; or the refusal of who should start it.
    pub async fn clone_workload(
        &self,
        id: &str,
        tags: &Tags,
    ) -> Result<StartWorkloadResponse, Error> {
        let mut request = self.definition(id).await?;
        request.tags = tags.clone();
        let owner = Namespace::parse(&request.namespace)
            .map_err(|error| Error::Unreadable(error.to_string()))?;
        let owner = Self::new(self.nats.clone(), owner);
        let fleet = owner.fleet().await?;
        match owner.place(&fleet, &request, tags).await? {
            Placement::Placed { response, .. } => Ok(response),
            Placement::Nobody | Placement::NotThisLifecycle(_) => Err(Error::NoBid),
        }
    }
}
