//! The server: start, stop, restart, options.

use std::time::Duration;

use async_nats::jetstream;
use nex_testkit::{NatsServer, eventually};

#[tokio::test]
async fn a_started_server_answers_and_ends_with_its_value() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let pid = server.id().unwrap();
    assert!(client.server_info().jetstream);
    drop(server);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_restarted_server_keeps_port_and_store() {
    let mut server = NatsServer::start().await;
    let url = server.url();
    let context = jetstream::new(server.client().await);
    let bucket = jetstream::kv::Config { bucket: "kept".to_owned(), ..Default::default() };
    context.create_key_value(bucket).await.unwrap().put("key", "value".into()).await.unwrap();

    server.kill().await;
    assert_eq!(server.id(), None);
    server.restart().await;

    assert_eq!(server.url(), url);
    let context = jetstream::new(server.client().await);
    let value = eventually("the bucket is back", Duration::from_secs(10), async || {
        let bucket = context.get_key_value("kept").await.map_err(|error| error.to_string())?;
        bucket.get("key").await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(value.unwrap(), "value");
}

#[tokio::test]
async fn options_reach_the_server() {
    let server = NatsServer::options().max_payload(65_536).without_jetstream().start().await;
    let client = server.client().await;
    assert_eq!(client.server_info().max_payload, 65_536);
    assert!(!client.server_info().jetstream);
}

#[tokio::test]
async fn a_refused_configuration_is_told_with_the_server_s_words() {
    let failure =
        NatsServer::options().configuration("jetstream: 7x").try_start().await.unwrap_err();
    assert!(failure.to_string().contains("got '7x'"), "{failure}");
}

#[tokio::test]
async fn subscriptions_and_connections_of_others_are_seen() {
    let server = NatsServer::start().await;
    let other = async_nats::connect(server.url()).await.unwrap();
    let subscription = other.subscribe("seen.by.the.test").await.unwrap();
    server.until_subscribed("seen.by.the.test").await;
    assert_eq!(server.other_clients().await.len(), 1);

    drop(subscription);
    drop(other);
    server.assert_no_other_clients().await;
    assert_eq!(server.subjects().await, Vec::<String>::new());
}
