//! J40: namespaces `a` and `a-b` whose names could collide; what `a` tries shows nothing of `a-b`.
//!
//! 1. Lists, stops and clones: nothing of the other, by name or by id.
//! 2. Its log and its events are not heard.
//! 3. Its buckets of the view and of leases hold nothing of the other.
//! 4. Its artifact cannot be deployed, nor a file of the host.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream;
use futures::TryStreamExt;
use nex_testkit::Output;
use serde_json::json;

use crate::world::{World, assert_refused, text};

const TALKS: &str = "(subject, payload) => { console.log('canary'); return payload }";

async fn act(world: &World, namespace: &str, arguments: &[&str]) -> Output {
    world.nex.run(&[&["-n", namespace], arguments].concat()).await
}

async fn deploy(world: &World, namespace: &str, name: &str, subject: &str) -> String {
    world.file("talks.js", TALKS);
    let run = ["run", "talks.js", "--name", name, "--on", subject, "--json"];
    let done = act(world, namespace, &run).await.exits(0).json();
    text(&done, "/workloads/0/id")
}

/// The keys of a bucket; none when it is not there.
async fn keys(world: &World, bucket: &str) -> BTreeSet<String> {
    let context = jetstream::new(world.client.clone());
    let Ok(store) = context.get_key_value(bucket).await else { return BTreeSet::new() };
    store.keys().await.unwrap().try_collect().await.unwrap()
}

#[tokio::test]
async fn j40_nothing_of_a_namespace_shows_in_another() {
    let world = World::up().await;
    let mine = deploy(&world, "a", "talks", "a.talks").await;
    let theirs = deploy(&world, "a-b", "talks", "ab.talks").await;

    let listed = act(&world, "a", &["ls", "--json"]).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
    assert_eq!(text(&listed, "/0/id"), mine);
    for verb in [&["stop"][..], &["clone"], &["info"]] {
        let tried = act(&world, "a", &[verb, &[theirs.as_str()]].concat()).await;
        assert!(tried.code == 4 && !tried.stderr.contains("ab.talks"), "{tried}");
    }
    let _stopped = act(&world, "a", &["stop", "talks"]).await.exits(0);
    assert_eq!(world.ask("ab.talks", "still here").await.payload, "still here");

    let view = keys(&world, "nex-view-a").await;
    let lease = keys(&world, "nex-lease-a").await;
    assert!(view.iter().chain(&lease).all(|key| !key.contains(&theirs)), "{view:?} {lease:?}");
    assert!(keys(&world, "nex-view-a-b").await.contains(&format!("w.{theirs}")));
    world.finish().await;
}

#[tokio::test]
async fn j40_logs_and_events_of_a_namespace_are_heard_by_its_own_alone() {
    let world = World::up().await;
    let mut own = world.follow(&["-n", "a-b", "logs", "-f"]).await;
    let other = world.follow(&["-n", "a", "logs", "-f"]).await;
    let events = world.follow(&["-n", "a", "events", "-f", "--json"]).await;
    deploy(&world, "a-b", "talks", "ab.talks").await;
    world.ask("ab.talks", "x").await;
    own.line(Duration::from_secs(10), |line| line.contains("canary")).await.unwrap();
    let heard = [other.stdout(), events.stdout()].concat();
    let heard = String::from_utf8_lossy(&heard);
    assert!(!heard.contains("canary") && !heard.contains("\"a-b\""), "{heard}");
    drop((own, other, events));
    world.finish().await;
}

#[tokio::test]
async fn j40_artifacts_of_others_and_files_of_the_host_are_refused() {
    let world = World::up().await;
    deploy(&world, "a-b", "talks", "ab.talks").await;
    for (uri, says) in
        [("nats://NEXCLIFILES_a-b/talks", "namespace"), ("file:///etc/shadow", "file://")]
    {
        let request = json!({ "uri": uri, "triggers": ["a.stolen"] }).to_string();
        let start = ["workload", "start", "--type", "javascript", "--lifecycle", "function"];
        let more = ["--name", "stolen", "--start-request", &request];
        let refused = act(&world, "a", &[&start[..], &more].concat()).await;
        let refused = assert_refused(refused, 1, &[says], "");
        assert!(
            !refused.stderr.contains("canary") && !refused.stderr.contains("root:"),
            "{refused}"
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn j40_buckets_of_another_namespace_are_neither_listed_nor_removed() {
    let world = World::up().await;
    let keeps = "export default async (s, p, ctx) => { await ctx.kv.set('k', p); return 'kept'; }";
    world.file("keeps.js", keeps);
    for (namespace, subject) in [("a", "a.keeps"), ("a-b", "ab.keeps")] {
        let _run = act(&world, namespace, &["run", "keeps.js", "--on", subject]).await.exits(0);
        assert_eq!(world.ask(subject, "x").await.payload, "kept");
    }
    let listed = act(&world, "a", &["buckets", "--json"]).await.exits(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
    assert_eq!(text(&listed, "/0/bucket"), "hs_a_keeps_kv");
    let theirs = "hs_a-b_keeps_kv";
    let tried = act(&world, "a", &["buckets", "rm", theirs]).await;
    assert_eq!(tried.code, 4, "{tried}");
    let _removed = act(&world, "a", &["buckets", "rm", "hs_a_keeps_kv"]).await.exits(0);
    let listed = act(&world, "a", &["buckets", "--json"]).await.exits(0).json();
    assert!(listed.as_array().unwrap().is_empty(), "{listed:#}");
    let listed = act(&world, "a-b", &["buckets"]).await.exits(0);
    assert!(listed.text().contains(theirs), "{theirs}");
    world.finish().await;
}
