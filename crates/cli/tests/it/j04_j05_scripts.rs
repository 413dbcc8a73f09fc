//! J4 and J5: a classic script of the first releases.
//!
//! 1. What it returns comes as the JSON of that object.
//! 2. With a wildcard trigger it is given the concrete subject.
//! 3. What it writes to the console is its log.

use nex_testkit::Process;

use crate::guests::CLASSIC;
use crate::world::{SOON, World, assert_no_responders};

#[tokio::test]
async fn j04_a_classic_script_replies_the_json_of_its_object() {
    let world = World::up().await;
    let mut logs: Process = world.follow(&["logs", "hello", "-f"]).await;
    world.deploy("hello.js", CLASSIC, "helloworld").await;
    let reply = world.ask("helloworld", "Dear NATS").await;
    assert_eq!(reply.payload, r#"{"triggerOn":"helloworld","payload":"Dear NATS"}"#);
    let line = logs.line(SOON, |line| line.contains("helloworld")).await.unwrap();
    assert_eq!(line, "hello: helloworld");
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn j05_a_wildcard_gives_the_concrete_subject() {
    let world = World::up().await;
    let deployed = world.deploy("calc.js", CLASSIC, "calc.*").await.text();
    assert!(deployed.contains("nex call calc.x 'hello'"), "{deployed}");
    for subject in ["calc.add", "calc.subtract"] {
        let reply = world.ask(subject, "1 2").await;
        let expected = format!(r#"{{"triggerOn":"{subject}","payload":"1 2"}}"#);
        assert_eq!(reply.payload, expected);
    }
    assert_no_responders(&world.client, "calc").await;
    assert_no_responders(&world.client, "calc.add.x").await;

    let ambiguous = world.nex.run(&["call", "calc", "1 2"]).await.exits(2);
    assert!(ambiguous.stderr.contains("calc listens on calc.*"), "{ambiguous}");
    assert_eq!(world.nex.ok(&["call", "calc.add", "1"]).await.json()["triggerOn"], "calc.add");
    world.finish().await;
}
