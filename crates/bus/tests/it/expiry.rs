//! The server ends what has expired; the client comes back with what stands in the renewer.

use std::time::Duration;

use futures::StreamExt;
use nex_api::NatsConnectionData;
use nex_bus::{Client, Pool, Settings, connect_renewable};
use nex_testkit::{NatsServer, Operator, eventually};

const SOON: Duration = Duration::from_secs(15);
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);

fn minted(server: &NatsServer, operator: &Operator, life: Duration) -> NatsConnectionData {
    let (nats_user_jwt, nats_user_seed) = operator.a.short_lived(life);
    NatsConnectionData {
        nats_user_jwt,
        nats_user_seed,
        ..NatsConnectionData::open(vec![server.url()])
    }
}

async fn until_connected_again(client: &Client) {
    let statistics = client.statistics();
    eventually("the client is back", SOON, async || {
        let connects = statistics.connects.load(std::sync::atomic::Ordering::SeqCst);
        let state = client.connection_state();
        let is_back = connects >= 2 && state == async_nats::connection::State::Connected;
        if is_back { Ok(()) } else { Err(format!("{connects} times, {state:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_renewed_credential_is_used_when_the_old_one_expires() {
    let operator = Operator::new();
    let server = NatsServer::options().operator(&operator).start().await;
    let settings = Settings::minted(minted(&server, &operator, SHORT), "short");
    let (client, renewer) = connect_renewable(&settings).await.unwrap();
    let mut subscription = client.subscribe("x").await.unwrap();
    renewer.renew(&minted(&server, &operator, LONG)).unwrap();
    until_connected_again(&client).await;
    client.publish("x", "after".into()).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().payload, "after");
}

#[tokio::test]
async fn an_expired_connection_comes_back_when_it_is_renewed_late() {
    let operator = Operator::new();
    let server = NatsServer::options().operator(&operator).start().await;
    let pool = Pool::default();
    let settings = Settings::minted(minted(&server, &operator, SHORT), "short");
    let (lease, other) =
        (pool.lease(&settings).await.unwrap(), pool.lease(&settings).await.unwrap());
    eventually("the server ended it", SOON, async || match lease.client.connection_state() {
        async_nats::connection::State::Connected => Err("still connected"),
        _ => Ok(()),
    })
    .await;
    other.renewer.renew(&minted(&server, &operator, LONG)).unwrap();
    until_connected_again(&lease.client).await;
}

#[tokio::test]
async fn credentials_that_do_not_expire_are_left_alone() {
    let server = NatsServer::start().await;
    let open = NatsConnectionData::open(vec![server.url()]);
    let (client, renewer) =
        connect_renewable(&Settings::minted(open.clone(), "open")).await.unwrap();
    renewer.renew(&open).unwrap();
    let refused = NatsConnectionData {
        nats_user_jwt: "e.y.J".to_owned(),
        nats_user_seed: "SUCANARY".to_owned(),
        ..open
    };
    let error = renewer.renew(&refused).unwrap_err();
    assert!(!format!("{error:?} {renewer:?}").contains("CANARY"));
    client.flush().await.unwrap();
}
