//! J18, key-value: a component that imports `wasi:keyvalue` counts in its own bucket.
//!
//! 1. Counts of two copies of the function add up, and outlive them.
//! 2. What it logs with `wasi:logging` is in the workload's log; `wasi:config` shows its environment.

use nex_testkit::example;

use crate::world::{SOON, World};

#[tokio::test]
async fn j18_a_component_counts_in_its_bucket() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "component-counter", "-f"]).await;
    let counter = example("component-counter.wasm");
    world.nex.ok(&["run", &counter, "--on", "count", "GREETING=so far "]).await;
    assert_eq!(world.ask("count", "apples").await.payload, "so far apples=1");
    assert_eq!(world.ask("count", "pears").await.payload, "so far pears=1");
    logs.line(SOON, |line| line == "component-counter: counter: pears came 1 times").await.unwrap();
    drop(logs);

    world.nex.ok(&["stop", "component-counter"]).await;
    world.nex.ok(&["run", &counter, "--on", "count"]).await;
    assert_eq!(world.ask("count", "apples").await.payload, "apples=2");
    world.finish().await;
}
