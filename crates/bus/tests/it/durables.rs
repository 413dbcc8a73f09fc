//! A durable's own time.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use nex_bus::durable::{Begin, Durable, Settings};
use nex_testkit::{NatsServer, eventually};

#[tokio::test]
async fn a_durable_goes_when_nobody_reads_it_and_stays_while_somebody_does() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let jetstream = jetstream::new(client.clone());
    let subjects = vec!["jobs.>".to_owned()];
    let config = stream::Config { name: "JOBS".to_owned(), subjects, ..Default::default() };
    let stream = jetstream.create_stream(config).await.unwrap();
    let settings = |name: &str| Settings {
        stream: "JOBS".to_owned(),
        name: name.to_owned(),
        filter: None,
        begin: Begin::New,
        max_in_flight: 1,
        expires: Duration::from_millis(300),
    };
    let read = Durable::open(&client, &settings("read")).await.unwrap();
    drop(Durable::open(&client, &settings("left")).await.unwrap());
    let mut pulled = read.pull(1, Duration::from_secs(30)).await.unwrap();
    eventually("the durable that nobody reads is gone", Duration::from_secs(20), async || {
        match stream.get_consumer::<jetstream::consumer::pull::Config>("left").await {
            Err(_) => Ok(()),
            Ok(_) => Err("it is there"),
        }
    })
    .await;
    jetstream.publish("jobs.one", "1".into()).await.unwrap().await.unwrap();
    let delivery = pulled.next().await.expect("the durable that is read is there").unwrap();
    assert_eq!(delivery.message.payload, "1");
}
