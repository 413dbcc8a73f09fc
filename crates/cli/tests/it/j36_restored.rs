//! J36: many functions, small messages, node and nexlets killed: all ids back, none twice.
//!
//! How many: `NEX_TEST_MANY`, else 200.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use nex_testkit::{NatsServer, ServerOptions, eventually};
use serde_json::{Value, json};

use crate::control_deploy::{bid, deploy_body};
use crate::j30_state::kill_all;
use crate::state::keys;
use crate::world::{World, text};

const AT_ONCE: usize = 8;
/// A listing that fits into 64 KiB.
const PAGE: usize = 50;

fn how_many() -> usize {
    std::env::var("NEX_TEST_MANY").ok().and_then(|many| many.parse().ok()).unwrap_or(200)
}

fn name(number: usize) -> String {
    format!("many-{number}")
}

/// All ids that the node lists, page by page, with repetitions.
async fn listed(world: &World, many: usize) -> Result<Vec<String>, String> {
    let numbers: Vec<usize> = (0..many).collect();
    let mut ids = Vec::new();
    for page in numbers.chunks(PAGE) {
        let filter: Vec<String> = page.iter().map(|number| name(*number)).collect();
        let body = json!({ "filter": filter, "namespace": "default" });
        let list = world.control("WPING", body).await;
        let list: Value = serde_json::from_slice(&list.payload).map_err(|e| e.to_string())?;
        let Some(list) = list.as_array() else { return Err(list.to_string()) };
        ids.extend(list.iter().map(|workload| text(workload, "/id")));
    }
    Ok(ids)
}

#[tokio::test]
async fn j36_many_functions_are_all_back_once_with_small_messages() {
    Box::pin(all_are_back_once(NatsServer::options().max_payload(64 * 1024))).await;
}

#[tokio::test]
async fn j36_many_functions_are_all_back_once_with_usual_messages() {
    Box::pin(all_are_back_once(NatsServer::options())).await;
}

#[expect(clippy::print_stderr, reason = "figures to read by hand")]
async fn all_are_back_once(server: ServerOptions) {
    let many = how_many();
    let mut world = World::on(server).await;
    let start = Instant::now();
    let ids: BTreeSet<String> = futures::stream::iter(0..many)
        .map(|number| {
            let world = &world;
            async move {
                let subject = format!("ADEPLOY.{}", bid(world, "javascript").await);
                let body = deploy_body("default", &name(number), &format!("many.{number}"));
                text(&world.control_json(&subject, body).await, "/id")
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert_eq!(ids.len(), many);
    assert_eq!(keys(&world).await.len(), many);
    eprintln!("{many} deploys took {:?}", start.elapsed());

    kill_all(&mut world.nex).await;
    let start = Instant::now();
    world.nex.up_again().await;
    eventually("all are back", Duration::from_secs(120), async || {
        let seen = listed(&world, many).await?;
        if seen.len() == many { Ok(()) } else { Err(format!("{} of {many}", seen.len())) }
    })
    .await;
    eprintln!("{many} were back {:?} after the node's start", start.elapsed());
    let seen = listed(&world, many).await.unwrap();
    assert_eq!(seen.len(), many, "none twice");
    assert_eq!(seen.into_iter().collect::<BTreeSet<String>>(), ids);
    for number in [0, many / 2, many - 1] {
        assert_eq!(world.ask(&format!("many.{number}"), "x").await.payload, "x");
    }
    assert_eq!(keys(&world).await.len(), many);
    world.finish().await;
}
