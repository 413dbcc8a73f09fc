//! A reply subject is a stranger's text: what Nex itself or the server listens on is never published to.
//!
//! 1. A function's caller that asks for an answer on `$JS.API.…`, `$NEX.…` or `$KV.…` gets none; the call runs,
//!    and that is counted.
//! 2. The node answers no such subject either.
//! 3. Inboxes and plain subjects are answered.

use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::{self, stream};
use futures::{FutureExt, StreamExt};
use nex_testkit::eventually;

use crate::guests::ECHO;
use crate::world::{SOON, World};

const STREAM: &str = "$JS.API.STREAM.DELETE.X";
const FORBIDDEN: [&str; 4] = [STREAM, "$NEX.probe", "$KV.bucket.key", "$SYS.probe"];

/// A stream that a reply could delete, and ears on everything that must stay quiet.
async fn listen(world: &World) -> Vec<Subscriber> {
    let config = stream::Config {
        name: "X".to_owned(),
        subjects: vec!["kept".to_owned()],
        ..Default::default()
    };
    jetstream::new(world.client.clone()).create_stream(config).await.unwrap();
    let mut ears = Vec::new();
    for subject in FORBIDDEN {
        ears.push(world.client.subscribe(subject).await.unwrap());
    }
    ears
}

async fn assert_quiet(world: &World, ears: Vec<Subscriber>) {
    // One round trip later everything that was published before has arrived.
    world.ask("js.echo", "x").await;
    for (mut ear, subject) in ears.into_iter().zip(FORBIDDEN) {
        let heard = ear.next().now_or_never().flatten();
        assert!(heard.is_none(), "{subject}: {heard:?}");
    }
    let context = jetstream::new(world.client.clone());
    assert!(context.get_stream("X").await.is_ok(), "the stream was deleted by a reply");
}

#[tokio::test]
async fn a_function_never_answers_where_nex_or_the_server_listens() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.deploy("thrower.js", "() => { throw new Error('no') }", "throw").await;
    let ears = listen(&world).await;
    for function in ["js.echo", "throw"] {
        for subject in FORBIDDEN {
            world.client.publish_with_reply(function, subject, "".into()).await.unwrap();
        }
    }
    eventually("the calls ran and were counted", SOON, async || {
        let list = world.list().await;
        let counted = |key: &str| list.iter().filter(|w| w["metadata"][key] == "4").count();
        if counted("calls") == 2 && counted("replies_refused") == 2 { Ok(()) } else { Err(list) }
    })
    .await;
    assert_quiet(&world, ears).await;
    world.finish().await;
}

#[tokio::test]
async fn the_node_never_answers_where_nex_or_the_server_listens() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let ears = listen(&world).await;
    for request in ["$NEX.SVC.system.control.PING", "$NEX.SVC.default.control.WPING"] {
        for subject in FORBIDDEN {
            for body in ["null", "nonsense"] {
                world.client.publish_with_reply(request, subject, body.into()).await.unwrap();
            }
        }
        // What the node answers last comes after what it answers first.
        let plain = "an.ordinary.subject";
        let mut answers = world.client.subscribe(plain).await.unwrap();
        world.client.publish_with_reply(request, plain, "null".into()).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(10), answers.next()).await;
        assert!(answer.unwrap().is_some(), "a plain subject is answered");
    }
    assert_quiet(&world, ears).await;
    world.finish().await;
}
