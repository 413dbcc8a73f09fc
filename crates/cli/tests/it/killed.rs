//! Processes that are killed: nothing is lost, nothing is left twice.
//!
//! 1. A nexlet is started again, with the same functions under the same ids; events tell.
//! 2. `nex up` killed: nexlets and the managed server go on, are taken over by the next `nex up`, and end
//!    with it. Nexlets whose node stays away end by themselves, with what they run.
//! 3. A service whose nexlet was killed runs once, under its id.

use nex_testkit::{Entry, Nex, Signal, echo_service, eventually};
use serde_json::Value;

use crate::guests::ECHO;
use crate::world::{SOON, World, seat, text, try_ask};

/// The only process of the node whose command line has these words.
pub(crate) fn process(nex: &Nex, words: &str) -> Entry {
    let found: Vec<Entry> =
        nex.processes().into_iter().filter(|process| process.command.contains(words)).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

/// The program of a service, as a box shows it.
pub(crate) fn program(nex: &Nex, name: &str) -> Entry {
    let all = nex.processes();
    let found = all.iter().find(|process| process.command == name);
    found.unwrap_or_else(|| panic!("no program {name}: {all:#?}")).clone()
}

#[tokio::test]
async fn a_killed_nexlet_comes_back_with_the_same_functions() {
    let world = World::up().await;
    let mut events = world.follow(&["events", "-f", "--json"]).await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.deploy("two.js", "() => 'two'", "two").await;
    let (ids, agent) = (world.ids().await, world.agent_id("javascript").await);

    let killed = process(&world.nex, "nexlet javascript");
    killed.signal(Signal::SIGKILL);
    let stopped = events.line(SOON, |line| line.contains("AGENTSTOPPED")).await.unwrap();
    let stopped: Value = serde_json::from_str(&stopped).unwrap();
    assert_eq!(text(&stopped, "/event/id"), agent);
    assert_eq!(text(&stopped, "/event/name"), "javascript");
    assert_eq!(text(&stopped, "/event/reason"), "SIGKILL");
    let started = events.line(SOON, |line| line.contains("AGENTSTARTED")).await.unwrap();
    let started: Value = serde_json::from_str(&started).unwrap();
    assert_eq!(text(&started, "/event/register_type"), "javascript");

    world.until_answered("js.echo", "again", "again").await;
    world.until_answered("two", "", "two").await;
    assert_ne!(process(&world.nex, "nexlet javascript").pid, killed.pid);
    assert_eq!(world.ids().await, ids);
    world.nex.ok(&["stop", "echo", "two"]).await;
    assert_eq!(world.ids().await, Vec::<String>::new());
    drop(events);
    world.finish().await;
}

#[tokio::test]
async fn a_service_of_a_killed_nexlet_runs_once_under_its_id() {
    let world = World::up().await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    world.until_answered("svc.echo", "hello", "hello").await;
    let ids = world.ids().await;
    let killed = process(&world.nex, "nexlet native");
    let program = self::program(&world.nex, "echo-service").pid;
    killed.signal(Signal::SIGKILL);
    eventually("another native nexlet has it", SOON * 2, async || {
        let (list, all) = (world.list().await, world.nex.processes());
        let nexlets = all.iter().filter(|p| p.command.contains("nexlet native"));
        let is_new = nexlets.map(|p| p.pid).collect::<Vec<_>>() != [killed.pid];
        let n_services = all.iter().filter(|p| p.command == "echo-service").count();
        let runs = list.len() == 1 && list[0]["workload_state"] == "running";
        if is_new && runs && n_services == 1 { Ok(()) } else { Err((list, n_services)) }
    })
    .await;
    assert_eq!(world.ids().await, ids);
    assert_eq!(self::program(&world.nex, "echo-service").pid, program, "it never stopped");
    world.until_answered("svc.echo", "again", "again").await;
    world.nex.ok(&["stop", "echo-service"]).await;
    world.finish().await;
}

#[tokio::test]
async fn after_up_was_killed_the_next_takes_over_nexlets_and_managed_server() {
    let _seat = seat().await;
    let mut nex = Nex::up_managed().await;
    let url = nex.url();
    std::fs::write(nex.work_dir().join("echo.js"), ECHO).unwrap();
    nex.ok(&["run", "echo.js", "--on", "js.echo"]).await;
    let client = nex.client().await;
    let others = pids_but(&nex, nex.id());
    nex.kill9().await;
    assert_eq!(pids_but(&nex, 0), others, "all but the node go on");
    // Without a node commands still find the server; the view does not forget a node that was killed;
    // functions answer.
    assert_eq!(nex.ok(&["nodes", "--live"]).await.text(), "No nodes found\n");
    assert_eq!(nex.ok(&["nodes"]).await.text().lines().count(), 2);
    let reply = try_ask(&client, "js.echo", b"nobody home".to_vec()).await.unwrap();
    assert_eq!(reply.payload, "nobody home");

    nex.up_again().await;
    let printed = String::from_utf8(nex.node().unwrap().stdout()).unwrap();
    assert!(printed.contains("was left running, taken over"), "{printed}");
    assert_eq!(nex.url(), url);
    assert_eq!(pids_but(&nex, nex.id()), others, "nobody was started twice");
    assert_eq!(nex.ok(&["call", "echo", "hello"]).await.text(), "hello");
    drop(client);
    nex.finish().await;
}

#[tokio::test]
async fn nexlets_whose_node_stays_away_end_and_leave_their_services() {
    let mut world =
        World::with(nex_testkit::NatsServer::options(), &["--orphan-after", "4s"]).await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    let program = self::program(&world.nex, "echo-service").pid;
    world.nex.kill9().await;
    assert!(world.nex.processes().len() >= 4, "{:#?}", world.nex.processes());
    eventually("no nexlet is left", SOON * 2, async || {
        let mut left = world.nex.processes();
        left.retain(|process| process.command.contains("nexlet"));
        left.retain(|process| !process.command.contains("/.shim-"));
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    world.until_answered("svc.echo", "alone", "alone").await;
    world.nex.up_again().await;
    eventually("it is adopted", SOON, async || {
        let list = world.live().await;
        let runs = list.len() == 1 && list[0]["workload_state"] == "running";
        if runs { Ok(()) } else { Err(list) }
    })
    .await;
    assert_eq!(self::program(&world.nex, "echo-service").pid, program);
    world.finish().await;
}

/// Everybody who runs, but for one.
pub(crate) fn pids_but(nex: &Nex, but: i32) -> Vec<i32> {
    let all = nex.processes().into_iter().map(|process| process.pid);
    let mut pids: Vec<i32> = all.filter(|pid| *pid != but).collect();
    pids.sort_unstable();
    pids
}

#[tokio::test]
async fn interrupting_up_ends_everything_it_started() {
    let _seat = seat().await;
    let mut nex = Nex::up_managed().await;
    nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    assert!(nex.processes().len() >= 6, "{:#?}", nex.processes());
    nex.terminate().await;
    nex.assert_nothing_left().await;
    nex.up_again().await;
    nex.finish().await;
}
