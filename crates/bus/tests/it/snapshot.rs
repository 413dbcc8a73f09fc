//! Whole buckets, read from a real server.
//!
//! 1. More entries than one page holds are all there, with their last values, in the order of writes.
//! 2. Removed keys, and keys that the filter does not name, are not.
//! 3. What was acknowledged before is seen, also between two pages that others write.
//! 4. A bucket without direct gets, or credentials without a right to them, are read all the same.

use async_nats::jetstream::{self, kv};
use futures::StreamExt;
use nex_bus::{Client, Entry, snapshot};
use nex_testkit::NatsServer;

const MANY: usize = 2500;

async fn bucket(client: &Client, name: &str, history: i64) -> kv::Store {
    let config = kv::Config { bucket: name.to_owned(), history, ..kv::Config::default() };
    jetstream::new(client.clone()).create_key_value(config).await.unwrap()
}

async fn fill(store: &kv::Store, n: usize, bytes: usize) {
    let puts = (0..n).map(|idx| async move {
        let value = idx.to_string().repeat(bytes.div_ceil(idx.to_string().len()));
        store.put(format!("w.{idx}"), value.into()).await.unwrap();
    });
    futures::stream::iter(puts).buffer_unordered(64).collect::<Vec<()>>().await;
}

async fn without_direct_gets(client: &Client, name: &str) {
    let context = jetstream::new(client.clone());
    let mut config =
        context.get_stream(format!("KV_{name}")).await.unwrap().get_info().await.unwrap().config;
    config.allow_direct = false;
    context.update_stream(config).await.unwrap();
}

fn keys(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

/// Keys that were overwritten, deleted, and of other kinds, among more than fit on two pages.
async fn check_many(client: &Client, store: &kv::Store) {
    fill(store, MANY, 100).await;
    store.put("w.7", "new".into()).await.unwrap();
    store.delete("w.8").await.unwrap();
    store.purge("w.2000").await.unwrap();
    store.put("other.1", "x".into()).await.unwrap();
    store.put("w.deep.er", "x".into()).await.unwrap();
    let revision = store.put("w.last", "x".into()).await.unwrap();

    let entries = snapshot(client, &store.name, "w.*").await.unwrap();
    assert_eq!(entries.len(), MANY - 2 + 1);
    assert!(entries.is_sorted_by_key(|entry| entry.revision));
    assert_eq!(keys(&entries[entries.len() - 2..]), ["w.7", "w.last"]);
    assert_eq!(entries[entries.len() - 2].value, "new");
    assert_eq!(entries.last().unwrap().revision, revision);
    assert!(entries.iter().all(|entry| entry.age < std::time::Duration::from_secs(60)));
    let all = snapshot(client, &store.name, ">").await.unwrap();
    assert_eq!(all.len(), entries.len() + 2);
    assert!(snapshot(client, &store.name, "none.*").await.unwrap().is_empty());
}

#[tokio::test]
async fn more_entries_than_a_page_holds_are_read_by_direct_gets_and_by_a_consumer() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    check_many(&client, &bucket(&client, "pages", 1).await).await;
    check_many(&client, &bucket(&client, "history", 5).await).await;
    let store = bucket(&client, "plain", 1).await;
    without_direct_gets(&client, "plain").await;
    check_many(&client, &store).await;
    assert!(snapshot(&client, "missing", "w.*").await.is_err());
}

#[tokio::test]
async fn large_entries_end_a_page_by_their_bytes() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let store = bucket(&client, "large", 1).await;
    fill(&store, 20, 600_000).await;
    let entries = snapshot(&client, "large", "w.*").await.unwrap();
    assert_eq!(entries.len(), 20);
    assert!(entries.iter().all(|entry| entry.value.len() >= 600_000));
}

#[tokio::test]
async fn what_was_written_just_before_is_seen_while_others_write() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let store = bucket(&client, "busy", 1).await;
    fill(&store, MANY, 10).await;
    let others = async {
        loop {
            fill(&store, MANY, 10).await;
        }
    };
    let reads = async {
        for n in 0..20 {
            let revision = store.put("w.mine", n.to_string().into()).await.unwrap();
            let entries = snapshot(&client, "busy", "w.*").await.unwrap();
            assert_eq!(entries.len(), MANY + 1, "none is missed, none is there twice");
            let mine = entries.iter().find(|entry| entry.key == "w.mine").unwrap();
            assert_eq!(mine.revision, revision);
        }
    };
    tokio::select! {
        () = others => {}
        () = reads => {}
    }
}

#[tokio::test]
async fn credentials_without_a_right_to_direct_gets_read_through_a_consumer() {
    let configuration = r#"authorization { users: [
        { user: all, password: p }
        { user: few, password: p, permissions: { publish: { deny: ["$JS.API.DIRECT.GET.>"] } } }
    ] }"#;
    let server = NatsServer::options().configuration(configuration).start().await;
    let connect = async |user: &str| {
        let options = async_nats::ConnectOptions::with_user_and_password(user.into(), "p".into());
        options.connect(server.url()).await.unwrap()
    };
    let all = connect("all").await;
    let store = bucket(&all, "walled", 1).await;
    fill(&store, 10, 10).await;
    assert_eq!(snapshot(&connect("few").await, "walled", "w.*").await.unwrap().len(), 10);
}
