//! J37: every order of killing node and nexlets, and the managed server with them.
//!
//! Afterwards each nexlet runs once, each workload that is listed has one owner and answers, a service that
//! was not killed itself has its pid, and nothing is stray.

use nex_testkit::{Entry, Nex, Signal, echo_service, eventually};

use crate::guests::ECHO;
use crate::world::{SOON, World, seat, text};

const NODE: &str = " up ";
const SHIM: &str = "/.shim-";
const FUNCTIONS: &str = "nexlet javascript";
const PROGRAMS: &str = "nexlet native";
/// As a box shows it: its name alone.
const SERVICE: &str = "echo-service";

#[tokio::test]
async fn j37_whatever_the_order_of_kills_everything_has_one_owner() {
    let orders: [&[&str]; 10] = [
        &[NODE, FUNCTIONS, PROGRAMS],
        &[NODE, PROGRAMS],
        &[FUNCTIONS, NODE],
        &[FUNCTIONS, NODE, PROGRAMS],
        &[PROGRAMS, NODE, FUNCTIONS],
        &[PROGRAMS, FUNCTIONS, NODE],
        &[SERVICE, NODE],
        &[SHIM, NODE],
        &[SHIM, PROGRAMS, NODE],
        &[PROGRAMS, SHIM, NODE],
    ];
    let mut world = World::up().await;
    for order in orders {
        deploy_what_is_missing(&world).await;
        let before = world.ids().await;
        let pids = pids(&world.nex);
        for victim in order {
            kill(&mut world.nex, victim).await;
        }
        world.nex.up_again().await;
        one_owner_each(&world, order).await;
        let after = world.ids().await;
        assert!(after.iter().all(|id| before.contains(id)), "{order:?}: {before:?} {after:?}");
        if !order.contains(&FUNCTIONS) {
            world.until_answered("js.echo", "x", "x").await;
        }
        world.until_answered("svc.echo", "x", "x").await;
        if !order.contains(&SERVICE) && !order.contains(&SHIM) {
            assert_eq!(self::pids(&world.nex), pids, "the service never stopped: {order:?}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn j37_node_and_managed_server_killed_together_leave_nobody_twice() {
    let _seat = seat().await;
    let mut nex = Nex::up_managed().await;
    std::fs::write(nex.work_dir().join("echo.js"), ECHO).unwrap();
    nex.ok(&["run", "echo.js", "--on", "js.echo"]).await;
    kill(&mut nex, "nats-server").await;
    kill(&mut nex, NODE).await;
    nex.up_again().await;
    eventually("one of each", SOON, async || one_of_each(&nex)).await;
    nex.ok(&["run", "echo.js", "--on", "js.echo"]).await;
    assert_eq!(nex.ok(&["call", "echo", "hello"]).await.text(), "hello");
    nex.finish().await;
}

/// Of the service.
fn pids(nex: &Nex) -> Vec<i32> {
    all(nex, SERVICE).iter().map(|process| process.pid).collect()
}

async fn deploy_what_is_missing(world: &World) {
    let names: Vec<String> = world.list().await.iter().map(|w| text(w, "/name")).collect();
    if !names.contains(&"echo".to_owned()) {
        world.deploy("echo.js", ECHO, "js.echo").await;
    }
    if !names.contains(&"echo-service".to_owned()) {
        world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    }
    world.until_answered("svc.echo", "x", "x").await;
    world.until_answered("js.echo", "x", "x").await;
}

async fn kill(nex: &mut Nex, victim: &str) {
    if victim == NODE {
        return nex.kill9().await;
    }
    // It may have ended with another victim already.
    for process in all(nex, victim) {
        process.signal(Signal::SIGKILL);
    }
}

async fn one_owner_each(world: &World, order: &[&str]) {
    eventually(&format!("one owner each after {order:?}"), SOON * 2, async || {
        one_of_each(&world.nex)?;
        let list = world.list().await;
        let mut ids: Vec<String> = list.iter().map(|w| text(w, "/id")).collect();
        ids.sort();
        ids.dedup();
        let listed = list.iter().any(|w| text(w, "/name") == "echo-service");
        let n_services = all(&world.nex, SERVICE).len();
        let is_right = ids.len() == list.len() && n_services == usize::from(listed);
        if is_right { Ok(()) } else { Err(format!("{n_services} services, {list:#?}")) }
    })
    .await;
}

fn one_of_each(nex: &Nex) -> Result<(), String> {
    for kind in [FUNCTIONS, "nexlet wasm", PROGRAMS] {
        let found = all(nex, kind);
        if found.len() != 1 {
            return Err(format!("{kind}: {found:#?}"));
        }
    }
    Ok(())
}

fn all(nex: &Nex, words: &str) -> Vec<Entry> {
    let is_meant = |process: &Entry| match words {
        SERVICE => process.command == SERVICE,
        // The box's first process was forked from the shim, and goes with it.
        SHIM => process.command.contains(SHIM) && process.parent == 1,
        words => process.command.contains(words),
    };
    nex.processes().into_iter().filter(is_meant).collect()
}
