//! What each trigger's durable is on the server, key by key, and which changes from copy to copy.

use std::time::Duration;

use async_nats::jetstream::consumer::{Config, DeliverPolicy, PullConsumer};
use async_nats::jetstream::{self, kv, object_store, stream};
use serde_json::{Value, json};

use crate::harness::Harness;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The durable of the only trigger of a function, as the server has it.
async fn durable(harness: &Harness, stream: &str, name: &str, trigger: Value) -> Config {
    let workload = harness.deploy("echo", "x", json!({ "triggers": [trigger] })).await;
    let jetstream = jetstream::new(harness.client.clone());
    let mut found: PullConsumer = jetstream.get_consumer_from_stream(name, stream).await.unwrap();
    let config = found.info().await.unwrap().config.clone();
    workload.stop().await;
    workload.ended().await;
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_trigger_s_keys_are_those_of_its_durable() {
    let harness = Harness::start().await;
    let jetstream = jetstream::new(harness.client.clone());
    let subjects = vec!["jobs.>".to_owned()];
    let config = stream::Config { name: "JOBS".to_owned(), subjects, ..Default::default() };
    jetstream.create_stream(config).await.unwrap();

    let bare = json!({ "type": "stream", "stream": "JOBS" });
    let usual = durable(&harness, "JOBS", "nex_default_probe", bare).await;
    assert_eq!(usual.deliver_policy, DeliverPolicy::New);
    assert_eq!((usual.max_deliver, usual.backoff.len()), (-1, 0), "the nexlet counts deliveries");
    assert_eq!((usual.max_ack_pending, usual.inactive_threshold), (64, 72 * HOUR));
    assert_eq!(usual.filter_subject, "");

    for (deliver, policy) in
        [("all", DeliverPolicy::All), ("last", DeliverPolicy::Last), ("new", DeliverPolicy::New)]
    {
        let full = json!({
            "type": "stream", "stream": "JOBS", "durable": format!("mine-{deliver}"),
            "deliver": deliver, "filter": "jobs.*", "max_in_flight": 3, "expires": "2h",
            "max_deliver": 7,
        });
        let own = durable(&harness, "JOBS", &format!("mine-{deliver}"), full).await;
        assert_eq!((own.deliver_policy, own.max_deliver), (policy, -1));
        assert_eq!((own.max_ack_pending, own.inactive_threshold), (3, 2 * HOUR));
        assert_eq!(own.filter_subject, "jobs.*");
    }
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_s_trigger_reads_its_own_keys_in_order() {
    let harness = Harness::start().await;
    let jetstream = jetstream::new(harness.client.clone());
    let config = kv::Config { bucket: "B".to_owned(), ..Default::default() };
    jetstream.create_key_value(config).await.unwrap();
    let config = object_store::Config { bucket: "O".to_owned(), ..Default::default() };
    jetstream.create_object_store(config).await.unwrap();
    for (trigger, stream, filter, policy) in [
        (json!({ "type": "kv", "bucket": "B" }), "KV_B", "$KV.B.>", DeliverPolicy::New),
        (
            json!({ "type": "kv", "bucket": "B", "keys": "fruit.*", "from": "all" }),
            "KV_B",
            "$KV.B.fruit.*",
            DeliverPolicy::LastPerSubject,
        ),
        (json!({ "type": "object", "bucket": "O" }), "OBJ_O", "$O.O.M.>", DeliverPolicy::New),
    ] {
        let stream_of = jetstream.get_stream(stream).await.unwrap();
        let before = durable_name(&stream_of).await;
        assert_eq!(before, None, "durables are removed between");
        let workload = harness.deploy("echo", "x", json!({ "triggers": [&trigger] })).await;
        let name = durable_name(&stream_of).await.expect("there is one");
        let mut found: PullConsumer = stream_of.get_consumer(&name).await.unwrap();
        let seen = found.info().await.unwrap().config.clone();
        assert_eq!(seen.filter_subject, filter);
        assert_eq!(seen.deliver_policy, policy, "{trigger}");
        assert_eq!((seen.max_ack_pending, seen.max_deliver), (1, -1), "{trigger}");
        workload.stop().await;
        workload.ended().await;
        stream_of.delete_consumer(&name).await.unwrap();
    }
    harness.finish().await;
}

async fn durable_name(stream: &stream::Stream) -> Option<String> {
    use futures::TryStreamExt as _;
    let names: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
    names.into_iter().next()
}
