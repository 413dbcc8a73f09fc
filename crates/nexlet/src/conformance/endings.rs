//! How a nexlet ends, and what it does when a node refuses it.
//!
//! Owns: those checks (spec: control API, sections 5.11 and 5.12). Never: leaves a process behind.

use std::time::Duration;

use futures::StreamExt;
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::subject;
use nex_bus::connect;
use nex_bus::service::header_map;
use nex_sandbox::{Child, Marker, Signal, Tasks, processes_with, signal};
use nex_types::Id;

use super::bench::{Options, SOON, SetupError, launch};
use super::{Complaint, Outcome, wrong};

/// Marks the nexlet and what it starts.
pub(super) const MARK: &str = "NEX_CONFORMANCE_MARK";
/// Functions drain for at most 30 s, programs have 10 s to end.
const DRAIN_BOUND: Duration = Duration::from_secs(40);
const WATCHED_FOR: Duration = Duration::from_secs(2);
/// A Go node starts a nexlet that ended again at once, so one that retries may do so as often.
const MOST_ATTEMPTS: usize = 4;
const REGISTERS_WITHIN: Duration = Duration::from_secs(20);

/// SIGTERM, then the end of its standard input, as both kinds of nodes do it.
pub(super) async fn end(mut child: Child, mark: &str) -> Outcome {
    let pid = child.pid();
    let mark = Marker::new(MARK, mark);
    signal(pid, Signal::SIGTERM);
    let ended = tokio::time::timeout(DRAIN_BOUND, child.wait()).await;
    let stopped = child.stop(Signal::SIGKILL, Duration::from_secs(1), None).await;
    let left = processes_with(&mark);
    for pid in &left {
        signal(*pid, Signal::SIGKILL);
    }
    match (ended, stopped) {
        (Err(_), _) => {
            Err(wrong(format!("still running {}s after SIGTERM", DRAIN_BOUND.as_secs())))
        }
        (_, Err(error)) => Err(wrong(format!("its end was not seen: {error}"))),
        _ if !left.is_empty() => Err(wrong(format!("{} processes of it were left", left.len()))),
        _ => Ok(()),
    }
}

/// A second launch, whose registration is refused as a Go node refuses an id that it knows.
pub(super) async fn is_refused(options: &Options) -> Result<Outcome, SetupError> {
    let client = connect(&options.node).await?;
    let (node_id, agent_id) = (nex_bus::connection::fresh_node_id(), Id::random().to_string());
    let nats = |error: &dyn std::error::Error| SetupError::Nats(error.to_string());
    let subject = subject::register(&node_id, &agent_id);
    let mut registrations = client.subscribe(subject).await.map_err(|error| nats(&error))?;
    let mut beats = client
        .subscribe(subject::agent_heartbeat(&node_id, &agent_id))
        .await
        .map_err(|error| nats(&error))?;
    nex_bus::round_trip(&client, SOON).await;
    let tasks = Tasks::new();
    let (child, mark, _output) = launch(options, &node_id, &agent_id, &tasks)?;
    let refusal = header_map(&[
        (ERROR_HEADER.to_owned(), "failed to update registration".to_owned()),
        (ERROR_CODE_HEADER.to_owned(), "500".to_owned()),
    ]);
    let body = br#"{"error_id":"WvLS2fm0rYuHFVcv9jR6aa","error":"internal server error"}"#;
    let (mut attempts, mut bound) = (0, REGISTERS_WITHIN);
    while let Ok(Some(message)) = tokio::time::timeout(bound, registrations.next()).await {
        (attempts, bound) = (attempts + 1, WATCHED_FOR);
        if let Some(reply) = message.reply {
            let sent =
                client.publish_with_headers(reply, refusal.clone(), body.as_slice().into()).await;
            sent.map_err(|error| nats(&error))?;
        }
        if attempts > MOST_ATTEMPTS {
            break;
        }
    }
    let beat = tokio::time::timeout(Duration::from_millis(100), beats.next()).await;
    let ended = end(child, &mark).await;
    tasks.shutdown(SOON).await;
    let _already_closed = client.drain().await;
    Ok(match (attempts, beat) {
        (0, _) => Err(Complaint::Skipped("it did not register a second time".to_owned())),
        (n, _) if n > MOST_ATTEMPTS => Err(wrong(format!("{n} registrations without a pause"))),
        (_, Ok(Some(_))) => Err(wrong("it sends heartbeats although it was refused")),
        _ => ended,
    })
}
