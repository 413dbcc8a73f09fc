//! `nex up` where it cannot be: a sentence, a hint, nothing left behind.
//!
//! 1. The state directory is in use by another node.
//! 2. The state directory cannot be written.
//! 3. The port is in use.
//! 4. The tags or the node's name make no sense.

use std::net::TcpListener;

use nex_testkit::Nex;

use crate::world::{World, assert_refused};

#[tokio::test]
async fn a_second_up_on_the_same_state_directory_is_refused() {
    let world = World::up().await;
    let refused = world.nex.run(&["up"]).await;
    let sentence = format!(
        "state directory {} is in use by another node (process {})",
        world.nex.state_dir().display(),
        world.nex.id()
    );
    assert_refused(refused, 1, &[&sentence], "--state-dir DIR");
    assert_eq!(world.nex.ok(&["nodes"]).await.text().lines().count(), 2, "the first goes on");
    world.finish().await;
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_is_refused() {
    let nex = Nex::managed().down();
    let file = nex.work_dir().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let below = file.join("state").display().to_string();
    let refused = nex.run(&["up", "--nats-port", "0", "--state-dir", &below]).await;
    assert_refused(refused, 1, &[&below, "Not a directory"], "--state-dir DIR");
    assert_eq!(nex.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let nex = Nex::managed().down();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let refused = nex.run(&["up", "--nats-port", &port]).await;
    assert_refused(refused, 1, &["nats-server", "address already in use"], &port);
    nex.assert_nothing_left().await;
    assert!(!nex.state_dir().join("nats/record.json").exists());
}

#[tokio::test]
async fn tags_must_be_pairs() {
    let nex = Nex::managed().down();
    let refused = nex.run(&["up", "--nats-port", "0", "--tags", "region"]).await.exits(2);
    assert!(refused.stderr.contains("\"region\" is not KEY=VALUE"), "{refused}");
    nex.assert_nothing_left().await;
}
