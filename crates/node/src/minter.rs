//! Credentials for nexlets and workloads: the full-access minter, which hands out the servers alone.
//!
//! Owns: what is minted. Never: hands the node's own credentials to a workload. The signing-key and
//! nkey minters are not there yet (docs/roadmap.md).

use nex_api::NatsConnectionData;
use nex_bus::Settings;
use nex_bus::connection::{DEFAULT_URL, without_user};

/// Mints connection data.
#[derive(Debug, Clone)]
pub(crate) struct Minter {
    own: Settings,
}

impl Minter {
    pub(crate) fn full_access(own: Settings) -> Self {
        Self { own }
    }

    /// For our nexlets: the node's own connection settings (section 13, "Full-access minter").
    pub(crate) fn for_agent(&self) -> NatsConnectionData {
        NatsConnectionData { nats_servers: self.servers(), ..self.own.data.clone() }
    }

    /// For workloads: the address alone.
    pub(crate) fn for_workload(&self) -> NatsConnectionData {
        NatsConnectionData::open(self.servers().iter().map(|url| without_user(url)).collect())
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
        let minted = minter.for_workload();
        assert_eq!(minted, NatsConnectionData::open(vec!["nats://h:4222".to_owned()]));
        assert_eq!(minter.for_agent().nats_user_seed, "SUSECRET");
    }
}
