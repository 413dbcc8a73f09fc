//! NATS goes away and comes back on the same port: nothing needs a hand.
//!
//! 1. Functions and services answer again by themselves, under the same ids, of the same processes.
//! 2. Meanwhile commands say that NATS cannot be reached (exit 3).
//! 3. The same when the server was killed and has lost what it kept in memory.
//! 4. A managed server that is killed is started again on the same port.
//! 5. An outage of 20 s, far longer than nexlets wait for their node, is no reason to end (J29).

use std::time::Duration;

use nex_testkit::{Nex, Signal, echo_service, eventually};

use crate::guests::ECHO;
use crate::world::{SOON, World, assert_refused, seat, try_ask};

#[tokio::test]
async fn functions_services_and_node_come_back_with_the_server() {
    let mut world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    world.until_answered("svc.echo", "before", "before").await;
    let (ids, node) = (world.ids().await, world.node_id().await);
    let processes = pids(&world.nex);

    world.server.stop().await;
    let refused = world.nex.run(&["ls"]).await;
    assert_refused(refused, 3, &[&world.server.url()], "nex up");
    world.server.restart().await;
    comes_back(&world, &ids, &node).await;

    world.server.kill().await;
    world.server.restart().await;
    comes_back(&world, &ids, &node).await;
    assert_eq!(pids(&world.nex), processes, "nobody had to be started again");
    world.finish().await;
}

async fn comes_back(world: &World, ids: &[String], node: &str) {
    world.until_answered("js.echo", "again", "again").await;
    world.until_answered("svc.echo", "again", "again").await;
    eventually("the node lists what it runs", SOON, async || {
        let (seen, nodes) = (world.ids().await, world.nex.ok(&["nodes"]).await.text());
        if seen == ids && nodes.contains(node) { Ok(()) } else { Err((seen, nodes)) }
    })
    .await;
    // Deploys work again, too.
    world.deploy("after.js", ECHO, "after").await;
    world.until_answered("after", "x", "x").await;
    world.nex.ok(&["stop", "after"]).await;
}

#[tokio::test]
async fn a_killed_managed_server_is_started_again_on_its_port() {
    let _seat = seat().await;
    let nex = Nex::up_managed().await;
    let url = nex.url();
    std::fs::write(nex.work_dir().join("echo.js"), ECHO).unwrap();
    nex.ok(&["run", "echo.js", "--on", "js.echo"]).await;
    let client = nex.client().await;
    assert_eq!(try_ask(&client, "js.echo", b"x".to_vec()).await.unwrap().payload, "x");
    let server = crate::killed::process(&nex, "nats-server");
    server.signal(Signal::SIGKILL);

    eventually("another server runs", SOON, async || {
        let now: Vec<_> =
            nex.processes().into_iter().filter(|p| p.command.contains("nats-server")).collect();
        if now.len() == 1 && now[0].pid != server.pid { Ok(()) } else { Err(now) }
    })
    .await;
    eventually("the function answers by itself", SOON, async || {
        let reply = try_ask(&client, "js.echo", b"again".to_vec()).await;
        let reply = reply.map_err(|error| error.to_string())?;
        if reply.payload == "again" { Ok(()) } else { Err(format!("{reply:?}")) }
    })
    .await;
    assert_eq!(client.server_info().port.to_string(), url.rsplit(':').next().unwrap());
    assert!(nex.ok(&["ls"]).await.text().contains("echo"));
    // What was uploaded is kept over the server's end.
    let again = nex.ok(&["run", "echo.js", "--on", "other"]).await.text();
    assert!(again.contains("is in NEXCLIFILES"), "{again}");
    drop(client);
    nex.finish().await;
}

#[tokio::test]
async fn j29_an_outage_longer_than_orphans_wait_ends_nobody() {
    let mut world =
        World::with(nex_testkit::NatsServer::options(), &["--orphan-after", "5s"]).await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    let (ids, node) = (world.ids().await, world.node_id().await);
    let processes = pids(&world.nex);
    world.server.stop().await;
    // The outage is what is tested; nothing can be waited for while it lasts.
    tokio::time::sleep(Duration::from_secs(20)).await;
    world.server.restart().await;
    comes_back(&world, &ids, &node).await;
    assert_eq!(pids(&world.nex), processes, "nobody had to be started again");
    world.finish().await;
}

fn pids(nex: &Nex) -> Vec<i32> {
    let mut pids: Vec<i32> = nex.processes().iter().map(|process| process.pid).collect();
    pids.sort_unstable();
    pids
}
