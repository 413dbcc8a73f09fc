//! What a nexlet says of itself: its registration and its endpoints.
//!
//! Owns: those checks (spec: control API, sections 2.3 and 4.5). Never: asks a workload.

use nex_bus::service::one_line;
use nex_types::Id;
use serde_json::Value;

use super::bench::{Bench, NEXUS};
use super::{Complaint, Outcome, wrong};

const TEXTS: [&str; 6] =
    ["description", "name", "public_xkey", "register_type", "start_request_schema", "version"];
const XKEY_LENGTH: usize = 56;

/// Go's decoder refuses a message that lacks a required key, or has a value of another type.
pub(super) async fn has_every_key(bench: &Bench) -> Outcome {
    let body: Value = serde_json::from_slice(&bench.registration)
        .map_err(|error| wrong(format!("its REGISTER is not JSON: {error}")))?;
    for key in TEXTS {
        if !matches!(body.get(key), Some(Value::String(_) | Value::Null)) {
            return Err(wrong(format!("\"{key}\" is missing, or no text")));
        }
    }
    if !matches!(body.get("max_workloads"), Some(Value::Number(_) | Value::Null)) {
        return Err(wrong("\"max_workloads\" is missing, or no number"));
    }
    nex_api::decode::<nex_api::agent::RegisterAgentRequest>(&bench.registration)
        .map_err(|error| wrong(error.to_string()))?;
    match body.get("supported_lifecycles") {
        Some(Value::Array(lifecycles)) if !lifecycles.is_empty() => Ok(()),
        _ => Err(Complaint::Advice(
            "without \"supported_lifecycles\" the Go CLI deploys nothing to it".to_owned(),
        )),
    }
}

pub(super) async fn is_usable(bench: &Bench) -> Outcome {
    let registered = bench.registered();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if registered.name.is_empty() || !registered.name.chars().all(is_name) {
        return Err(wrong(format!(
            "the name {:?} is not of letters, digits, '-' and '_'",
            one_line(&registered.name)
        )));
    }
    if Id::parse(&registered.register_type).is_err() {
        return Err(wrong(format!(
            "the type {:?} is not one token",
            one_line(&registered.register_type)
        )));
    }
    if bench
        .options
        .register_type
        .as_ref()
        .is_some_and(|wanted| *wanted != registered.register_type)
    {
        return Err(wrong(format!("it registers the type {:?}", registered.register_type)));
    }
    if !is_semver(&registered.version) {
        return Err(wrong(format!(
            "the version {:?} is not like 1.2.3",
            one_line(&registered.version)
        )));
    }
    let xkey = &registered.public_xkey;
    if xkey.len() != XKEY_LENGTH || !xkey.starts_with('X') {
        return Err(Complaint::Advice(
            "\"public_xkey\" is no curve key: nobody can seal anything to it".to_owned(),
        ));
    }
    Ok(())
}

pub(super) async fn has_a_schema(bench: &Bench) -> Outcome {
    let schema = bench.registered().start_request_schema;
    match serde_json::from_str::<Value>(&schema) {
        Ok(Value::Object(_) | Value::Bool(_)) => Ok(()),
        Ok(_) => Err(wrong("\"start_request_schema\" is neither an object nor true or false")),
        Err(error) => Err(wrong(format!("\"start_request_schema\" is not JSON: {error}"))),
    }
}

/// By `$SRV.INFO`, which micro services answer.
pub(super) async fn endpoints(bench: &Bench) -> Outcome {
    let subject = format!("$SRV.INFO.{}", bench.registered().name);
    // It adds its endpoints after it has been welcomed.
    let info = bench
        .eventually(super::bench::SOON, async || {
            let replies = bench.ask_all(subject.clone(), Vec::new()).await.ok()?;
            let infos = replies
                .iter()
                .filter_map(|reply| serde_json::from_slice::<Value>(&reply.payload).ok());
            infos
                .filter_map(|info| info.get("endpoints")?.as_array().cloned())
                .find(|all| is_ours(bench, all))
        })
        .await;
    let Some(found) = info else {
        let what = "it does not answer $SRV.INFO, so nats tools cannot show its endpoints";
        return Err(Complaint::Advice(what.to_owned()));
    };
    for (name, subject) in wanted(bench) {
        let is_it =
            |endpoint: &&Value| endpoint.get("subject").and_then(Value::as_str) == Some(&subject);
        let Some(endpoint) = found.iter().find(is_it) else {
            if is_optional(name) {
                continue;
            }
            return Err(wrong(format!("no endpoint on {subject}")));
        };
        if endpoint.get("name").and_then(Value::as_str) != Some(name) {
            return Err(wrong(format!("the endpoint on {subject} is not called {name}")));
        }
        if endpoint.get("queue_group").and_then(Value::as_str) != Some(&bench.agent_id) {
            return Err(wrong(format!("{name} is not in the queue group of the agent's id")));
        }
    }
    Ok(())
}

fn is_ours(bench: &Bench, endpoints: &[Value]) -> bool {
    let start = bench.start_subject("*");
    endpoints.iter().any(|endpoint| endpoint.get("subject").and_then(Value::as_str) == Some(&start))
}

fn wanted(bench: &Bench) -> Vec<(&'static str, String)> {
    vec![
        ("StartWorkload", bench.start_subject("*")),
        ("StopWorkload", bench.all("STOPWORKLOAD.*")),
        ("GetWorkload", bench.all("GETWORKLOAD.*")),
        ("QueryWorkloads", bench.all("QUERYWORKLOADS")),
        ("PingAgent", nex_api::subject::agent_ping(&bench.node_id, &bench.agent_id)),
        ("PingAllAgents", bench.all("PING")),
        ("SetLameduck", bench.all("SETLAMEDUCK")),
        ("WorkloadDiscovery", format!("$NEX.SVC.{NEXUS}.agent.PINGWORKLOAD.*")),
        ("EventListener", format!("$NEX.FEED.{}.events", bench.agent_id)),
    ]
}

fn is_optional(endpoint: &str) -> bool {
    matches!(endpoint, "WorkloadDiscovery" | "EventListener")
}

/// Three numbers, then whatever SemVer allows after them.
fn is_semver(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_three_numbers() {
        assert!(is_semver("1.2.3") && is_semver("0.0.0-rc.1+x"));
        assert!(!is_semver("v1.2.3") && !is_semver("1.2") && !is_semver("1..3") && !is_semver(""));
    }
}
