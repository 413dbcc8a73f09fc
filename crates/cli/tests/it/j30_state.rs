//! J30, the state's part: a node comes back with what ran on it.
//!
//! 1. Ended and started again: functions and services answer under the same ids; each runs once.
//! 2. Killed with all of its nexlets: the same.
//! 3. What was stopped, or ended by itself, does not come back.

use nex_testkit::{Nex, Signal, echo_service, eventually};

use crate::guests::ECHO;
use crate::state::keys;
use crate::world::{SOON, World};

/// Kills every process of the node at once.
pub(crate) async fn kill_all(nex: &mut Nex) {
    let nexlets = nex.processes();
    nex.kill9().await;
    for process in nexlets.iter().filter(|process| process.command.contains(" nexlet ")) {
        process.signal(Signal::SIGKILL);
    }
    eventually("no nexlet is left", SOON, async || {
        let left = nex.processes();
        let is_nexlet = |process: &nex_testkit::Entry| process.command.contains(" nexlet ");
        if left.iter().any(is_nexlet) { Err(left) } else { Ok(()) }
    })
    .await;
}

async fn runs_all(world: &World, ids: &[String]) {
    world.until_answered("js.echo", "again", "again").await;
    world.until_answered("svc.echo", "again", "again").await;
    eventually("each runs once", SOON * 2, async || {
        let (seen, all) = (world.ids().await, world.nex.processes());
        let n_services = all.iter().filter(|p| p.command == "echo-service").count();
        if seen == ids && n_services == 1 { Ok(()) } else { Err((seen, all)) }
    })
    .await;
}

#[tokio::test]
async fn a_node_comes_back_with_what_ran_on_it() {
    let mut world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.deploy("gone.js", ECHO, "js.gone").await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    world.nex.ok(&["stop", "gone"]).await;
    let ids = world.ids().await;

    world.nex.terminate().await;
    world.nex.up_again().await;
    runs_all(&world, &ids).await;

    kill_all(&mut world.nex).await;
    world.nex.up_again().await;
    runs_all(&world, &ids).await;

    // Twice in a row, and stoppable afterwards.
    world.nex.kill9().await;
    world.nex.up_again().await;
    runs_all(&world, &ids).await;
    world.nex.ok(&["stop", "echo", "echo-service"]).await;
    assert_eq!(world.ids().await, Vec::<String>::new());
    assert_eq!(keys(&world).await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn what_ended_by_itself_does_not_come_back() {
    let mut world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let service = echo_service().unwrap().display().to_string();
    // It cannot reach that address, and ends with exit status 1.
    world.nex.ok(&["run", &service, "--job", "NATS_URL=nats://127.0.0.1:1"]).await;
    let ids = world.ids().await;
    eventually("state has the function alone", SOON, async || {
        let keys = keys(&world).await;
        let is_alone = keys.len() == 1 && keys[0].starts_with("javascript_");
        if is_alone { Ok(()) } else { Err((keys, ids.clone())) }
    })
    .await;
    world.nex.terminate().await;
    world.nex.up_again().await;
    world.until_answered("js.echo", "again", "again").await;
    assert_eq!(world.ids().await.len(), 1);
    world.finish().await;
}
