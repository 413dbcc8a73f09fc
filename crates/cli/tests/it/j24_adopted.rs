//! J24: programs outlive whoever started them.
//!
//! 1. Node, nexlet or both are killed: the program keeps its pid and its id, no line of its log is lost
//!    or doubled, and it can be stopped afterwards.
//! 2. `nex node up` leaves services when it is told to end, and finds them again; `nex up` ends them.

use nex_testkit::{Process, Signal, eventually};

use crate::killed::process;
use crate::programs;
use crate::world::{SOON, World, text};

#[tokio::test]
async fn j24_a_service_never_stops_because_the_control_plane_does() {
    let mut world = World::up().await;
    let mut logs = world.follow(&["logs", "-f"]).await;
    world.nex.ok(&["run", programs::build(&world.nex), "--", "count"]).await;
    let (id, pid) = who(&world).await;
    let mut last = count(&mut logs, 0, 5).await;
    for victims in [&["node"][..], &["nexlet"], &["node", "nexlet"], &["nexlet", "node"]] {
        for victim in victims {
            match *victim {
                "node" => world.nex.kill9().await,
                _ => process(&world.nex, "nexlet native").signal(Signal::SIGKILL),
            }
        }
        if victims.contains(&"node") {
            world.nex.up_again().await;
        }
        eventually(&format!("adopted after {victims:?}"), SOON, async || {
            let list = world.live().await;
            let adopted = list.len() == 1
                && list[0]["workload_state"] == "running"
                && text(&list[0], "/metadata/pid") == pid;
            if adopted { Ok(()) } else { Err(list) }
        })
        .await;
        assert_eq!(who(&world).await, (id.clone(), pid.clone()));
        last = count(&mut logs, last, 100).await;
    }
    world.nex.ok(&["stop", "prog"]).await;
    let left = world.nex.processes().into_iter().find(|it| it.command.contains("prog count"));
    assert!(left.is_none(), "{left:?}");
    drop(logs);
    world.finish().await;
}

async fn who(world: &World) -> (String, String) {
    let list = world.live().await;
    (text(&list[0], "/id"), text(&list[0], "/metadata/pid"))
}

/// Reads so many lines, each one more than the one before.
async fn count(logs: &mut Process, mut last: u64, n_lines: usize) -> u64 {
    for _ in 0..n_lines {
        let line = logs.line(SOON, |_| true).await.unwrap();
        let n: u64 = line.trim_start_matches("prog: ").parse().unwrap();
        assert_eq!(n, last + 1, "a line is lost or comes twice");
        last = n;
    }
    last
}
