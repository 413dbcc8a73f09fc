//! J18: components, through the whole of Nex.
//!
//! 1. A component of our own world answers with payload and headers; its errors are error replies.
//! 2. One in another language does the same.
//! 3. A command component answers as a WASI preview 1 command does.
//! 4. One that fits nothing is refused with what it lacks.

use nex_testkit::example;

use crate::world::{SOON, World, assert_refused, error_headers};

#[tokio::test]
async fn j18_components_of_our_world_answer() {
    let world = World::up().await;
    world.nex.ok(&["run", &example("component-rust.wasm"), "--on", "rust"]).await;
    assert_eq!(world.ask("rust", "hello").await.payload, "hello");
    assert_eq!(world.ask("rust", "subject").await.payload, "rust");
    let (code, says) = error_headers(&world.ask("rust", "bad").await);
    assert_eq!((code.as_str(), says.as_str()), ("400", "the payload is bad"));
    let (code, _) = error_headers(&world.ask("rust", "teapot").await);
    assert_eq!(code, "418");
    let (code, says) = error_headers(&world.ask("rust", "panic").await);
    assert_eq!(code, "500");
    assert!(says.contains("unreachable"), "{says}");

    world.nex.ok(&["run", &example("component-c.wasm"), "--on", "c"]).await;
    assert_eq!(world.ask("c", "stressed").await.payload, "desserts");
    assert_eq!(error_headers(&world.ask("c", "").await).0, "400");
    world.finish().await;
}

#[tokio::test]
async fn j18_a_command_component_replies_all_that_it_wrote() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "component-command", "-f"]).await;
    let command = example("component-command.wasm");
    world.nex.ok(&["run", &command, "--on", "say", "GREETING=good day", "--", "!"]).await;
    assert_eq!(world.ask("say", "hello\n").await.payload, "hello\nsay!");
    logs.line(SOON, |line| line == "component-command: good day").await.unwrap();
    assert_eq!(error_headers(&world.ask("say", "exit").await).0, "500");
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn j18_a_component_that_fits_nothing_is_refused() {
    let world = World::up().await;
    world.file("nothing.wat", "(component)");
    let refused = world.nex.run(&["run", "nothing.wat", "--on", "nothing"]).await;
    assert_refused(refused, 1, &["nex:function/handler", "NEX-211"], "wasm32-wasip1");
    world.finish().await;
}
