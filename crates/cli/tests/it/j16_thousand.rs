//! J16: a thousand functions in one nexlet, of which a hundred are called.
//!
//! 1. Each takes less memory than the specification allows an idle function (functions, section 8).
//! 2. All are listed, and those that are called answer, each with its own answer.
//!
//! That the thousandth deploy takes no longer than the tenth is measured by `cargo xtask bench functions`.

use std::collections::BTreeSet;

use futures::StreamExt;
use serde_json::json;

use crate::control_deploy::{bid, deploy_body};
use crate::killed::process;
use crate::state::keys;
use crate::world::{World, start_request, text};

const MANY: usize = 1000;
const AT_ONCE: usize = 8;
/// Of an idle function whose credentials others have too.
const MOST_BYTES: u64 = 200_000;

#[tokio::test]
async fn j16_a_thousand_functions_fit_and_answer() {
    let world = World::up().await;
    deploy(&world, 0).await;
    let nexlet = || process(&world.nex, "nexlet javascript ");
    let (before, pid) = (nexlet().resident, nexlet().pid);
    let ids: BTreeSet<String> = futures::stream::iter(1..=MANY)
        .map(|number| deploy(&world, number))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert_eq!(ids.len(), MANY);
    assert_eq!(keys(&world).await.len(), MANY + 1);
    let each = nexlet().resident.saturating_sub(before) / MANY as u64;
    assert!(each < MOST_BYTES, "{each} bytes each");
    for number in (1..=MANY).step_by(MANY / 100) {
        let answer = world.ask(&format!("many.{number}"), "x").await;
        assert_eq!(answer.payload, format!("{number} x"));
    }
    assert_eq!(nexlet().pid, pid, "the nexlet is the same");
    world.finish().await;
}

async fn deploy(world: &World, number: usize) -> String {
    let subject = format!("ADEPLOY.{}", bid(world, "javascript").await);
    let name = format!("many-{number}");
    let mut body = deploy_body("default", &name, "unused");
    let source = format!("(subject, payload) => '{number} ' + payload.text()");
    let request = start_request(&source, json!({ "triggers": [format!("many.{number}")] }));
    body["run_request"] = json!(request.to_string());
    text(&world.control_json(&subject, body).await, "/id")
}
