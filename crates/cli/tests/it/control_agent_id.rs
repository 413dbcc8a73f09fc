//! AGENTID by raw requests (spec: control API, sections 2.4 and 3.1; check 26).
//!
//! 1. The raw bytes of a name are answered with the raw bytes of the id.
//! 2. An unknown name is not answered; an empty one is 400.

use crate::control_errors::assert_node_error;
use crate::scripted::Scripted;
use crate::world::{World, assert_silence};

#[tokio::test]
async fn a_name_is_answered_with_its_id_in_raw_bytes() {
    let world = World::up().await;
    let agent_id = format!("$NEX.SVC.system.control.AGENTID.{}", world.node_id().await);
    for name in ["javascript", "wasm", "native"] {
        let reply = world.ask(&agent_id, name).await;
        assert_eq!(reply.payload, world.agent_id(name).await, "{name}");
        assert_eq!(reply.headers, None);
    }
    let scripted = Scripted::register(&world, "WvLS2fm0rYuHFVcv9jR5gk", "played").await;
    assert_eq!(world.ask(&agent_id, "foreign").await.payload, scripted.id);

    for unknown in ["nobody", "Javascript", "javascript ", "\"javascript\"", "\u{0}", "{}"] {
        assert_silence(&world.client, &agent_id, unknown).await;
    }
    let error = assert_node_error(&world.ask(&agent_id, "").await, "400", "agent name is required");
    assert_eq!(error, "agent name is required");
    drop(scripted);
    world.finish().await;
}
