//! J9: `nex stop`.
//!
//! 1. The subject has no responders as soon as the command has returned.
//! 2. It is gone from `nex ls`.
//! 3. No process, file, connection or subscription of it is left, but the caches.
//! 4. What was delivered before is answered.

use std::collections::BTreeSet;
use std::path::Path;

use nex_testkit::{echo_service, eventually};

use crate::guests::{BUSY, ECHO};
use crate::world::{SOON, World, assert_no_responders, try_ask};

/// What a node holds on to, by name.
type Holdings = BTreeSet<String>;

#[tokio::test]
async fn j09_stop_leaves_nothing_but_caches() {
    let world = World::up().await;
    let before = holdings(&world).await;

    world.deploy("echo.js", ECHO, "js.echo").await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    world.until_answered("svc.echo", "hello", "hello").await;
    assert_eq!(world.ask("js.echo", "hello").await.payload, "hello");
    let during = holdings(&world).await;
    for kind in ["subscription js.echo", "process", "file"] {
        let new = during.difference(&before).any(|holding| holding.starts_with(kind));
        assert!(new, "the test sees no {kind} in {:#?}", &during - &before);
    }

    for (name, subject) in [("echo", "js.echo"), ("echo-service", "svc.echo")] {
        let stopped = world.nex.ok(&["stop", name]).await.text();
        assert!(stopped.starts_with(&format!("✓ {name} stopped (")), "{stopped}");
        assert_no_responders(&world.client, subject).await;
    }
    assert_eq!(world.ids().await, Vec::<String>::new());
    eventually("nothing is held any more", SOON, async || {
        let after = holdings(&world).await;
        if after == before { Ok(()) } else { Err(&after - &before) }
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn j09_what_was_delivered_is_answered() {
    let world = World::up().await;
    world.deploy("busy.js", BUSY, "busy").await;
    let calls = (0..4).map(|_| {
        let client = world.client.clone();
        tokio::spawn(async move { try_ask(&client, "busy", b"400".to_vec()).await })
    });
    let calls: Vec<_> = calls.collect();
    eventually("the calls are received", SOON, async || {
        let list = world.list().await;
        if list[0]["metadata"]["calls"] == "4" { Ok(()) } else { Err(list) }
    })
    .await;
    world.nex.ok(&["stop", "busy"]).await;
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().payload, "done");
    }
    assert_no_responders(&world.client, "busy").await;
    world.finish().await;
}

#[tokio::test]
async fn j09_stop_takes_ids_and_unique_prefixes() {
    let world = World::up().await;
    world.deploy("one.js", ECHO, "one").await;
    world.deploy("two.js", ECHO, "two").await;
    let listed = world.list().await;
    let id_of = |name: &str| {
        let found = listed.iter().find(|workload| workload["name"] == name);
        crate::world::text(found.unwrap(), "/id")
    };
    world.nex.ok(&["stop", &id_of("one")]).await;
    assert_no_responders(&world.client, "one").await;
    world.nex.ok(&["stop", &id_of("two")[..8]]).await;
    assert_no_responders(&world.client, "two").await;
    world.finish().await;
}

async fn holdings(world: &World) -> Holdings {
    let mut holdings = Holdings::new();
    for subject in world.server.subjects().await {
        // Inboxes are named anew for each request.
        if !subject.starts_with("_INBOX.") {
            holdings.insert(format!("subscription {subject}"));
        }
    }
    for (number, name) in world.server.other_clients().await.into_iter().enumerate() {
        holdings.insert(format!("connection {number} {name}"));
    }
    for process in world.nex.processes() {
        holdings.insert(format!("process {} {}", process.pid, process.command));
    }
    files(world.nex.state_dir(), &mut holdings);
    holdings
}

/// Every file and folder but what lies in a cache.
fn files(folder: &Path, holdings: &mut Holdings) {
    for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = item.file_name();
        if name == "artifacts" || name == "compiled" {
            continue;
        }
        holdings.insert(format!("file {}", item.path().display()));
        files(&item.path(), holdings);
    }
}
