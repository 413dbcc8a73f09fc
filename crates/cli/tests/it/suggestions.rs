//! "Did you mean": a name that is nearly one which is there.
//!
//! 1. Workloads: `info`, `stop`, `scale`, `clone`, `logs`, `call`, `workload stop`, `workload clone`.
//! 2. Nodes: `info`, `node info`, `node forget`, `lameduck`; NATS contexts.
//! 3. What is quite another word is not guessed at.
//! 4. What is there in another namespace is named with it.

use nex_testkit::echo_service;

use crate::world::{World, text};

#[tokio::test]
async fn a_name_that_is_nearly_there_is_named() {
    let world = World::up().await;
    let service = echo_service().unwrap().display().to_string();
    world.nex.ok(&["run", &service, "--name", "orders"]).await;
    for arguments in [
        &["stop", "ordres"][..],
        &["info", "Orders"],
        &["scale", "oders", "2"],
        &["clone", "order"],
        &["logs", "ordesr"],
        &["call", "odrers", "x"],
        &["workload", "stop", "orderss"],
        &["workload", "clone", "orers"],
    ] {
        let refused = world.nex.run(arguments).await.exits(4);
        assert!(refused.stderr.contains("did you mean orders?"), "{arguments:?}: {refused}");
    }
    let nodes = world.nex.ok(&["nodes", "--json"]).await.json();
    let name = text(&nodes, "/0/tags/nex.node");
    let (typo, _) = name.split_at(name.len() - 1);
    for arguments in [
        &["info", typo][..],
        &["node", "info", typo],
        &["lameduck", typo],
        &["node", "forget", typo],
    ] {
        let refused = world.nex.run(arguments).await.exits(4);
        let says = format!("did you mean {name}?");
        assert!(refused.stderr.contains(&says), "{arguments:?}: {refused}");
    }
    let elsewhere = world.nex.run(&["stop", "orders", "-n", "team"]).await.exits(4);
    assert!(
        elsewhere.stderr.contains("hint: it is in namespace default: add -n default"),
        "{elsewhere}"
    );
    let configuration = world.nex.work_dir().with_file_name("home").join(".config");
    let contexts = configuration.join("nats/context");
    std::fs::create_dir_all(&contexts).unwrap();
    std::fs::write(contexts.join("staging.json"), "{}").unwrap();
    let refused = world.nex.run(&["ls", "--context", "stagnig"]).await.exits(2);
    assert!(refused.stderr.contains("did you mean staging?"), "{refused}");
    std::fs::remove_dir_all(configuration).unwrap();
    let refused = world.nex.run(&["stop", "something-else"]).await.exits(4);
    assert!(!refused.stderr.contains("did you mean"), "{refused}");
    world.finish().await;
}
