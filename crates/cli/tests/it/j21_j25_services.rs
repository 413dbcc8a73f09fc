//! J21 to J25: what becomes of services and jobs, as their owner sees it.
//!
//! 1. J21: a service that fails is started again with growing pauses, and told of; it can be stopped.
//! 2. J22: a job that fails is listed with its exit code and its last output, and not started again.
//! 3. J23: a program that ignores being asked goes after its grace, with all that it started.
//! 4. J25: inside its box a program can do nothing to the machine; what it may use is bounded.

use nex_testkit::eventually;
use serde_json::Value;

use crate::programs;
use crate::world::{SOON, World, text};

#[tokio::test]
async fn j21_a_service_that_fails_is_started_again_and_can_be_stopped_meanwhile() {
    let world = World::up().await;
    let mut events = world.follow(&["events", "-f", "--json"]).await;
    world.nex.ok(&["run", programs::build(&world.nex), "--", "fail-soon"]).await;
    for n in ["0", "1"] {
        let line = events.line(SOON, |line| line.contains("WORKLOADRESTARTING")).await.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(text(&event, "/event/metadata/exit"), "exit code 1");
        assert_eq!(text(&event, "/event/metadata/restarts"), n);
        assert_eq!(text(&event, "/event/metadata/last_output"), "no luck");
    }
    eventually("it waits for its next start", SOON, async || {
        let info = world.nex.ok(&["info", "prog", "--json"]).await.json();
        let metadata = |key: &str| {
            info.pointer(&format!("/0/metadata/{key}"))
                .or(info.pointer(&format!("/metadata/{key}")))
                .cloned()
        };
        let waits =
            metadata("phase") == Some("restarting".into()) && metadata("next_start").is_some();
        if waits { Ok(()) } else { Err(info) }
    })
    .await;
    world.nex.ok(&["stop", "prog"]).await;
    assert_eq!(world.list().await, Vec::<Value>::new());
    drop(events);
    world.finish().await;
}

#[tokio::test]
async fn j22_a_job_that_fails_is_shown_with_its_code_and_its_last_output() {
    let world = World::up().await;
    let mut events = world.follow(&["events", "-f", "--json"]).await;
    let program = programs::build(&world.nex);
    world.nex.ok(&["run", program, "--job", "--", "job"]).await;
    let line = events.line(SOON, |line| line.contains("WORKLOADSTOPPED")).await.unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(text(&event, "/event/error/code"), "7");
    assert_eq!(text(&event, "/event/metadata/last_output"), "counted to seven");
    eventually("it is listed as it ended", SOON, async || {
        let list = world.live().await;
        let ended = list.iter().any(|w| {
            w["workload_state"] == "error"
                && text(w, "/metadata/exit") == "exit code 7"
                && text(w, "/metadata/last_output") == "counted to seven"
        });
        if ended && list.len() == 1 { Ok(()) } else { Err(list) }
    })
    .await;
    // It is no copy that could be scaled.
    assert_eq!(world.nex.run(&["scale", "prog", "2"]).await.code, 4);
    // Run again, it takes the place of the one that ended.
    world.nex.ok(&["run", program, "--job", "--", "job"]).await;
    events.line(SOON, |line| line.contains("WORKLOADSTOPPED")).await.unwrap();
    eventually("one is listed", SOON, async || {
        let list = world.live().await;
        if list.len() == 1 { Ok(()) } else { Err(list) }
    })
    .await;
    world.nex.ok(&["stop", "prog"]).await;
    assert_eq!(world.live().await, Vec::<Value>::new());
    drop(events);
    world.finish().await;
}

#[tokio::test]
async fn j23_a_stubborn_program_goes_with_all_that_it_started() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "-f"]).await;
    let program = programs::build(&world.nex);
    world.nex.ok(&["run", program, "--grace", "500ms", "--", "stubborn"]).await;
    logs.line(SOON, |line| line.contains("up")).await.unwrap();
    let of_it =
        || world.nex.processes().iter().filter(|it| it.command.contains("stubborn")).count();
    assert!(of_it() >= 3);
    world.nex.ok(&["stop", "prog"]).await;
    assert_eq!(of_it(), 0);
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn j25_in_its_box_a_program_cannot_touch_the_machine() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "-f"]).await;
    let (asked, forbidden) = (free_port(), free_port());
    let program = programs::build(&world.nex);
    let (expose, port) = (asked.to_string(), forbidden.to_string());
    world
        .nex
        .ok(&["run", program, "--job", "--expose", &expose, "--pids", "32", "--", "attack", &port])
        .await;
    for attempt in [
        "read the host's passwords",
        "see the host's home",
        "write its own program",
        "see processes of the host",
        "signal the host's first process",
        "trace another process",
        "mount",
        "become root",
        "listen on a port that was not asked for",
        "fill the disk",
        "fork without end",
    ] {
        let line = logs.line(SOON, |_| true).await.unwrap();
        assert_eq!(line, format!("prog: {attempt}: refused"));
    }
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn j25_a_program_that_eats_memory_is_ended_and_told_so() {
    let world = World::up().await;
    let mut events = world.follow(&["events", "-f", "--json"]).await;
    let program = programs::build(&world.nex);
    world.nex.ok(&["run", program, "--job", "--memory", "32MiB", "--", "eat"]).await;
    let line = events.line(SOON * 2, |line| line.contains("WORKLOADSTOPPED")).await.unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    let exit = text(&event, "/event/metadata/exit");
    if has_groups(&world).await {
        assert!(exit.contains("out of memory"), "{event:#}");
        assert_eq!(text(&event, "/event/error/message"), "it needed more memory than it may have");
    } else {
        // Then a limit of each process stands in, and the program is told that there is no more.
        println!(
            "skipped: out of memory is told apart: this user has no control groups for memory"
        );
        assert_eq!(exit, "exit code 12");
    }
    drop(events);
    world.finish().await;
}

#[tokio::test]
async fn j25_nex_info_and_the_doctor_tell_which_walls_stand() {
    let world = World::up().await;
    let program = programs::build(&world.nex);
    world.nex.ok(&["run", program, "--", "wait"]).await;
    let list = world.live().await;
    let sandbox = text(&list[0], "/metadata/sandbox");
    assert!(sandbox.starts_with("default: ") && sandbox.contains("seccomp"), "{sandbox}");
    let doctor = world.nex.run(&["doctor", "--json"]).await;
    let said = doctor.text();
    for wall in ["mount namespace", "pid namespace", "seccomp", "no new privileges"] {
        assert!(said.contains(wall), "{said}");
    }
    world.nex.ok(&["stop", "prog"]).await;
    world.finish().await;
}

#[tokio::test]
async fn j25_what_only_the_operator_may_allow_is_refused_with_the_flag() {
    let world = World::up().await;
    let program = programs::build(&world.nex);
    let refused = world.nex.run(&["run", program, "--sandbox", "none", "--", "wait"]).await;
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("--allow-unsandboxed"), "{}", refused.stderr);
    assert!(refused.stderr.contains("NEX-222"), "{}", refused.stderr);
    let refused = world.nex.run(&["run", program, "--mount", "/etc", "--", "wait"]).await;
    assert!(refused.stderr.contains("--allow-mounts"), "{}", refused.stderr);
    assert_eq!(world.list().await, Vec::<Value>::new());
    world.finish().await;
}

async fn has_groups(world: &World) -> bool {
    !world.nex.run(&["doctor", "--json"]).await.text().contains("no memory limit")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
