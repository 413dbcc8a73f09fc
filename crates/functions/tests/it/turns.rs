//! Whose turn it is, seen by guests that are always ready.

use std::time::Duration;

use nex_nexlet::Nexlet as _;
use nex_testkit::NatsServer;
use nex_types::Namespace;
use serde_json::json;

use crate::harness::{Harness, request};

/// On one thread: namespace `a` has a function with six calls and one with a single call, `b` has one call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_calls_are_taken_in_turn_by_namespace_then_by_function() {
    let harness = Harness::with(NatsServer::options(), Duration::from_secs(30), 1).await;
    let mut workloads = Vec::new();
    for (namespace, function) in [("a", "many"), ("a", "one"), ("b", "alone")] {
        let mut start =
            harness.start_of(&request(&format!("turns {function}"), function, json!({})));
        start.namespace = Namespace::parse(namespace).unwrap();
        workloads.push(harness.nexlet.start(start).await.unwrap().workload);
    }
    let calls: Vec<_> = std::iter::repeat_n("many", 6)
        .chain(["one", "alone"])
        .map(|function| harness.call_later(function))
        .collect();
    harness.until_running(8).await;
    harness.engine.permits.add_permits(8);
    for call in calls {
        assert_eq!(call.await.unwrap().payload, "x");
    }
    let turns = harness.engine.turns.lock().unwrap().clone();
    assert_eq!(turns.len(), 8 * 50);
    // Between two turns of the other namespace there is one of `a`, though that has seven calls.
    assert_eq!(between(&turns, "alone"), 1, "{turns:?}");
    // Within `a`, its two functions take turns, though one has six calls.
    let of_a: Vec<String> = turns.iter().filter(|turn| *turn != "alone").cloned().collect();
    assert_eq!(between(&of_a, "one"), 1, "{of_a:?}");

    for workload in workloads {
        workload.stop().await;
        workload.ended().await;
    }
    harness.finish().await;
}

/// The most turns of others between two of `who`.
fn between(turns: &[String], who: &str) -> usize {
    let places: Vec<usize> = (0..turns.len()).filter(|&place| turns[place] == who).collect();
    places.windows(2).map(|pair| pair[1] - pair[0] - 1).max().unwrap()
}
