//! J2: `nex up` in one terminal, `nex nodes` in another.
//!
//! 1. One row: name, id, version, uptime, state, nexlets.
//! 2. `$SRV.PING` and `$SRV.INFO` of any client show the node: endpoints, subjects, queue groups (check 1).
//! 3. `nex info` of the node shows three healthy nexlets (check 5); an unknown one is not found (check 6).

use serde_json::{Value, json};

use crate::world::{World, assert_refused, json_of, text};

#[tokio::test]
async fn j02_nodes_shows_one_row() {
    let world = World::up().await;
    let node = world.node_id().await;
    assert_eq!((node.len(), node.chars().next()), (56, Some('N')));
    let table = world.nex.ok(&["nodes"]).await.text();
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "ID", "NEXUS", "VERSION", "UPTIME", "STATE", "NEXLETS"]);
    assert_eq!(rows.len(), 2, "{table}");
    let [name, id, nexus, version, uptime, state, nexlets] = rows[1][..] else { panic!("{table}") };
    assert!(name.contains('-'), "an invented name is adjective-noun: {name}");
    assert_eq!([id, nexus, version, state, nexlets], [&node, "nexus", "0.5.0", "running", "3"]);
    assert!(uptime.ends_with('s'), "{uptime}");
    assert_eq!(world.nex.ok(&["nodes"]).await.text().lines().count(), 2);

    let filter = format!("nex.node={name}");
    assert!(world.nex.ok(&["nodes", "--filter", &filter]).await.text().contains(&node));
    let nobody = world.nex.ok(&["nodes", "--filter", "nex.node=nobody"]).await;
    assert_eq!(nobody.text(), "No nodes found\n");
    world.finish().await;
}

#[tokio::test]
async fn j02_any_client_sees_the_node_s_micro_service() {
    let world = World::up().await;
    let node = world.node_id().await;
    let pong = json_of(&world.ask("$SRV.PING.nexnode", "").await);
    assert_eq!([&pong["name"], &pong["version"]], ["nexnode", "0.5.0"]);
    assert_eq!(pong["type"], "io.nats.micro.v1.ping_response");

    let info = json_of(&world.ask("$SRV.INFO.nexnode", "").await);
    assert_eq!(info["description"], "Commit: development | Build date: unknown");
    assert_eq!(info["metadata"], json!({}));
    let endpoints = info["endpoints"].as_array().unwrap();
    for endpoint in endpoints {
        assert_eq!(endpoint["queue_group"], node.as_str(), "{endpoint}");
    }
    let mut seen: Vec<(String, String)> =
        endpoints.iter().map(|e| (text(e, "/name"), text(e, "/subject"))).collect();
    let mut expected: Vec<(String, String)> =
        announced(&node).into_iter().map(|(name, subject)| (name.to_owned(), subject)).collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    world.finish().await;
}

#[tokio::test]
async fn j02_info_shows_the_node_and_its_nexlets() {
    let world = World::up().await;
    let node = world.node_id().await;
    let shown = world.nex.ok(&["info", &node]).await.text();
    assert_eq!(shown.matches("healthy").count(), 3, "{shown}");
    for says in ["javascript", "wasm", "native", "🟢", "nex.os=linux"] {
        assert!(shown.contains(says), "no {says:?} in:\n{shown}");
    }
    let info = world.nex.ok(&["node", "info", &node, "--full", "--json"]).await.json();
    let agents = info["node_agent_summaries"].as_array().unwrap();
    let mut kinds: Vec<String> = agents.iter().map(|a| text(a, "/agent_summary/type")).collect();
    kinds.sort();
    assert_eq!(kinds, ["javascript", "native", "wasm"]);
    assert!(agents.iter().all(|agent: &Value| agent["agent_health"] == "healthy"), "{info:#}");

    let unknown = world.nex.run(&["node", "info", "NOSUCH"]).await;
    assert_refused(unknown, 4, &["node not found: NOSUCH"], "nex nodes");
    world.finish().await;
}

/// The specification's section 2.2, without the endpoint for remote nexlets.
pub(crate) fn announced(node: &str) -> Vec<(&'static str, String)> {
    let system = |verb: &str| format!("$NEX.SVC.system.control.{verb}");
    let any = |verb: &str| format!("$NEX.SVC.*.control.{verb}");
    vec![
        ("PingPlacementTags", system("PTAGS")),
        ("PingNexus", system("PING")),
        ("PingNode", system(&format!("PING.{node}"))),
        ("GetNodeInfo", system(&format!("INFO.{node}"))),
        ("SetLameduck", system(&format!("LAMEDUCK.{node}"))),
        ("GetAgentIdByName", system(&format!("AGENTID.{node}"))),
        ("RegisterAgent", format!("$NEX.SVC.{node}.agent.REGISTER.*")),
        ("AuctionRequest", any("AUCTION")),
        ("StopWorkload", any("UNDEPLOY.*")),
        ("AuctionDeployWorkload", any("ADEPLOY.*")),
        ("CloneWorkload", any("CLONE.*")),
        ("NamespacePingRequest", any("WPING")),
    ]
}
