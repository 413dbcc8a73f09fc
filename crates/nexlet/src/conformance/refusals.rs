//! What a nexlet must refuse, and when it must say nothing.
//!
//! Owns: those checks (spec: control API, section 2.4). Never: demands a particular text.

use nex_api::decode;
use nex_api::error::{ERROR_CODE_HEADER, ERROR_HEADER};
use nex_api::workload::StopWorkloadResponse;
use nex_bus::Message;
use nex_types::Id;
use serde_json::Value;

use super::bench::{Bench, NAMESPACE, NEXUS};
use super::workloads::{ask_clone, ask_stop, find};
use super::{Complaint, Outcome, wrong};

/// Every nexlet's error has this code.
const CODE: &str = "100";
const MALFORMED: [&str; 4] = ["", "{", "[]", r#"{"request":7}"#];

pub(super) async fn is_silent(bench: &Bench) -> Outcome {
    let id = Id::random().to_string();
    if !bench.is_silent(bench.all(&format!("GETWORKLOAD.{id}")), ask_clone()).await {
        return Err(wrong(
            "it answers GETWORKLOAD for an id that it does not run; the owner's answer would be lost",
        ));
    }
    let discovery = format!("$NEX.SVC.{NEXUS}.agent.PINGWORKLOAD.{id}");
    if !bench.is_silent(discovery, Vec::new()).await {
        return Err(wrong("it answers PINGWORKLOAD for an id that it does not run"));
    }
    Ok(())
}

pub(super) async fn refuses_a_start(bench: &Bench) -> Outcome {
    let Some(run_request) = bench.options.refused_request.clone() else {
        return Err(Complaint::Skipped(
            "no start request was named that it must refuse".to_owned(),
        ));
    };
    let id = Id::random().to_string();
    let request =
        nex_api::workload::StartWorkloadRequest { run_request, ..bench.request("refused") };
    let reply = bench.ask(bench.start_subject(&id), bench.start_message(request)).await?;
    is_start_error(&reply, &id)?;
    let body: Value = serde_json::from_slice(&reply.payload).unwrap_or_default();
    if body["name"] != "refused" {
        return Err(wrong("the body of a refused start does not repeat the name"));
    }
    match find(bench, &id).await? {
        None => Ok(()),
        Some(_) => Err(wrong("a workload whose start was refused is listed")),
    }
}

pub(super) async fn answers_malformed(bench: &Bench) -> Outcome {
    for body in MALFORMED {
        let id = Id::random().to_string();
        let start = bench.ask(bench.start_subject(&id), body.into()).await?;
        is_start_error(&start, &id)?;
        let stop = bench.ask(bench.all(&format!("STOPWORKLOAD.{id}")), body.into()).await?;
        is_stop_error(bench, &stop, &id)?;
        for verb in ["QUERYWORKLOADS", "SETLAMEDUCK"] {
            let reply = bench.ask(bench.all(verb), body.into()).await?;
            is_error(&reply, verb)?;
        }
    }
    let unlucky = br#"{"delay":"soon"}"#.to_vec();
    is_error(
        &bench.ask(bench.all("SETLAMEDUCK"), unlucky).await?,
        "SETLAMEDUCK with a delay that is none",
    )
}

pub(super) async fn stops_no_other(bench: &Bench) -> Outcome {
    for (id, namespace) in
        [(bench.restored_id.clone(), "somebody-else"), (Id::random().to_string(), NAMESPACE)]
    {
        let subject = bench.all(&format!("STOPWORKLOAD.{id}"));
        let reply = bench.ask(subject, ask_stop(namespace)).await?;
        is_stop_error(bench, &reply, &id)?;
    }
    match find(bench, &bench.restored_id).await? {
        Some(_) => Ok(()),
        None => Err(wrong("somebody-else stopped a workload of another namespace")),
    }
}

fn is_error(reply: &Message, of: &str) -> Outcome {
    let header = |name| {
        reply.headers.as_ref().and_then(|headers| headers.get(name)).map(ToString::to_string)
    };
    match (header(ERROR_CODE_HEADER).as_deref(), header(ERROR_HEADER).as_deref()) {
        (Some(CODE), Some(why)) if !why.is_empty() => Ok(()),
        (None, _) => Err(wrong(format!("{of} was not answered with an error"))),
        (code, _) => {
            Err(wrong(format!("{of} was answered with code {code:?}, or without a description")))
        }
    }
}

fn is_start_error(reply: &Message, id: &str) -> Outcome {
    is_error(reply, "STARTWORKLOAD")?;
    let body: Value = serde_json::from_slice(&reply.payload).unwrap_or_default();
    match body["id"] == id && body["name"].is_string() {
        true => Ok(()),
        false => Err(wrong("the error's body has no id and name")),
    }
}

fn is_stop_error(bench: &Bench, reply: &Message, id: &str) -> Outcome {
    is_error(reply, "STOPWORKLOAD")?;
    let body: StopWorkloadResponse = decode(&reply.payload)
        .map_err(|error| wrong(format!("the body of STOPWORKLOAD's error: {error}")))?;
    let wanted = StopWorkloadResponse {
        workload_type: bench.registered().register_type,
        ..StopWorkloadResponse::not_found(id)
    };
    match body == wanted {
        true => Ok(()),
        false => Err(wrong(format!("the body of STOPWORKLOAD's error is {body:?}"))),
    }
}
