//! Keeps the nexlet processes running.
//!
//! Owns: launching each nexlet under one agent id, starting it again with back-off (1 s doubling to
//! 30 s, never given up), and ending it. Never: talks to it over NATS.
//!
//! ```text
//! launch ─► running ─► ended unasked ─► pause ─► launch      running ─► lifeline closed ─► ended
//! ```

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nex_api::Time;
use nex_api::event::Event;
use nex_policy::restart::Restarts;
use nex_sandbox::{Child, Exit, OnFailure, Program, Signal, Stdin, Tasks};
use nex_types::Id;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio_util::sync::CancellationToken;

use crate::config::NexletProgram;
use crate::control::Shared;

/// A nexlet drains for at most 35 s; then it is killed.
const DRAIN_BOUND: Duration = Duration::from_secs(40);
/// A line of a nexlet's own output that goes to the node's log.
const LONGEST_LINE: usize = 4096;

/// Keeps one nexlet running until `token` is cancelled, then ends it.
pub(crate) async fn supervise(
    shared: Arc<Shared>,
    program: NexletProgram,
    tasks: Tasks,
    token: CancellationToken,
) {
    let agent_id = Id::random().to_string();
    let mut restarts = Restarts::default();
    while !token.is_cancelled() {
        let started = Instant::now();
        let reason = match launch(&shared, &program, &agent_id) {
            Ok(mut child) => {
                forward_output(&mut child, &program.name, &tasks);
                let end = run(&mut child, &token).await;
                shared.agents.process_ended(&agent_id);
                announce_end(&shared, &agent_id, &program.name, &end).await;
                if token.is_cancelled() {
                    return;
                }
                end
            }
            Err(error) => format!("cannot be started: {error}"),
        };
        if shared.is_lameduck() {
            // A lame duck starts nothing again.
            token.cancelled().await;
            return;
        }
        let restart = restarts.ended(started, Instant::now());
        shared.agents.set_degraded(&agent_id, restart.degraded);
        tracing::error!(
            nexlet = program.name,
            reason,
            after = ?restart.after,
            degraded = restart.degraded,
            "nexlet ended, starting it again"
        );
        tokio::select! {
            () = tokio::time::sleep(restart.after) => {}
            () = token.cancelled() => {}
        }
    }
}

fn launch(shared: &Shared, program: &NexletProgram, agent_id: &str) -> io::Result<Child> {
    let token = Id::random().to_string();
    let child = Program {
        args: program.args.clone(),
        environment: environment(shared, program, agent_id, &token)?,
        stdin: Stdin::Lifeline,
        ..Program::new(&program.path)
    }
    .spawn()?;
    shared.agents.launched(agent_id, &program.name, &token);
    tracing::info!(
        nexlet = program.name,
        pid = child.pid(),
        agent.id = agent_id,
        "nexlet launched"
    );
    Ok(child)
}

/// The eight variables of the specification's section 5.2, and ours of section 13.
fn environment(
    shared: &Shared,
    program: &NexletProgram,
    agent_id: &str,
    token: &str,
) -> io::Result<BTreeMap<String, String>> {
    let data = shared.minter.for_own_registration(agent_id).map_err(io::Error::other)?;
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

/// Waits for the end; asks for it when the token says so. Returns how it ended.
async fn run(child: &mut Child, token: &CancellationToken) -> String {
    let exit = tokio::select! {
        exit = child.wait() => exit,
        () = token.cancelled() => {
            child.close_lifeline();
            match tokio::time::timeout(DRAIN_BOUND, child.wait()).await {
                Ok(exit) => exit,
                Err(_) => child.stop(Signal::SIGKILL, Duration::ZERO, None).await,
            }
        }
    };
    exit.map_or_else(|error| error.to_string(), |exit: Exit| exit.to_string())
}

async fn announce_end(shared: &Shared, agent_id: &str, name: &str, reason: &str) {
    let event = Event::AgentStopped {
        id: agent_id.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
        timestamp: Time::now(),
    };
    shared.events.emit(&event).await;
}

fn forward_output(child: &mut Child, name: &str, tasks: &Tasks) {
    if let Some(stdout) = child.stdout.take() {
        tasks.spawn("nexlet stdout", OnFailure::Log, forward(stdout, name.to_owned()));
    }
    if let Some(stderr) = child.stderr.take() {
        tasks.spawn("nexlet stderr", OnFailure::Log, forward(stderr, name.to_owned()));
    }
}

async fn forward(output: impl AsyncRead + Unpin, nexlet: String) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let cut = line.get(..LONGEST_LINE).unwrap_or(&line);
        tracing::info!(nexlet, line = %String::from_utf8_lossy(cut), "nexlet says");
    }
}
