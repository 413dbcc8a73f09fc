//! One process of a nexlet: started by this node, or taken over from an earlier one.
//!
//! Owns: the exact environment it is launched with, its end, and how that reads. Never: decides
//! whether it should run.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nex_sandbox::{Adopted, Child, Exit, Output, Program, Signal};
use nex_types::{Digest, format_go};

use crate::config::NexletProgram;
use crate::control::Shared;

/// A running process.
#[derive(Debug)]
pub(crate) enum Process {
    Child(Box<Child>),
    Adopted(Adopted),
}

impl Process {
    pub(crate) fn pid(&self) -> i32 {
        match self {
            Self::Child(child) => child.pid(),
            Self::Adopted(adopted) => adopted.pid(),
        }
    }

    /// Waits for its end; tells how it ended. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> String {
        match self {
            Self::Child(child) => told(child.wait().await.ok()),
            Self::Adopted(adopted) => told(adopted.wait().await),
        }
    }

    /// Asks with `signal`, waits up to `grace`, then kills it with all its descendants.
    pub(crate) async fn stop(&mut self, signal: Signal, grace: Duration) -> String {
        match self {
            Self::Child(child) => told(child.stop(signal, grace, None).await.ok()),
            Self::Adopted(adopted) => told(adopted.stop(signal, grace).await),
        }
    }
}

/// Starts the program under an agent id; its output goes to `log`, so that it needs nobody who reads.
pub(crate) fn spawn(
    shared: &Shared,
    program: &NexletProgram,
    agent_id: &str,
    register_token: &str,
    orphan_after: Duration,
    log: &Path,
) -> io::Result<Child> {
    let mut environment = environment(shared, program, agent_id, register_token)?;
    environment.insert("NEX_AGENT_ORPHAN_AFTER".to_owned(), format_go(orphan_after));
    Program {
        args: program.args.clone(),
        environment,
        output: Output::AppendTo(log.to_owned()),
        ..Program::new(&program.path)
    }
    .spawn()
}

/// Tells one program, its arguments and its settings from another; a file that was replaced is
/// another program.
pub(crate) fn fingerprint(program: &NexletProgram, orphan_after: Duration) -> io::Result<String> {
    let file = std::fs::metadata(&program.path)?;
    let file = (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec());
    let all = (&program.path, &program.args, &program.environment, orphan_after, file);
    Ok(Digest::of(format!("{all:?}").as_bytes()).to_string())
}

/// The eight variables of the specification's section 5.2, and ours of section 13.
fn environment(
    shared: &Shared,
    program: &NexletProgram,
    agent_id: &str,
    token: &str,
) -> io::Result<BTreeMap<String, String>> {
    let minted = match program.is_ours {
        true => shared.minter.for_own_registration(agent_id),
        false => shared.minter.for_registration(agent_id),
    };
    let data = minted.map_err(io::Error::other)?;
    let jwt = nex_bus::connection::base64(data.nats_user_jwt.as_bytes());
    let mut environment = program.environment.clone();
    let entries = [
        ("NEX_AGENT_NATS_SERVERS", data.nats_servers.join(",")),
        ("NEX_AGENT_NATS_USER_SEED", data.nats_user_seed),
        ("NEX_AGENT_NATS_B64_JWT", jwt),
        ("NEX_AGENT_NATS_USER", data.nats_user_name),
        ("NEX_AGENT_NATS_PASSWORD", data.nats_user_password),
        ("NEX_AGENT_NATS_USER_NKEY", data.nats_user_nkey),
        ("NEX_AGENT_NODE_ID", shared.node_id.clone()),
        ("NEX_AGENT_ASSIGNED_ID", agent_id.to_owned()),
        ("NEX_AGENT_REGISTER_TOKEN", token.to_owned()),
        ("NEX_AGENT_TLS_CA", data.tls_ca),
        ("NEX_AGENT_TLS_CERT", data.tls_cert),
        ("NEX_AGENT_TLS_KEY", data.tls_key),
        ("NEX_AGENT_TLS_FIRST", data.tls_first.to_string()),
    ];
    environment.extend(entries.map(|(key, value)| (key.to_owned(), value)));
    Ok(environment)
}

/// Of a process that was not our child, nobody can say how it ended.
fn told(exit: Option<Exit>) -> String {
    exit.map_or_else(|| "ended".to_owned(), |exit| exit.to_string())
}
