//! A nexlet that no node launched asks the nodes of a nexus for an id (spec: control API, section 5.2).
//!
//! Owns: RREGISTER. Never: registers; [`crate::run`] does, with what comes back.

use std::time::Duration;

use nex_api::agent::RegisterRemoteAgentResponse;
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::{NatsConnectionData, decode, subject};
use nex_bus::{RequestErrorKind, Settings, connect, request};
use nex_telemetry::traces::Tracer;

use crate::{RunError, RunOptions, SealKey};

/// As long as the Go SDK waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks for an id, credentials and the node to register with.
///
/// # Errors
/// When NATS cannot be reached, or no node of the nexus takes remote nexlets.
pub async fn obtain(
    nexus: &str,
    connection: NatsConnectionData,
    name: &str,
) -> Result<RunOptions, RunError> {
    let client = connect(&Settings::minted(connection.clone(), format!("nexlet-{name}"))).await?;
    let asked =
        client.send_request(subject::register_remote(nexus), request("{}".into(), PATIENCE));
    let reply = asked.await.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => {
            RunError::Refused(format!("no node of nexus {nexus} takes remote nexlets"))
        }
        _ => RunError::Silent(error.to_string()),
    })?;
    let headers = reply.headers.as_ref();
    if headers.is_some_and(|headers| headers.get(ERROR_CODE_HEADER).is_some()) {
        let why = headers.and_then(|headers| headers.get(ERROR_HEADER));
        return Err(RunError::Refused(why.map(ToString::to_string).unwrap_or_default()));
    }
    let response: RegisterRemoteAgentResponse =
        decode(&reply.payload).map_err(|error| RunError::Refused(error.to_string()))?;
    let _already_closed = client.drain().await;
    Ok(RunOptions {
        node_id: response.respond_to,
        agent_id: response.assigned_agent_id,
        connection: with_servers(response.registration_creds, connection),
        register_token: None,
        key: SealKey::fresh(),
        orphan_after: crate::ORPHAN_AFTER,
        tracer: Tracer::off(),
    })
}

/// Go's full-access minter may name no server: then it is the one that was asked.
fn with_servers(minted: NatsConnectionData, own: NatsConnectionData) -> NatsConnectionData {
    match (minted.nats_servers.is_empty(), minted == NatsConnectionData::default()) {
        (_, true) => own,
        (true, false) => NatsConnectionData { nats_servers: own.nats_servers, ..minted },
        (false, false) => minted,
    }
}
