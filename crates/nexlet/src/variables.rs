//! What a node puts into the environment of a nexlet that it launches (spec: control API, section 5.2).
//!
//! Owns: the variables' names and how they become [`RunOptions`]. Never: reads the environment; the
//! caller passes it, as `std::env::vars_os()`.

use std::collections::HashMap;
use std::ffi::OsString;

use nex_api::NatsConnectionData;
use nex_telemetry::traces::Tracer;
use nex_types::{Id, parse_go};

use crate::{RunOptions, SealKey};

/// Servers, joined by commas; set in every launch, maybe empty.
pub const SERVERS: &str = "NEX_AGENT_NATS_SERVERS";
/// Seed of the user's key.
pub const USER_SEED: &str = "NEX_AGENT_NATS_USER_SEED";
/// Standard base64 of the user's JWT.
pub const USER_JWT: &str = "NEX_AGENT_NATS_B64_JWT";
/// User name.
pub const USER: &str = "NEX_AGENT_NATS_USER";
/// Password.
pub const PASSWORD: &str = "NEX_AGENT_NATS_PASSWORD";
/// The user's public key.
pub const USER_NKEY: &str = "NEX_AGENT_NATS_USER_NKEY";
/// The node to register with.
pub const NODE_ID: &str = "NEX_AGENT_NODE_ID";
/// The id that the node assigned.
pub const ASSIGNED_ID: &str = "NEX_AGENT_ASSIGNED_ID";
/// Ours: proves to the node that it launched this process.
pub const REGISTER_TOKEN: &str = "NEX_AGENT_REGISTER_TOKEN";
/// Ours: how long to go on without the node, as `10m`; what is no duration is ignored.
pub const ORPHAN_AFTER: &str = "NEX_AGENT_ORPHAN_AFTER";
/// Ours: which part of the traces that begin in the nexlet is kept, 0 to 1; without it, nothing is traced.
pub const TRACE_SAMPLE: &str = "NEX_AGENT_TRACE_SAMPLE";
/// Ours: files and mode of TLS.
const TLS: [&str; 4] =
    ["NEX_AGENT_TLS_CA", "NEX_AGENT_TLS_CERT", "NEX_AGENT_TLS_KEY", "NEX_AGENT_TLS_FIRST"];
/// Ours: the nexus that a nexlet joins which no node launched.
pub const NEXUS: &str = "NEX_AGENT_NEXUS";
const DEFAULT_NEXUS: &str = "nexus";

/// An environment in which no nexlet can run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum VariableError {
    #[error("{0} is not set: nexlets are launched by a node, see docs/guide/nexlets.md")]
    Missing(&'static str),
    #[error("{0} is not one subject token")]
    NotAToken(&'static str),
}

/// How this process came to be.
#[derive(Debug, Clone)]
pub enum Launch {
    /// A node launched it and assigned its id.
    Local(RunOptions),
    /// Somebody else did: it asks the nodes of a nexus for an id.
    Remote {
        /// Where it asks.
        nexus: String,
        /// The connection to ask with.
        connection: NatsConnectionData,
    },
}

impl Launch {
    /// Reads the variables; others are ignored. Without an assigned id it is a remote launch.
    ///
    /// # Errors
    /// When a variable is missing that every launch has, or an id cannot be part of a subject.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, VariableError> {
        let variables = Variables::of(variables);
        let connection = connection(&variables)?;
        let Some(agent_id) = variables.filled(ASSIGNED_ID) else {
            let nexus = variables.filled(NEXUS).unwrap_or(DEFAULT_NEXUS);
            return Ok(Self::Remote { nexus: token(NEXUS, nexus)?, connection });
        };
        let node_id = variables.filled(NODE_ID).ok_or(VariableError::Missing(NODE_ID))?;
        Ok(Self::Local(RunOptions {
            node_id: token(NODE_ID, node_id)?,
            agent_id: token(ASSIGNED_ID, agent_id)?,
            connection,
            register_token: variables.filled(REGISTER_TOKEN).map(str::to_owned),
            key: SealKey::fresh(),
            orphan_after: variables
                .filled(ORPHAN_AFTER)
                .and_then(|text| parse_go(text).ok())
                .unwrap_or(crate::ORPHAN_AFTER),
            tracer: variables
                .filled(TRACE_SAMPLE)
                .and_then(|text| text.parse().ok())
                .map_or_else(Tracer::off, Tracer::on),
        }))
    }
}

/// As the Go SDK reads them: the servers' variable must be there, a JWT that is no base64 is ignored.
fn connection(variables: &Variables) -> Result<NatsConnectionData, VariableError> {
    let servers = variables.get(SERVERS).ok_or(VariableError::Missing(SERVERS))?;
    let text = |name| variables.get(name).unwrap_or_default().to_owned();
    let jwt = nex_bus::connection::from_base64(&text(USER_JWT));
    let [tls_ca, tls_cert, tls_key, tls_first] = TLS.map(text);
    Ok(NatsConnectionData {
        conn_name: String::new(),
        nats_servers: servers
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(str::to_owned)
            .collect(),
        nats_user_jwt: jwt.and_then(|jwt| String::from_utf8(jwt).ok()).unwrap_or_default(),
        nats_user_name: text(USER),
        nats_user_nkey: text(USER_NKEY),
        nats_user_password: text(PASSWORD),
        nats_user_seed: text(USER_SEED),
        tls_ca,
        tls_cert,
        tls_first: tls_first == "true",
        tls_key,
    })
}

fn token(name: &'static str, text: &str) -> Result<String, VariableError> {
    Id::parse(text).map(|id| id.to_string()).map_err(|_| VariableError::NotAToken(name))
}

struct Variables(HashMap<String, String>);

impl Variables {
    /// Those that are text; ours always are.
    fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(variables.into_iter().filter_map(text).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(pairs: &[(&str, &str)]) -> Result<Launch, VariableError> {
        Launch::from_variables(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn the_eight_variables_become_options() {
        let local = launch(&[
            (SERVERS, "nats://a:4222, nats://b:4222"),
            (USER_JWT, "and0"),
            (USER_SEED, "SUA"),
            (NODE_ID, "NB4X"),
            (ASSIGNED_ID, "WvLS"),
            ("OTHER", "ignored"),
        ]);
        let Ok(Launch::Local(options)) = local else { panic!("{local:?}") };
        assert_eq!((options.node_id.as_str(), options.agent_id.as_str()), ("NB4X", "WvLS"));
        assert_eq!(options.connection.nats_servers, ["nats://a:4222", "nats://b:4222"]);
        assert_eq!(options.connection.nats_user_jwt, "jwt");
        assert!(!format!("{options:?}").contains("SUA"), "seeds are not shown");
    }

    #[test]
    fn without_an_assigned_id_it_asks_a_nexus() {
        let remote = launch(&[(SERVERS, ""), (USER_JWT, "not base64!")]).unwrap();
        let Launch::Remote { nexus, connection } = remote else { panic!("{remote:?}") };
        assert_eq!((nexus.as_str(), connection), ("nexus", NatsConnectionData::default()));
    }

    #[test]
    fn what_cannot_be_is_said_with_the_variable() {
        assert_eq!(launch(&[]).unwrap_err(), VariableError::Missing(SERVERS));
        let without_node = [(SERVERS, ""), (ASSIGNED_ID, "a")];
        assert_eq!(launch(&without_node).unwrap_err(), VariableError::Missing(NODE_ID));
        let wildcard = [(SERVERS, ""), (NEXUS, "a.>")];
        assert_eq!(launch(&wildcard).unwrap_err(), VariableError::NotAToken(NEXUS));
    }
}
