//! A subscription that nobody reads.

use std::time::Duration;

use nex_api::NatsConnectionData;
use nex_bus::{Settings, connect, slow_consumers};
use nex_testkit::{NatsServer, eventually};

/// More than the library keeps for a subscription.
const MORE_THAN_FITS: usize = 70_000;

#[tokio::test]
async fn what_a_subscription_was_too_slow_to_take_is_counted() {
    let server = NatsServer::start().await;
    let data = NatsConnectionData::open(vec![server.url()]);
    let client = connect(&Settings::minted(data, "slow")).await.unwrap();
    let _unread = client.subscribe("flood").await.unwrap();
    server.until_subscribed("flood").await;
    assert_eq!(slow_consumers(), 0, "no other test here is slow");
    let flooding = server.client().await;
    for _ in 0..MORE_THAN_FITS {
        flooding.publish("flood", "x".into()).await.unwrap();
    }
    flooding.flush().await.unwrap();
    eventually("the loss is counted", Duration::from_secs(30), async || match slow_consumers() {
        0 => Err("nothing lost"),
        _ => Ok(()),
    })
    .await;
}
