//! J30: the node is killed -9 under load; later it is started again with its state.
//!
//! 1. Functions and services never stop answering; nobody but the node is another process afterwards.
//! 2. The same workloads stand under the same ids, nothing twice, and can be stopped.
//! 3. What ended while the node was away is neither listed nor started again.

use nex_testkit::{Signal, echo_service, eventually};
use serde_json::{Value, json};

use crate::guests::ECHO;
use crate::killed::{pids_but, process, program};
use crate::load::Load;
use crate::world::{SOON, World, assert_no_responders};

#[tokio::test]
async fn j30_a_killed_node_interrupts_nothing_and_finds_everything_again() {
    let mut world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    world.until_answered("svc.echo", "up", "up").await;
    let (ids, node, agent) =
        (world.ids().await, world.node_id().await, world.agent_id("javascript").await);
    let others = pids_but(&world.nex, world.nex.id());
    let function = Load::on(&world.client, "js.echo", 16);
    let service = Load::on(&world.client, "svc.echo", 4);

    world.nex.kill9().await;
    let (during, served) = (function.calls(), service.calls());
    eventually("calls go on without a node", SOON, async || {
        let more = (function.calls() - during, service.calls() - served);
        if more.0 > 100 && more.1 > 20 { Ok(()) } else { Err(more) }
    })
    .await;
    world.nex.up_again().await;
    eventually("the new node lists what runs", SOON, async || {
        let seen = world.ids().await;
        if seen == ids { Ok(()) } else { Err(seen) }
    })
    .await;
    assert!(function.all_were_answered().await > 100);
    assert!(service.all_were_answered().await > 20);

    assert_eq!(world.node_id().await, node);
    assert_eq!(world.agent_id("javascript").await, agent);
    assert_eq!(pids_but(&world.nex, world.nex.id()), others, "nobody was started again");
    world.nex.ok(&["stop", "echo", "echo-service"]).await;
    assert_eq!(world.ids().await, Vec::<String>::new());
    assert_no_responders(&world.client, "js.echo").await;
    world.finish().await;
}

#[tokio::test]
async fn j30_a_nexlet_that_is_killed_after_a_take_over_comes_back_with_its_functions() {
    let mut world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let ids = world.ids().await;
    world.nex.kill9().await;
    world.nex.up_again().await;
    eventually("the new node lists what runs", SOON, async || {
        let seen = world.ids().await;
        if seen == ids { Ok(()) } else { Err(seen) }
    })
    .await;
    // Not our child, and its functions were never deployed by this node: it is looked after all the same.
    process(&world.nex, "nexlet javascript").signal(Signal::SIGKILL);
    world.until_answered("js.echo", "again", "again").await;
    assert_eq!(world.ids().await, ids);
    world.finish().await;
}

#[tokio::test]
async fn j30_what_ended_without_a_node_stays_ended() {
    let mut world = World::up().await;
    let service = echo_service().unwrap().display().to_string();
    world.nex.ok(&["run", &service, "--restart", "never"]).await;
    world.until_answered("svc.echo", "up", "up").await;
    let node = world.node_id().await;
    world.nex.kill9().await;
    program(&world.nex, "echo-service").signal(Signal::SIGKILL);
    // The nexlet itself tells that it is gone.
    let query = format!("$NEX.SVC.{node}.agent.QUERYWORKLOADS");
    let body = json!({ "namespace": "default", "filter": ["echo-service"] });
    let has_ended = |list: &Value| {
        list.as_array().is_some_and(|all| all.iter().all(|w| w["workload_state"] == "error"))
    };
    eventually("the nexlet has seen the end", SOON, async || {
        let mut lists = Vec::new();
        for _nexlet in 0..3 {
            lists.push(world.control_json(&query, &body).await);
        }
        if lists.iter().all(has_ended) { Ok(()) } else { Err(lists) }
    })
    .await;
    world.nex.up_again().await;
    let list = world.live().await;
    assert!(list.iter().all(|w| w["workload_state"] == "error"), "{list:#?}");
    assert_no_responders(&world.client, "svc.echo").await;
    world.finish().await;
}
