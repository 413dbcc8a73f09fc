//! Events of one workload on their way to its namespace's feed.
//!
//! Owns: the subject, and what every event of a workload says. Never: decides that something happened.

use std::collections::BTreeMap;

use nex_api::event::{Event, StopError, WorkloadStarted, WorkloadStopped};
use nex_api::{encode, subject};
use nex_bus::Client;
use nex_types::{Id, Namespace, WorkloadName};

/// One workload's events. Start and end are told by the SDK; this is for what happens between.
#[derive(Debug, Clone)]
pub struct EventFeed {
    client: Client,
    id: Id,
    namespace: Namespace,
    name: WorkloadName,
    workload_type: String,
}

impl EventFeed {
    /// The events of this workload, published by `client`.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: Namespace,
        id: Id,
        name: WorkloadName,
        workload_type: String,
    ) -> Self {
        Self { client, id, namespace, name, workload_type }
    }

    /// It runs, also again.
    pub async fn started(&self) {
        self.emit(&Event::WorkloadStarted(WorkloadStarted {
            id: self.id.to_string(),
            metadata: [("name".to_owned(), self.name.to_string())].into(),
            namespace: self.namespace.to_string(),
            workload_type: self.workload_type.clone(),
        }))
        .await;
    }

    /// It does not run at the moment, and is started again.
    pub async fn restarting(
        &self,
        error: Option<StopError>,
        mut metadata: BTreeMap<String, String>,
    ) {
        metadata.insert("name".to_owned(), self.name.to_string());
        self.emit(&Event::WorkloadRestarting(WorkloadStopped {
            error,
            id: self.id.to_string(),
            metadata,
            namespace: self.namespace.to_string(),
            workload_type: self.workload_type.clone(),
        }))
        .await;
    }

    async fn emit(&self, event: &Event) {
        emit(&self.client, self.namespace.as_str(), event).await;
    }
}

/// Publishes an event of a workload on its namespace's feed.
pub(crate) async fn emit(client: &Client, namespace: &str, event: &Event) {
    let subject = subject::event(namespace, event.type_token());
    if let Err(error) = client.publish(subject, encode(event).into()).await {
        tracing::warn!(%error, event = event.type_token(), "event not published");
    }
}
