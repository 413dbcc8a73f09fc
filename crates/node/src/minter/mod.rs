//! Credentials for nexlets and workloads; one file per way of making them (spec: control API, section 7).
//!
//! Owns: which minter is in force, and what a workload may do by it. Never: hands a workload's program
//! the node's own credentials, or prints a secret.
//!
//! ```text
//! no issuer     full_access   nexlets: the node's own settings · programs: the address alone
//! nkey + seed   nkey          one shared identity for all
//! signing key   signing_key   a JWT each: its own subjects and nothing else, refused by the server
//! ```

mod full_access;
mod host_services;
mod issuer;
mod nkey;
mod permissions;
mod signing_key;
mod triggers;

use nex_api::NatsConnectionData;
use nex_api::start::FunctionRequest;
use nex_api::workload::StartWorkloadRequest;
use nex_bus::Settings;
use nex_bus::connection::DEFAULT_URL;

use self::full_access::FullAccess;
pub use self::issuer::{Issuer, IssuerError};
use self::nkey::Nkey;
use self::signing_key::SigningKey;
use crate::policy::Policy;

/// What a node's minter is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) own: Settings,
    pub(crate) policy: Option<Policy>,
    /// Where nexlets read artifacts.
    pub(crate) buckets: Vec<String>,
    pub(crate) node_id: String,
    pub(crate) nexus: String,
}

/// Credentials that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("credentials cannot be made: {0}")]
pub(crate) struct MintError(#[from] nex_bus::jwt::Error);

/// A trigger outside of what the namespace may use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("namespace {namespace} may not {verb} {pattern}")]
pub(crate) struct NotGranted {
    namespace: String,
    verb: &'static str,
    pattern: String,
}

/// Mints connection data.
#[derive(Debug)]
pub(crate) struct Minter {
    kind: Kind,
    own: Settings,
    /// Without one, everything that is not on the deny list is allowed.
    policy: Option<Policy>,
}

#[derive(Debug)]
enum Kind {
    FullAccess(FullAccess),
    Nkey(Nkey),
    SigningKey(Box<SigningKey>),
}

impl Minter {
    pub(crate) fn new(issuer: Issuer, parts: Parts) -> Self {
        let own = parts.own.clone();
        let policy = parts.policy.clone();
        let (kind, policy) = match issuer {
            Issuer::FullAccess => (Kind::FullAccess(FullAccess::new(own.clone())), policy),
            Issuer::Managed => (Kind::FullAccess(FullAccess::managed(own.clone())), policy),
            Issuer::Nkey(pair) => (Kind::Nkey(Nkey::new(&own, &pair)), policy),
            Issuer::SigningKey(signer) => {
                let minter = Box::new(SigningKey::new(signer, parts));
                (Kind::SigningKey(minter), Some(policy.unwrap_or_default()))
            }
        };
        Self { kind, own, policy }
    }

    /// What any agent may register with: Go's inbox.
    pub(crate) fn for_registration(&self, agent_id: &str) -> Result<NatsConnectionData, MintError> {
        self.registration(agent_id, Party::Foreign)
    }

    /// The same for our own nexlets, whose inbox is theirs alone.
    pub(crate) fn for_own_registration(
        &self,
        agent_id: &str,
    ) -> Result<NatsConnectionData, MintError> {
        self.registration(agent_id, Party::Ours)
    }

    /// What any agent works with.
    pub(crate) fn for_agent(&self, agent_id: &str) -> Result<NatsConnectionData, MintError> {
        self.agent(agent_id, Party::Foreign)
    }

    /// The same for our own nexlets, which renew it; less than what others get.
    pub(crate) fn for_own_agent(&self, agent_id: &str) -> Result<NatsConnectionData, MintError> {
        self.agent(agent_id, Party::Ours)
    }

    /// What a workload's connection gets.
    pub(crate) fn for_workload(
        &self,
        workload_id: &str,
        request: &StartWorkloadRequest,
    ) -> Result<NatsConnectionData, MintError> {
        let minted = match &self.kind {
            Kind::FullAccess(minter) => minter.for_workload(request),
            Kind::Nkey(minter) => minter.data(),
            Kind::SigningKey(minter) => minter.for_workload(workload_id, request)?,
        };
        Ok(self.for_party(minted, party_of(request)))
    }

    /// Refuses a start request whose triggers the namespace may not use.
    pub(crate) fn permit(&self, request: &StartWorkloadRequest) -> Result<(), NotGranted> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let namespace = &request.namespace;
        let granted = policy.of(namespace).cloned().unwrap_or_default();
        let refused = |wanted: Vec<_>, granted: &[nex_types::SubjectPattern], verb| {
            let is_granted = |wanted| granted.iter().any(|pattern| pattern.covers(wanted));
            let pattern = wanted.iter().find(|wanted| !is_granted(wanted))?.to_string();
            Some(NotGranted { namespace: namespace.clone(), verb, pattern })
        };
        let read = refused(triggers::read(request), &granted.subscribe, "subscribe to");
        let published = || refused(triggers::published(request), &granted.publish, "publish to");
        let buckets = host_services::listed_buckets(request);
        let listed_read = || refused(buckets.clone(), &granted.subscribe, "subscribe to");
        let listed_written = || refused(buckets.clone(), &granted.publish, "publish to");
        let refused = read.or_else(published).or_else(listed_read).or_else(listed_written);
        refused.map_or(Ok(()), Err)
    }

    /// What the workload may do, for people: a sentence, or its permissions as JSON.
    pub(crate) fn describe(&self, workload_id: &str, request: &StartWorkloadRequest) -> String {
        match &self.kind {
            Kind::FullAccess(minter) => minter.describe(request),
            Kind::Nkey(_) => "everything that the issuer's nkey may".to_owned(),
            Kind::SigningKey(minter) => {
                let permissions = minter.workload_permissions(workload_id, request);
                String::from_utf8_lossy(&nex_api::encode(&permissions)).into_owned()
            }
        }
    }

    /// What the deployer should know of the workload's credentials.
    pub(crate) fn warning(&self, request: &StartWorkloadRequest) -> Option<String> {
        match &self.kind {
            Kind::FullAccess(minter) => minter.warning(request),
            Kind::Nkey(_) | Kind::SigningKey(_) => None,
        }
    }

    fn registration(&self, agent_id: &str, party: Party) -> Result<NatsConnectionData, MintError> {
        let minted = match &self.kind {
            Kind::FullAccess(minter) => minter.for_agent(),
            Kind::Nkey(minter) => minter.data(),
            Kind::SigningKey(minter) => minter.for_registration(agent_id, party)?,
        };
        Ok(self.for_party(minted, party))
    }

    fn agent(&self, agent_id: &str, party: Party) -> Result<NatsConnectionData, MintError> {
        let minted = match &self.kind {
            Kind::FullAccess(minter) => minter.for_agent(),
            Kind::Nkey(minter) => minter.data(),
            Kind::SigningKey(minter) => minter.for_agent(agent_id, party)?,
        };
        Ok(self.for_party(minted, party))
    }

    /// Our nexlets are on this machine, where the node's TLS files are.
    fn for_party(&self, minted: NatsConnectionData, party: Party) -> NatsConnectionData {
        match party {
            Party::Ours => with_tls_of(&self.own, minted),
            Party::Foreign => minted,
        }
    }
}

/// Whose nexlet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    /// Has an inbox of its own and renews its credentials.
    Ours,
    /// Does as the Go SDK.
    Foreign,
}

/// Who holds a workload's connection: our function nexlet, or a program.
fn party_of(request: &StartWorkloadRequest) -> Party {
    if is_function(request) { Party::Ours } else { Party::Foreign }
}

/// The types of our function nexlets, whose connections the nexlet opens and keeps to itself.
fn is_function(request: &StartWorkloadRequest) -> bool {
    matches!(request.workload_type.as_str(), "javascript" | "wasm")
}

/// Whether Nex made `bucket` for the request's namespace: such a one needs no grant.
fn is_own_bucket(bucket: &str, request: &StartWorkloadRequest) -> bool {
    let namespace = nex_types::Namespace::parse(&request.namespace);
    namespace.is_ok_and(|own| bucket.starts_with(&nex_types::host_bucket_prefix(&own)))
}

/// The request of a function, if it is one; what cannot be read the nexlet refuses.
fn function(request: &StartWorkloadRequest) -> Option<FunctionRequest> {
    is_function(request).then(|| serde_json::from_str(&request.run_request).ok()).flatten()
}

/// The servers that the node uses, as others are told them.
fn servers(own: &Settings) -> Vec<String> {
    match own.data.nats_servers.as_slice() {
        [] => vec![DEFAULT_URL.to_owned()],
        servers => servers.to_vec(),
    }
}

/// Adds the node's TLS files, for holders on the same machine.
fn with_tls_of(own: &Settings, minted: NatsConnectionData) -> NatsConnectionData {
    let NatsConnectionData { tls_ca, tls_cert, tls_first, tls_key, .. } = own.data.clone();
    NatsConnectionData { tls_ca, tls_cert, tls_first, tls_key, ..minted }
}

#[cfg(test)]
mod tests;
