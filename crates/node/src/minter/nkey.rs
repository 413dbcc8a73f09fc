//! The nkey minter: everybody gets one identity, as in the Go implementation.
//!
//! Owns: the data that all share. Never: limits anybody; the server's own configuration does.

use nex_api::NatsConnectionData;
use nex_bus::Settings;
use nex_bus::connection::without_user;

use super::issuer::NkeyPair;
use super::servers;

/// Hands out one nkey and its seed.
#[derive(Debug)]
pub(super) struct Nkey {
    data: NatsConnectionData,
}

impl Nkey {
    pub(super) fn new(own: &Settings, pair: &NkeyPair) -> Self {
        let data = NatsConnectionData {
            nats_servers: servers(own).iter().map(|url| without_user(url)).collect(),
            nats_user_nkey: pair.public.clone(),
            nats_user_seed: pair.seed.clone(),
            ..NatsConnectionData::default()
        };
        Self { data }
    }

    pub(super) fn data(&self) -> NatsConnectionData {
        self.data.clone()
    }
}
