//! "Did you mean": a name that is nearly one which is there.
//!
//! 1. Workloads: `info`, `stop`, `scale`, `clone`.
//! 2. Nodes: `info`, `node info`, `lameduck`.
//! 3. What is quite another word is not guessed at.

use crate::guests::ECHO;
use crate::world::{World, text};

#[tokio::test]
async fn a_name_that_is_nearly_there_is_named() {
    let world = World::up().await;
    world.deploy("orders.js", ECHO, "js.orders").await;
    for arguments in [
        &["stop", "ordres"][..],
        &["info", "Orders"],
        &["scale", "oders", "2"],
        &["clone", "order"],
    ] {
        let refused = world.nex.run(arguments).await.exits(4);
        assert!(refused.stderr.contains("did you mean orders?"), "{arguments:?}: {refused}");
    }
    let nodes = world.nex.ok(&["nodes", "--json"]).await.json();
    let name = text(&nodes, "/0/tags/nex.node");
    let (typo, _) = name.split_at(name.len() - 1);
    for arguments in [&["info", typo][..], &["node", "info", typo], &["lameduck", typo]] {
        let refused = world.nex.run(arguments).await.exits(4);
        let says = format!("did you mean {name}?");
        assert!(refused.stderr.contains(&says), "{arguments:?}: {refused}");
    }
    let refused = world.nex.run(&["stop", "something-else"]).await.exits(4);
    assert!(!refused.stderr.contains("did you mean"), "{refused}");
    world.finish().await;
}
