//! Heartbeats, pings, feeds and lame duck.
//!
//! Owns: those checks (spec: control API, sections 4.6, 5.4, 5.10 and 8). Never: waits for more than two
//! heartbeats.

use std::time::Duration;

use nex_api::agent::{AGENT_ID_HEADER, AgentHeartbeat, AgentSummary, NODE_START_HEADER};
use nex_api::event::{WORKLOAD_STARTED, WORKLOAD_STOPPED};
use nex_api::node::{LameduckRequest, LameduckResponse};
use nex_api::{Time, decode, encode, subject};
use nex_bus::service::one_line;
use nex_types::Tags;
use serde_json::Value;

use super::bench::{Bench, Heard, NAMESPACE, SOON};
use super::{Complaint, Outcome, wrong};

/// Nodes call a nexlet degraded when its last heartbeat is older (section 5.4).
const DEGRADED_AFTER: Duration = Duration::from_secs(10);
const NEXT_HEARTBEAT: Duration = Duration::from_secs(12);
const STATES: [&str; 5] = ["starting", "running", "stopping", "lameduck", "error"];

pub(super) async fn beats_at_once(bench: &Bench) -> Outcome {
    let first = bench.eventually(SOON, async || bench.heartbeats.all().into_iter().next()).await;
    let Some(first) = first else {
        return Err(wrong("no heartbeat within 5s after its registration"));
    };
    let beat: AgentHeartbeat =
        decode(&first.payload).map_err(|error| wrong(format!("a heartbeat: {error}")))?;
    has_its_own_facts(bench, &beat.summary)?;
    let after = first.at.saturating_duration_since(bench.answered);
    if after > Duration::from_secs(2) {
        return Err(Complaint::Advice(format!(
            "the first one came {after:.1?} after its registration"
        )));
    }
    Ok(())
}

pub(super) async fn answers_pings(bench: &Bench) -> Outcome {
    for subject in [bench.all("PING"), subject::agent_ping(&bench.node_id, &bench.agent_id)] {
        let replies = bench.ask_all(subject.clone(), Vec::new()).await?;
        if replies.len() > 1 {
            return Err(wrong(format!("{} answers on {subject}", replies.len())));
        }
        let headers = replies[0].headers.as_ref();
        let id = headers.and_then(|headers| headers.get(AGENT_ID_HEADER)).map(ToString::to_string);
        if id.as_deref() != Some(bench.agent_id.as_str()) {
            return Err(wrong(format!("the header {AGENT_ID_HEADER} is {id:?} on {subject}")));
        }
        let summary: AgentSummary = decode(&replies[0].payload)
            .map_err(|error| wrong(format!("a ping's answer: {error}")))?;
        has_its_own_facts(bench, &summary)?;
        if summary.workload_count != 1 {
            return Err(wrong(format!("it runs 1 workload, and says {}", summary.workload_count)));
        }
    }
    Ok(())
}

/// The suite has started and stopped workloads by now.
pub(super) async fn tells_events(bench: &Bench) -> Outcome {
    if bench.options.agent_is_limited {
        return Err(Complaint::Skipped("its credentials allow no events".to_owned()));
    }
    for kind in [WORKLOAD_STARTED, WORKLOAD_STOPPED] {
        let on = subject::event(NAMESPACE, kind);
        let events: Vec<Heard> = heard(bench, |heard| heard.subject == on).await;
        let kind_of = bench.registered().register_type;
        let is_right = |heard: &Heard| {
            let body: Value = serde_json::from_slice(&heard.payload).unwrap_or_default();
            body["id"].is_string()
                && body["namespace"] == NAMESPACE
                && body["workload_type"] == kind_of.as_str()
        };
        if events.is_empty() {
            return Err(Complaint::Advice(format!("no event on {on}, so nobody can wait for it")));
        }
        if !events.iter().all(is_right) {
            return Err(wrong(format!("an event on {on} lacks id, namespace or workload_type")));
        }
    }
    Ok(())
}

pub(super) async fn logs_under_the_namespace(bench: &Bench) -> Outcome {
    if bench.options.agent_is_limited {
        return Err(Complaint::Skipped("its credentials allow no logs".to_owned()));
    }
    let logs: Vec<Heard> =
        heard(bench, |heard| heard.subject.split('.').nth(3) == Some("logs")).await;
    if logs.is_empty() {
        return Err(Complaint::Skipped("the sample logged nothing".to_owned()));
    }
    let ours = format!("$NEX.FEED.{NAMESPACE}.logs.");
    for log in logs {
        let rest = log.subject.strip_prefix(&ours).and_then(|rest| rest.split_once('.'));
        if !matches!(rest, Some((id, "stdout" | "stderr")) if !id.is_empty()) {
            return Err(wrong(format!("a log message on {}", one_line(&log.subject))));
        }
    }
    Ok(())
}

/// A violation is an asynchronous error of the broker, which must end nothing.
pub(super) async fn survives_refusals(bench: &Bench) -> Outcome {
    match bench.options.agent_is_limited {
        true => bench.ask(bench.all("PING"), Vec::new()).await.map(|_| ()),
        false => Err(Complaint::Skipped("its credentials refuse nothing".to_owned())),
    }
}

pub(super) async fn keeps_beating(bench: &Bench) -> Outcome {
    let has_two = async || (bench.heartbeats.all().len() >= 2).then_some(());
    if bench.eventually(NEXT_HEARTBEAT, has_two).await.is_none() {
        return Err(wrong("no second heartbeat within 12s"));
    }
    let beats = bench.heartbeats.all();
    let gaps = beats.windows(2).map(|pair| pair[1].at.saturating_duration_since(pair[0].at));
    let longest = gaps.max().unwrap_or_default();
    let undecodable = beats.iter().find_map(|beat| decode::<AgentHeartbeat>(&beat.payload).err());
    match undecodable {
        Some(error) => Err(wrong(format!("a heartbeat: {error}"))),
        None if longest > DEGRADED_AFTER => Err(Complaint::Advice(format!(
            "{longest:.1?} between two: nodes show it as degraded after 10s"
        ))),
        None => Ok(()),
    }
}

/// Ours (section 13): a ping tells when its node started, and a new node wants a new registration.
pub(super) async fn registers_again(bench: &Bench) -> Outcome {
    let mut count = bench.n_registrations.clone();
    for started in ["2026-01-01T00:00:00Z".to_owned(), Time::now().to_string()] {
        bench.publish_ping(&[(NODE_START_HEADER.to_owned(), started)]).await?;
    }
    let came = count.wait_for(|count| *count > 0);
    let again = tokio::time::timeout(Duration::from_secs(1), came).await;
    let again = again.is_ok_and(|count| count.is_ok());
    if !again {
        let what = "it does not look at Nex-Node-Start; its node launches it again instead";
        return Err(Complaint::Skipped(what.to_owned()));
    }
    bench.ask(bench.all("PING"), Vec::new()).await?;
    match super::workloads::find(bench, &bench.restored_id).await? {
        Some(_) => Ok(()),
        None => Err(wrong("it lost its workload when it registered again")),
    }
}

pub(super) async fn takes_lame_duck(bench: &Bench) -> Outcome {
    let body = encode(&LameduckRequest { delay: "1m0s".to_owned(), tag: Tags::new() });
    let replies = bench.ask_all(bench.all("SETLAMEDUCK"), body).await?;
    let response: LameduckResponse =
        decode(&replies[0].payload).map_err(|error| wrong(format!("SETLAMEDUCK: {error}")))?;
    if !response.success || super::workloads::is_error(&replies[0]) {
        return Err(wrong("SETLAMEDUCK with a good delay is refused"));
    }
    let is_lame = async || {
        let reply = bench.ask(bench.all("PING"), Vec::new()).await.ok()?;
        let summary: AgentSummary = decode(&reply.payload).ok()?;
        (summary.state == "lameduck").then_some(())
    };
    match bench.eventually(Duration::from_secs(1), is_lame).await {
        Some(()) => Ok(()),
        None => Err(Complaint::Advice(
            "its state stays as it was, so nodes go on giving it work".to_owned(),
        )),
    }
}

fn has_its_own_facts(bench: &Bench, summary: &AgentSummary) -> Outcome {
    let registered = bench.registered();
    if summary.name != registered.name || summary.register_type != registered.register_type {
        return Err(wrong(format!(
            "the summary's name or type is not the registered one: {summary:?}"
        )));
    }
    if !STATES.contains(&summary.state.as_str()) {
        return Err(wrong(format!(
            "the state {:?} is none of {STATES:?}",
            one_line(&summary.state)
        )));
    }
    if summary.state != "running" {
        return Err(wrong(format!("its state is {:?}: no node gives it work", summary.state)));
    }
    Ok(())
}

/// Messages of feeds; those that are on their way are waited for.
async fn heard(bench: &Bench, wanted: impl Fn(&Heard) -> bool) -> Vec<Heard> {
    let all = || bench.feeds.all().into_iter().filter(|heard| wanted(heard)).collect::<Vec<_>>();
    let some = async || Some(all()).filter(|found| !found.is_empty());
    bench.eventually(Duration::from_millis(500), some).await.unwrap_or_default()
}
