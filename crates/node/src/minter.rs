//! Credentials for nexlets and workloads: the full-access minter, which hands out the servers alone.
//!
//! Owns: what is minted. Never: hands the node's own credentials to a workload. The signing-key and
//! nkey minters are not there yet (docs/roadmap.md).

use nex_api::NatsConnectionData;
use nex_api::workload::StartWorkloadRequest;
use nex_bus::Settings;
use nex_bus::connection::{DEFAULT_URL, without_user};

/// Credentials that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("credentials cannot be made: {0}")]
pub(crate) struct MintError(String);

/// Mints connection data.
#[derive(Debug, Clone)]
pub(crate) struct Minter {
    own: Settings,
}

impl Minter {
    pub(crate) fn full_access(own: Settings) -> Self {
        Self { own }
    }

    /// What an agent may register with.
    pub(crate) fn for_registration(&self, agent_id: &str) -> Result<NatsConnectionData, MintError> {
        self.for_agent(agent_id)
    }

    /// For our nexlets: the node's own connection settings (section 13, "Full-access minter").
    pub(crate) fn for_agent(&self, _agent_id: &str) -> Result<NatsConnectionData, MintError> {
        Ok(NatsConnectionData { nats_servers: self.servers(), ..self.own.data.clone() })
    }

    /// For workloads: the address alone.
    pub(crate) fn for_workload(
        &self,
        _workload_id: &str,
        _request: &StartWorkloadRequest,
    ) -> Result<NatsConnectionData, MintError> {
        let servers = self.servers().iter().map(|url| without_user(url)).collect();
        Ok(NatsConnectionData::open(servers))
    }

    fn servers(&self) -> Vec<String> {
        match self.own.data.nats_servers.as_slice() {
            [] => vec![DEFAULT_URL.to_owned()],
            servers => servers.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_get_the_address_and_nothing_else() {
        let own = NatsConnectionData {
            nats_servers: vec!["nats://node:pw@h:4222".to_owned()],
            nats_user_seed: "SUSECRET".to_owned(),
            ..NatsConnectionData::default()
        };
        let minter = Minter::full_access(Settings::minted(own, "node"));
        let minted = minter.for_workload("w", &StartWorkloadRequest::default()).unwrap();
        assert_eq!(minted, NatsConnectionData::open(vec!["nats://h:4222".to_owned()]));
        assert_eq!(minter.for_agent("a").unwrap().nats_user_seed, "SUSECRET");
    }
}
