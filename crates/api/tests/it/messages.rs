//! One golden file per message.

use nex_api::NatsConnectionData;
use nex_api::agent::*;
use nex_api::auction::*;
use nex_api::event::{NodeStarted, WorkloadStarted, WorkloadStopped};
use nex_api::node::*;
use nex_api::workload::*;

use crate::golden::check;

macro_rules! golden {
    ($($file:ident: $message:ty,)+) => {
        $(
            #[test]
            fn $file() {
                let file = stringify!($file);
                check::<$message>(file, include_str!(concat!("golden/", stringify!($file), ".txt")));
            }
        )+

        /// Every file but that of the events, whose printing has a test of its own.
        #[test]
        fn no_file_is_forgotten() {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
            let known = [$(concat!(stringify!($file), ".txt"),)+ "events.txt"];
            for entry in std::fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(known.contains(&name.as_str()), "{name} is played by nobody");
            }
        }
    };
}

golden! {
    nats_connection_data: NatsConnectionData,
    node_ping_request: NodePingRequest,
    node_ping_response: NodePingResponse,
    node_info_response: NodeInfoResponse,
    node_agent_summary: NodeAgentSummary,
    agent_summary: AgentSummary,
    node_heartbeat: NodeHeartbeat,
    lameduck_request: LameduckRequest,
    lameduck_response: LameduckResponse,
    auction_request: AuctionRequest,
    auction_response: AuctionResponse,
    start_workload_request: StartWorkloadRequest,
    start_workload_response: StartWorkloadResponse,
    stop_workload_request: StopWorkloadRequest,
    stop_workload_response: StopWorkloadResponse,
    clone_workload_request: CloneWorkloadRequest,
    list_workloads_request: ListWorkloadsRequest,
    workload_summary: WorkloadSummary,
    register_agent_request: RegisterAgentRequest,
    register_agent_response: RegisterAgentResponse,
    register_remote_agent_response: RegisterRemoteAgentResponse,
    agent_start_workload_request: AgentStartWorkloadRequest,
    agent_heartbeat: AgentHeartbeat,
    agent_ingress_msg: AgentIngressMsg,
    ping_workload_response: PingWorkloadResponse,
    enc_env: EncEnv,
    node_started: NodeStarted,
    workload_started: WorkloadStarted,
    workload_stopped: WorkloadStopped,
}
