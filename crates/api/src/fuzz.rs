//! Entry points for fuzzers: whatever the bytes are, they return; a message that was read prints as one that
//! reads the same.
//!
//! Owns: one function per parser of this crate. Never: part of the interface.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::{
    AgentHeartbeat, AgentIngressMsg, AgentSummary, EncEnv, PingWorkloadResponse,
    RegisterAgentRequest, RegisterAgentResponse, RegisterRemoteAgentResponse,
};
use crate::auction::{AuctionRequest, AuctionResponse};
use crate::event::{NodeStarted, WorkloadStarted, WorkloadStopped};
use crate::node::{
    LameduckRequest, LameduckResponse, NodeHeartbeat, NodeInfoResponse, NodePingRequest,
    NodePingResponse,
};
use crate::start::{FunctionRequest, NativeRequest};
use crate::workload::{
    AgentStartWorkloadRequest, CloneWorkloadRequest, ListWorkloadsRequest, StartWorkloadFailure,
    StartWorkloadRequest, StartWorkloadResponse, StopWorkloadRequest, StopWorkloadResponse,
    WorkloadSummary,
};
use crate::{CallErrorBody, ErrorBody, NatsConnectionData, Time, decode, encode, subject};

/// Every message, both directions.
pub fn fuzz_messages(data: &[u8]) {
    message::<NodePingRequest>(data);
    message::<NodePingResponse>(data);
    message::<NodeInfoResponse>(data);
    message::<NodeHeartbeat>(data);
    message::<LameduckRequest>(data);
    message::<LameduckResponse>(data);
    message::<AuctionRequest>(data);
    message::<AuctionResponse>(data);
    message::<StartWorkloadRequest>(data);
    message::<StartWorkloadResponse>(data);
    message::<StartWorkloadFailure>(data);
    message::<AgentStartWorkloadRequest>(data);
    message::<StopWorkloadRequest>(data);
    message::<StopWorkloadResponse>(data);
    message::<CloneWorkloadRequest>(data);
    message::<ListWorkloadsRequest>(data);
    message::<Vec<WorkloadSummary>>(data);
    message::<RegisterAgentRequest>(data);
    message::<RegisterAgentResponse>(data);
    message::<RegisterRemoteAgentResponse>(data);
    message::<AgentHeartbeat>(data);
    message::<AgentSummary>(data);
    message::<AgentIngressMsg>(data);
    message::<PingWorkloadResponse>(data);
    message::<EncEnv>(data);
    message::<NatsConnectionData>(data);
    message::<NodeStarted>(data);
    message::<WorkloadStarted>(data);
    message::<WorkloadStopped>(data);
    message::<ErrorBody>(data);
    message::<CallErrorBody>(data);
}

/// Start requests of our own types.
pub fn fuzz_start_requests(data: &[u8]) {
    let _either = serde_json::from_slice::<FunctionRequest>(data).map(|request| encode(&request));
    let _either = serde_json::from_slice::<NativeRequest>(data).map(|request| encode(&request));
}

/// Subjects are split by position, times are RFC 3339.
pub fn fuzz_subjects_and_times(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (namespace, _id) = subject::split_control(&text);
    assert!(!namespace.contains('.'), "{namespace:?} is one token");
    if let Some(time) = Time::parse(&text) {
        assert_eq!(Time::parse(&time.to_string()), Some(time));
        let _text = time.to_seconds_text();
    }
}

fn message<T: Serialize + DeserializeOwned + Default + PartialEq + Debug>(data: &[u8]) {
    if let Ok(read) = decode::<T>(data) {
        let again = decode::<T>(&encode(&read));
        assert_eq!(again.ok().as_ref(), Some(&read));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    const KEYS: [&str; 24] = [
        "agent_id",
        "agent_type",
        "auction_id",
        "command",
        "connection_data",
        "delay",
        "description",
        "error",
        "existing_state",
        "filter",
        "id",
        "max_workloads",
        "metadata",
        "name",
        "namespace",
        "node_id",
        "request",
        "run_request",
        "start_time",
        "state",
        "summary",
        "tags",
        "workload_lifecycle",
        "workload_state",
    ];

    fn all(data: &[u8]) {
        fuzz_messages(data);
        fuzz_start_requests(data);
        fuzz_subjects_and_times(data);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(running|service|job|add|0s|1m|2026-04-23T08:58:10.2-06:00|\\PC{0,8})"
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 8, |inner| {
            let key = prop_oneof![
                proptest::sample::select(&KEYS[..]).prop_map(str::to_owned),
                "\\PC{0,6}"
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key, inner), 0..10)
                    .prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            all(&data);
        }

        #[test]
        fn so_has_any_json(value in json()) {
            all(value.to_string().as_bytes());
        }

        #[test]
        fn so_has_a_good_message_with_one_wrong_byte(at in 0..400_usize, byte in any::<u8>()) {
            let request = StartWorkloadRequest { name: "hello".to_owned(), ..StartWorkloadRequest::default() };
            let workload_creds = NatsConnectionData::open(vec!["nats://127.0.0.1:4222".to_owned()]);
            let mut data = encode(&AgentStartWorkloadRequest { request, workload_creds });
            if let Some(place) = data.get_mut(at) {
                *place = byte;
            }
            all(&data);
        }

        #[test]
        fn so_have_subjects_and_times(text in "[$A-Z.*>0-9:TZ+-]{0,60}") {
            all(text.as_bytes());
        }
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        all(deep.as_bytes());
        all(format!(r#"{{"metadata":{deep}}}"#).as_bytes());
    }
}
