//! What `nex up` says for all functions of a node.
//!
//! 1. Past `--functions-memory` a call is told 429 and the setting; when there is room again it runs.
//! 2. What `--deny-services` takes away cannot be asked for at a deploy, and is refused to who did not ask.

use nex_testkit::NatsServer;

use crate::world::{World, assert_refused, json_of};

const GROWS: &str = "(subject, payload) => {
  const kept = [];
  for (let n = 0; n < Number(payload.text()); n++) kept.push(new Uint8Array(1 << 20).fill(1));
  return `${kept.length}`;
}
";
const KEEPS: &str = "export default async (subject, payload, { kv, objects }) => {
  if (payload.length === 0) return `${await kv.get('nothing')}`;
  return objects.put('x', payload);
};
";

#[tokio::test]
async fn past_the_memory_of_all_functions_a_call_is_told_the_setting() {
    let world = World::with(NatsServer::options(), &["--functions-memory", "32MiB"]).await;
    world.deploy("grows.js", GROWS, "grows").await;
    assert_eq!(world.nex.ok(&["call", "grows", "4"]).await.text(), "4");
    let refused = world.nex.run(&["call", "grows", "48"]).await;
    assert_refused(refused, 1, &["answered 429", "NEX-301", "--functions-memory"], "");
    assert_eq!(world.nex.ok(&["call", "grows", "4"]).await.text(), "4");
    world.finish().await;
}

#[tokio::test]
async fn what_the_node_denies_is_refused_with_its_flag() {
    let denied = ["--deny-services", "http,default:objects"];
    let world = World::with(NatsServer::options(), &denied).await;
    world.file("keeps.mjs", KEEPS);
    let asks = ["run", "keeps.mjs", "--on", "keeps", "--allow-http", "example.com"];
    let refused = world.nex.run(&asks).await;
    assert_refused(refused, 1, &["http", "--deny-services"], "");

    world.nex.ok(&["run", "keeps.mjs", "--on", "keeps"]).await;
    assert_eq!(world.nex.ok(&["call", "keeps"]).await.text(), "null");
    let refused = world.nex.run(&["call", "keeps", "x"]).await;
    assert_refused(refused, 1, &["answered 500", "objects", "--deny-services"], "");
    // It is one namespace's objects that are denied.
    world.nex.ok(&["run", "keeps.mjs", "--on", "kept", "-n", "other"]).await;
    assert_eq!(json_of(&world.ask("kept", "x").await)["name"], "x");
    world.finish().await;
}
