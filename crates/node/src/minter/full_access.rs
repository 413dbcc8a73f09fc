//! The minter without an issuer: nothing is made, the node's own settings are shared.
//!
//! Owns: who gets them. Our nexlets do, and with them the connections that they keep for functions;
//! the deny list is then the only wall of functions. Never: gives them to a program.

use nex_api::NatsConnectionData;
use nex_api::workload::StartWorkloadRequest;
use nex_bus::Settings;
use nex_bus::connection::without_user;

use super::{is_function, servers};

/// Hands on what the node has.
#[derive(Debug)]
pub(super) struct FullAccess {
    own: Settings,
    workloads: Workloads,
}

/// With what functions connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Workloads {
    /// As the node does.
    AsNode,
    /// Without credentials, into the account that the managed server keeps for them.
    Open,
}

impl FullAccess {
    pub(super) fn new(own: Settings) -> Self {
        Self { own, workloads: Workloads::AsNode }
    }

    pub(super) fn managed(own: Settings) -> Self {
        Self { own, workloads: Workloads::Open }
    }

    pub(super) fn for_agent(&self) -> NatsConnectionData {
        NatsConnectionData { nats_servers: servers(&self.own), ..self.own.data.clone() }
    }

    pub(super) fn for_workload(&self, request: &StartWorkloadRequest) -> NatsConnectionData {
        if self.workloads == Workloads::AsNode && is_function(request) {
            return self.for_agent();
        }
        let servers = servers(&self.own).iter().map(|url| without_user(url)).collect();
        NatsConnectionData::open(servers)
    }

    pub(super) fn describe(&self, request: &StartWorkloadRequest) -> String {
        match is_function(request) {
            true => "everything but the deny list".to_owned(),
            false => "what the server allows without credentials".to_owned(),
        }
    }

    /// A program that is given an address where it cannot log in.
    pub(super) fn warning(&self, request: &StartWorkloadRequest) -> Option<String> {
        let locked_out = self.workloads == Workloads::AsNode
            && self.own.has_credentials()
            && !is_function(request);
        let words =
            "no issuer is configured on the node: the program gets NATS_URL without credentials";
        locked_out.then(|| words.to_owned())
    }
}
