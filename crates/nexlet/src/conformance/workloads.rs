//! Starting, listing and stopping.
//!
//! Owns: those checks (spec: control API, sections 4.4 and 5.5 to 5.9). Never: knows what a workload does.

use std::time::{Duration, Instant};

use nex_api::error::ERROR_CODE_HEADER;
use nex_api::workload::{
    CloneWorkloadRequest, ListWorkloadsRequest, StartWorkloadRequest, StartWorkloadResponse,
    StopWorkloadRequest, StopWorkloadResponse, WorkloadSummary,
};
use nex_api::{decode, encode};
use nex_bus::Message;
use nex_bus::service::one_line;
use nex_types::Id;
use serde_json::Value;

use super::bench::{Bench, NAMESPACE, START_BOUND};
use super::{Complaint, Outcome, wrong};

const AT_ONCE: usize = 4;
/// Section 13: stopping is answered within a second; the wire itself names no bound.
const STOP_PROMISE: Duration = Duration::from_secs(1);
/// Programs that ignore their signal are killed by then.
const GONE_WITHIN: Duration = Duration::from_secs(35);
/// Keys that every summary has; `namespace` is new in 0.4, and stops depend on it.
const SUMMARY_KEYS: [&str; 9] = [
    "id",
    "name",
    "namespace",
    "runtime",
    "start_time",
    "tags",
    "workload_lifecycle",
    "workload_state",
    "workload_type",
];

pub(super) async fn restores(bench: &Bench) -> Outcome {
    let id = bench.restored_id.as_str();
    let is_there = async || find(bench, id).await.ok().flatten();
    match bench.eventually(START_BOUND, is_there).await {
        Some(summary) if summary.name == "restored" => Ok(()),
        Some(summary) => Err(wrong(format!("it is listed as {:?}", one_line(&summary.name)))),
        None => Err(wrong("a workload of existing_state is not listed under its id")),
    }
}

pub(super) async fn starts(bench: &Bench) -> Outcome {
    let id = Id::random().to_string();
    let message = bench.start_message(bench.request("one"));
    let replies = bench.ask_all(bench.start_subject(&id), message).await?;
    let started = read_start(&replies[0])?;
    if started.id != id || started.name != "one" {
        return Err(wrong(format!(
            "asked to start {id} as \"one\", it answered {:?}",
            replies[0].payload
        )));
    }
    if replies.len() > 1 {
        return Err(wrong(format!("it answered {} times", replies.len())));
    }
    match find(bench, &id).await? {
        Some(_) => stop(bench, &id).await.map(|_| ()),
        None => Err(wrong("it answered the start, but does not list the workload")),
    }
}

pub(super) async fn lists(bench: &Bench) -> Outcome {
    let (id, message) = (bench.restored_id.as_str(), |namespace: &str| ask_list(namespace, &[]));
    for namespace in [NAMESPACE, "system"] {
        let list = raw_list(bench, message(namespace)).await?;
        let Some(entry) = list.iter().find(|entry| entry["id"] == id) else {
            return Err(wrong(format!("namespace {namespace} does not see the workload")));
        };
        if let Some(missing) = SUMMARY_KEYS.iter().find(|key| entry.get(**key).is_none()) {
            return Err(wrong(format!("\"{missing}\" is missing in a list")));
        }
        let summary: WorkloadSummary = serde_json::from_value(entry.clone())
            .map_err(|error| wrong(format!("in a list: {error}")))?;
        if summary.namespace != NAMESPACE
            || summary.workload_type != bench.registered().register_type
        {
            return Err(wrong(
                "namespace or type of a listed workload is not the one that it was started with",
            ));
        }
    }
    let others = raw_list(bench, message("somebody-else")).await?;
    match others.is_empty() {
        true => Ok(()),
        false => Err(wrong("another namespace sees the workload")),
    }
}

pub(super) async fn filters(bench: &Bench) -> Outcome {
    let id = bench.restored_id.as_str();
    for (filter, expected) in [(id, 1), ("restored", 1), ("no-such-workload", 0)] {
        let found = raw_list(bench, ask_list(NAMESPACE, &[filter])).await?.len();
        if found != expected {
            return Err(wrong(format!(
                "the filter [{filter:?}] found {found} workloads, not {expected}"
            )));
        }
    }
    Ok(())
}

pub(super) async fn gives_back(bench: &Bench) -> Outcome {
    let id = &bench.restored_id;
    let reply = bench.ask(bench.all(&format!("GETWORKLOAD.{id}")), ask_clone()).await?;
    let request: StartWorkloadRequest =
        decode(&reply.payload).map_err(|error| wrong(format!("GETWORKLOAD: {error}")))?;
    let (given, wanted) = (same(&request)?, same(&bench.request("restored"))?);
    match given == wanted {
        true => Ok(()),
        false => Err(wrong("GETWORKLOAD gives back another request than the one that was started")),
    }
}

pub(super) async fn starts_many(bench: &Bench) -> Outcome {
    let ids: Vec<String> = (0..AT_ONCE).map(|_| Id::random().to_string()).collect();
    let starts = ids.iter().enumerate().map(|(n, id)| {
        let message = bench.start_message(bench.request(&format!("many-{n}")));
        bench.ask(bench.start_subject(id), message)
    });
    for reply in futures::future::join_all(starts).await {
        read_start(&reply?)?;
    }
    let listed = raw_list(bench, ask_list(NAMESPACE, &[])).await?;
    let is_listed = |id: &String| listed.iter().any(|entry| entry["id"] == id.as_str());
    if !ids.iter().all(is_listed) {
        return Err(wrong(format!(
            "of {AT_ONCE} workloads that were started at once, some are not listed"
        )));
    }
    for id in &ids {
        stop(bench, id).await?;
    }
    Ok(())
}

/// A node that got no answer may ask again.
pub(super) async fn starts_once(bench: &Bench) -> Outcome {
    let message = bench.start_message(bench.request("restored"));
    bench.ask(bench.start_subject(&bench.restored_id), message).await?;
    let listed = raw_list(bench, ask_list(NAMESPACE, &["restored"])).await?;
    match listed.len() {
        1 => Ok(()),
        n => Err(Complaint::Advice(format!("the same start again, and it lists {n} of them"))),
    }
}

pub(super) async fn stops(bench: &Bench) -> Outcome {
    let id = Id::random().to_string();
    let message = bench.start_message(bench.request("stopped"));
    read_start(&bench.ask(bench.start_subject(&id), message).await?)?;
    let took = stop(bench, &id).await?;
    let is_gone = async || matches!(find(bench, &id).await, Ok(None)).then_some(());
    if bench.eventually(GONE_WITHIN, is_gone).await.is_none() {
        return Err(wrong(format!("still listed {}s after it was stopped", GONE_WITHIN.as_secs())));
    }
    match took <= STOP_PROMISE + STOP_PROMISE / 2 {
        true => Ok(()),
        false => Err(Complaint::Advice(format!("the answer took {took:.1?}"))),
    }
}

/// Stops a workload and tells how long the answer took.
async fn stop(bench: &Bench, id: &str) -> Result<Duration, Complaint> {
    let start = Instant::now();
    let reply = bench.ask(bench.all(&format!("STOPWORKLOAD.{id}")), ask_stop(NAMESPACE)).await?;
    let took = start.elapsed();
    let response: StopWorkloadResponse =
        decode(&reply.payload).map_err(|error| wrong(format!("STOPWORKLOAD: {error}")))?;
    let wanted = StopWorkloadResponse {
        id: id.to_owned(),
        message: String::new(),
        stopped: true,
        workload_type: bench.registered().register_type,
    };
    match response == wanted && !is_error(&reply) {
        true => Ok(took),
        false => Err(wrong(format!("asked to stop {id}, it answered {:?}", reply.payload))),
    }
}

pub(super) fn ask_stop(namespace: &str) -> Vec<u8> {
    encode(&StopWorkloadRequest { namespace: namespace.to_owned(), ..Default::default() })
}

pub(super) fn ask_clone() -> Vec<u8> {
    let namespace = NAMESPACE.to_owned();
    encode(&CloneWorkloadRequest { namespace, ..CloneWorkloadRequest::default() })
}

pub(super) fn is_error(message: &Message) -> bool {
    message.headers.as_ref().is_some_and(|headers| headers.get(ERROR_CODE_HEADER).is_some())
}

fn ask_list(namespace: &str, filter: &[&str]) -> Vec<u8> {
    let filter = filter.iter().map(|entry| (*entry).to_owned()).collect();
    let namespace = namespace.to_owned();
    encode(&ListWorkloadsRequest { filter, namespace, ..ListWorkloadsRequest::default() })
}

/// One workload by its id.
pub(super) async fn find(bench: &Bench, id: &str) -> Result<Option<WorkloadSummary>, Complaint> {
    let list = raw_list(bench, ask_list(NAMESPACE, &[id])).await?;
    list.first()
        .cloned()
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| wrong(format!("in a list: {error}")))
}

/// `null` is an empty list.
async fn raw_list(bench: &Bench, body: Vec<u8>) -> Result<Vec<Value>, Complaint> {
    let reply = bench.ask(bench.all("QUERYWORKLOADS"), body).await?;
    if is_error(&reply) {
        return Err(wrong("QUERYWORKLOADS was answered with an error"));
    }
    let list: Option<Vec<Value>> = serde_json::from_slice(&reply.payload)
        .map_err(|error| wrong(format!("QUERYWORKLOADS was not answered with a list: {error}")))?;
    Ok(list.unwrap_or_default())
}

fn read_start(reply: &Message) -> Result<StartWorkloadResponse, Complaint> {
    if is_error(reply) {
        let why =
            reply.headers.as_ref().and_then(|headers| headers.get(nex_api::error::ERROR_HEADER));
        let why = why.map(ToString::to_string).unwrap_or_default();
        return Err(wrong(format!("it did not start the sample: {}", one_line(&why))));
    }
    decode(&reply.payload).map_err(|error| wrong(format!("STARTWORKLOAD: {error}")))
}

/// What of a request must come back; `run_request` as JSON, since its spelling is free.
fn same(request: &StartWorkloadRequest) -> Result<(String, String, Value), Complaint> {
    let run_request = serde_json::from_str(&request.run_request)
        .map_err(|error| wrong(format!("\"run_request\" is not JSON: {error}")))?;
    Ok((request.namespace.clone(), request.workload_type.clone(), run_request))
}
