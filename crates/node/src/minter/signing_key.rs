//! The signing-key minter: a fresh user and a JWT for each agent and workload.
//!
//! Owns: who gets which permissions, for how long. Never: keeps a seed that it handed out.

use std::time::{Duration, SystemTime};

use nex_api::NatsConnectionData;
use nex_api::workload::StartWorkloadRequest;
use nex_bus::connection::{nexlet_inbox, without_user, workload_inbox};
use nex_bus::jwt::{self, Claims, Key, Permissions};
use nex_types::parse_go;

use super::issuer::SigningAccount;
use super::{
    MintError, Parts, Party, function, host_services, is_function, party_of, permissions, servers,
    triggers,
};
use crate::policy::Policy;

/// As in Go, for holders who cannot renew what they have.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// What a function's timeout is when its request names none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(4);
/// Where everybody but ours expects answers.
const INBOX: &str = "_INBOX.>";

/// Signs a JWT for each.
#[derive(Debug)]
pub(super) struct SigningKey {
    signer: SigningAccount,
    parts: Parts,
    policy: Policy,
}

impl SigningKey {
    pub(super) fn new(signer: SigningAccount, parts: Parts) -> Self {
        let policy = parts.policy.clone().unwrap_or_default();
        Self { signer, parts, policy }
    }

    pub(super) fn for_registration(
        &self,
        agent_id: &str,
        party: Party,
    ) -> Result<NatsConnectionData, MintError> {
        let inbox = inbox_of(agent_id, party);
        let permissions = permissions::registration(&self.parts.node_id, agent_id, &inbox);
        // Not renewed: a nexlet that was away for long shall still be able to come back.
        self.mint(agent_id, &permissions, YEAR)
    }

    pub(super) fn for_agent(
        &self,
        agent_id: &str,
        party: Party,
    ) -> Result<NatsConnectionData, MintError> {
        let Parts { node_id, nexus, buckets, .. } = &self.parts;
        let inbox = inbox_of(agent_id, party);
        let permissions = permissions::agent(node_id, agent_id, nexus, &inbox, buckets);
        self.mint(agent_id, &permissions, self.life(party))
    }

    pub(super) fn for_workload(
        &self,
        workload_id: &str,
        request: &StartWorkloadRequest,
    ) -> Result<NatsConnectionData, MintError> {
        let permissions = self.workload_permissions(workload_id, request);
        let life = self.life(party_of(request));
        self.mint(workload_id, &permissions, life)
    }

    pub(super) fn workload_permissions(
        &self,
        workload_id: &str,
        request: &StartWorkloadRequest,
    ) -> Permissions {
        let namespace = &request.namespace;
        let texts = |patterns: &[nex_types::SubjectPattern]| {
            patterns.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let granted = self.policy.of(namespace);
        let publish = granted.map(|granted| texts(&granted.publish)).unwrap_or_default();
        if !is_function(request) {
            let subscribe = granted.map(|granted| texts(&granted.subscribe)).unwrap_or_default();
            return permissions::workload(namespace, INBOX, publish, subscribe, None);
        }
        let services = function(request).and_then(|function| function.host_services);
        let granted = granted.map(|granted| granted.publish.as_slice()).unwrap_or_default();
        let mut publish = host_services::publish(request, services.as_ref(), granted);
        let inbox = format!("{}.>", workload_inbox(workload_id));
        publish.extend(triggers::jetstream(request));
        let subscribe = texts(&triggers::subscribed(request));
        permissions::workload(namespace, &inbox, publish, subscribe, Some(timeout(request)))
    }

    fn life(&self, party: Party) -> Duration {
        match party {
            Party::Ours => self.signer.life,
            Party::Foreign => YEAR,
        }
    }

    fn mint(
        &self,
        name: &str,
        permissions: &Permissions,
        life: Duration,
    ) -> Result<NatsConnectionData, MintError> {
        let user = Key::user();
        let claims = Claims {
            name: name.to_owned(),
            subject: user.public(),
            issued_at: SystemTime::now(),
            lifetime: Some(life),
        };
        let SigningAccount { key, account, .. } = &self.signer;
        let servers = servers(&self.parts.own).iter().map(|url| without_user(url)).collect();
        Ok(NatsConnectionData {
            nats_user_seed: user.seed()?,
            nats_user_jwt: jwt::user(key, Some(account), &claims, permissions)?,
            ..NatsConnectionData::open(servers)
        })
    }
}

fn inbox_of(agent_id: &str, party: Party) -> String {
    match party {
        Party::Ours => format!("{}.>", nexlet_inbox(agent_id)),
        Party::Foreign => INBOX.to_owned(),
    }
}

fn timeout(request: &StartWorkloadRequest) -> Duration {
    let limits = function(request).and_then(|function| function.limits);
    let timeout = limits.and_then(|limits| parse_go(&limits.timeout?).ok());
    timeout.unwrap_or(DEFAULT_TIMEOUT)
}
