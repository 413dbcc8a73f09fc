//! Key-value and objects: each operation, each refusal, and the sizes.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use nex_api::Code;
use nex_functions::host::{Entry, HostError};
use nex_functions::runtime::Operation;
use nex_testkit::eventually;
use serde_json::{Value, json};

use crate::harness::{Harness, request};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn services(services: impl Into<Value>) -> Value {
    let services = services.into();
    json!({ "host_services": services })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_written_read_and_deleted_by_revision() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "a", json!({})).await;
    let host = harness.engine.host();
    let kv = host.key_value().unwrap();
    assert_eq!(kv.get(None, "none").await.unwrap(), None);
    let first = kv.set(None, "k", bytes("1"), None).await.unwrap();
    let entry = kv.get(None, "k").await.unwrap().unwrap();
    let expected =
        Entry { key: "k".into(), value: bytes("1"), revision: first, operation: Operation::Put };
    assert_eq!(entry, expected);
    let refused = kv.create(None, "k", bytes("2"), None).await.unwrap_err();
    assert!(matches!(&refused, HostError::Conflict(text) if text.contains("\"k\"")), "{refused}");
    let refused = kv.update(None, "k", bytes("2"), first + 7).await.unwrap_err();
    assert!(matches!(&refused, HostError::Conflict(text) if text.contains("not the latest")));
    let second = kv.update(None, "k", bytes("2"), first).await.unwrap();
    let history: Vec<_> =
        kv.history(None, "k").await.unwrap().into_iter().map(|entry| entry.revision).collect();
    assert_eq!(history, [first, second]);
    assert!(matches!(kv.delete(None, "k", Some(first)).await, Err(HostError::Conflict(_))));
    kv.delete(None, "k", Some(second)).await.unwrap();
    kv.delete(None, "k", None).await.unwrap();
    assert_eq!(kv.get(None, "k").await.unwrap(), None);
    assert!(kv.create(None, "k", bytes("3"), None).await.unwrap() > second);
    let all: Vec<u8> = (0..=255).collect();
    for value in [Bytes::from(all), Bytes::new(), Bytes::from(vec![0; 512 * 1024])] {
        kv.set(None, "bytes", value.clone(), None).await.unwrap();
        assert_eq!(kv.get(None, "bytes").await.unwrap().unwrap().value, value);
    }
    let refused = kv.set(None, "k", Bytes::from(vec![0; 1 << 20]), None).await.unwrap_err();
    assert!(matches!(&refused, HostError::Invalid(text) if text.contains("1048576")), "{refused}");
    for key in ["", "a b", "a.*", ">", "a..b"] {
        assert!(matches!(kv.get(None, key).await, Err(HostError::Invalid(_))), "{key}");
    }
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_with_a_time_to_live_goes_and_no_older_one_comes_back() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "a", json!({})).await;
    let host = harness.engine.host();
    let kv = host.key_value().unwrap();
    kv.set(None, "k", bytes("old"), None).await.unwrap();
    let short = Some(Duration::from_secs(1));
    match kv.set(None, "k", bytes("new"), short).await {
        Ok(revision) => {
            let gone = kv.watch(None, "k", revision).await.unwrap();
            assert_eq!(gone.operation, Operation::Delete);
            assert_eq!(kv.get(None, "k").await.unwrap(), None);
            assert!(kv.keys(None, "", None, 10).await.unwrap().keys.is_empty());
            kv.create(None, "k", bytes("again"), None).await.unwrap();
        }
        Err(refused) => assert!(refused.to_string().contains("2.11"), "{refused}"),
    }
    let too_short = Some(Duration::from_millis(1));
    assert!(matches!(kv.set(None, "k", bytes("x"), too_short).await, Err(HostError::Invalid(_))));
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_waits_for_the_next_change() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "a", json!({})).await;
    let host = harness.engine.host();
    let kv = host.key_value().unwrap();
    let first = kv.set(None, "a.b", bytes("1"), None).await.unwrap();
    assert_eq!(kv.watch(None, "a.*", 0).await.unwrap().revision, first);
    let (change, set) = tokio::join!(kv.watch(None, "a.>", first), async {
        kv.set(None, "other", bytes("x"), None).await.unwrap();
        kv.set(None, "a.c", bytes("2"), None).await.unwrap()
    });
    let change = change.unwrap();
    assert_eq!((change.key.as_str(), change.revision), ("a.c", set));
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_keys_are_listed_in_pages() {
    const N_KEYS: usize = 100_000;
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "a", json!({})).await;
    let host = harness.engine.host();
    let kv = host.key_value().unwrap();
    kv.set(None, "z", bytes("made"), None).await.unwrap();
    for n in 0..N_KEYS {
        let subject = format!("$KV.hs_default_probe_kv.users.{n:06}");
        harness.client.publish(subject, "x".into()).await.unwrap();
    }
    harness.client.flush().await.unwrap();
    let last = format!("users.{:06}", N_KEYS - 1);
    eventually("all keys are stored", Duration::from_secs(60), async || {
        kv.get(None, &last).await.unwrap().map(|_| ()).ok_or("not yet")
    })
    .await;
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = kv.keys(None, "users.", cursor.as_deref(), usize::MAX).await.unwrap();
        assert!(page.keys.len() <= 1000);
        seen.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), N_KEYS);
    assert!(seen.is_sorted());
    assert_eq!(kv.keys(None, "z", None, 5).await.unwrap().keys, ["z"]);
    assert!(kv.keys(None, "nobody", None, 5).await.unwrap().keys.is_empty());
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_buckets_are_used_only_when_they_are_listed() {
    let harness = Harness::start().await;
    let jetstream = async_nats::jetstream::new(harness.client.clone());
    let config =
        async_nats::jetstream::kv::Config { bucket: "shared".into(), ..Default::default() };
    let store = jetstream.create_key_value(config).await.unwrap();
    store.put("k", "theirs".into()).await.unwrap();
    let more = services(json!({ "kv": { "buckets": ["shared", "absent"] } }));
    let workload = harness.deploy("echo", "a", more).await;
    let host = harness.engine.host();
    let kv = host.key_value().unwrap();
    assert_eq!(kv.get(Some("shared"), "k").await.unwrap().unwrap().value, "theirs");
    assert_eq!(kv.keys(Some("shared"), "", None, 9).await.unwrap().keys, ["k"]);
    let refused = kv.set(Some("shared"), "k", bytes("x"), Some(Duration::from_secs(9))).await;
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, HostError::Invalid(text) if text.contains("times to live")));
    let absent = kv.get(Some("absent"), "k").await.unwrap_err().to_string();
    assert!(absent.contains("does not exist"), "{absent}");
    for bucket in ["hs_default_other_kv", "other", "nex-node"] {
        let refused = kv.get(Some(bucket), "k").await.unwrap_err();
        assert!(
            matches!(&refused, HostError::Denied(text) if text.contains("host_services.kv.buckets")),
            "{refused}"
        );
    }
    for (bucket, pattern) in [("nex-x", "nex-*"), ("hs_other_x_kv", "hs_*")] {
        let more = services(json!({ "kv": { "buckets": [bucket] } }));
        let failure = harness.try_deploy(request("echo", "b", more)).await.unwrap_err();
        assert_eq!(failure.code, Code::SubjectDenied);
        assert!(failure.message.contains(pattern), "{failure}");
    }
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_bucket_and_a_removed_one_are_told_apart() {
    let harness = Harness::start().await;
    let more = services(json!({ "kv": { "max_bytes": "64KiB" } }));
    let workload = harness.deploy("echo", "a", more).await;
    let host = harness.engine.host();
    let kv = host.key_value().unwrap();
    kv.set(None, "k", Bytes::from(vec![1; 40_000]), None).await.unwrap();
    let refused = kv.set(None, "l", Bytes::from(vec![1; 40_000]), None).await.unwrap_err();
    assert!(matches!(&refused, HostError::Full(text) if text.contains("is full")), "{refused}");
    let jetstream = async_nats::jetstream::new(harness.client.clone());
    jetstream.delete_key_value("hs_default_probe_kv").await.unwrap();
    assert_eq!(kv.get(None, "k").await.unwrap(), None, "the bucket is made again");
    kv.set(None, "l", Bytes::from(vec![1; 40_000]), None).await.unwrap();
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

/// A bucket's size counts what its stream keeps: subject, headers and value of each key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_takes_what_its_size_allows_and_not_a_byte_more() {
    let harness = Harness::start().await;
    let small = services(json!({ "kv": { "max_bytes": "4KiB" } }));
    let workload = harness.deploy("echo", "a", small).await;
    let host = harness.engine.host();
    let kv = host.key_value().unwrap();
    let size = |n: usize| Bytes::from(vec![1; n]);
    // What the server adds to a value, told by a first one.
    kv.set(None, "k", size(1000), None).await.unwrap();
    let jetstream = async_nats::jetstream::new(harness.client.clone());
    let kept = async || {
        let mut stream = jetstream.get_stream("KV_hs_default_probe_kv").await.unwrap();
        let info = stream.info().await.unwrap();
        (info.config.max_bytes, usize::try_from(info.state.bytes).unwrap())
    };
    let (limit, one) = kept().await;
    assert_eq!(limit, 4096);
    let added = one - 1000;
    let room = 4096 - one;
    let refused = kv.set(None, "l", size(room - added + 1), None).await.unwrap_err();
    assert!(matches!(&refused, HostError::Full(text) if text.contains("is full")), "{refused}");
    kv.set(None, "l", size(room - added), None).await.unwrap();
    assert_eq!(kept().await.1, 4096);
    assert_eq!(
        kv.get(None, "k").await.unwrap().unwrap().value.len(),
        1000,
        "nothing was pushed out"
    );
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_as_large_as_was_asked_or_sixty_four_mebibytes() {
    let harness = Harness::start().await;
    let jetstream = async_nats::jetstream::new(harness.client.clone());
    for (asked, expected) in [(None, 64 << 20), (Some("4KiB"), 4096)] {
        let size = asked.map_or(json!({}), |size| json!({ "max_bytes": size }));
        let both = services(json!({ "kv": size, "objects": size }));
        let workload = harness.deploy("echo", "a", both).await;
        let host = harness.engine.host();
        host.key_value().unwrap().set(None, "k", bytes("1"), None).await.unwrap();
        host.objects()
            .unwrap()
            .put(None, "o", stream::iter([Ok(bytes("1"))]).boxed())
            .await
            .unwrap();
        for bucket in ["KV_hs_default_probe_kv", "OBJ_hs_default_probe_obj"] {
            let config = jetstream.get_stream(bucket).await.unwrap().cached_info().config.clone();
            assert_eq!(config.max_bytes, expected, "{bucket} with {asked:?}");
            jetstream.delete_stream(bucket).await.unwrap();
        }
        drop(host);
        workload.stop().await;
        workload.ended().await;
    }
    let less = services(json!({ "kv": { "max_bytes": "4095" } }));
    let refused = harness.try_deploy(request("echo", "a", less)).await.unwrap_err();
    assert!(format!("{refused:?}").contains("4KiB at least"), "{refused:?}");
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_streamed_in_and_out() {
    let harness = Harness::start().await;
    let workload = harness.deploy("echo", "a", json!({})).await;
    let host = harness.engine.host();
    let objects = host.objects().unwrap();
    assert!(objects.get(None, "none").await.unwrap().is_none());
    assert!(objects.list(None, "", None, 10).await.unwrap().objects.is_empty());
    let large: Vec<u8> =
        (0..5_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let pieces: Vec<Result<Bytes, HostError>> =
        large.chunks(77_777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let info = objects.put(None, "größe/5 MB", stream::iter(pieces).boxed()).await.unwrap();
    assert_eq!(info.size, 5_000_000);
    let (found, body) = objects.get(None, "größe/5 MB").await.unwrap().unwrap();
    assert_eq!(found, info);
    let read: Vec<Bytes> = body.try_collect().await.unwrap();
    assert!(read.concat() == large);
    // Others read it as any object, so that people can look at it.
    let jetstream = async_nats::jetstream::new(harness.client.clone());
    let store = jetstream.get_object_store("hs_default_probe_obj").await.unwrap();
    assert_eq!(store.info("größe/5 MB").await.unwrap().size, 5_000_000);
    store.put("theirs", &mut &b"by another client"[..]).await.unwrap();
    let (_, body) = objects.get(None, "theirs").await.unwrap().unwrap();
    assert_eq!(body.try_collect::<Vec<_>>().await.unwrap().concat(), b"by another client");
    objects.put(None, "empty", stream::empty().boxed()).await.unwrap();
    let (_, body) = objects.get(None, "empty").await.unwrap().unwrap();
    assert!(body.try_collect::<Vec<_>>().await.unwrap().concat().is_empty());
    let page = objects.list(None, "", None, 2).await.unwrap();
    let names: Vec<_> = page.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!((names, page.cursor.as_deref()), (vec!["empty", "größe/5 MB"], Some("größe/5 MB")));
    let rest = objects.list(None, "", page.cursor.as_deref(), 2).await.unwrap();
    assert_eq!((rest.objects[0].name.as_str(), rest.cursor), ("theirs", None));
    // What breaks off leaves what was there.
    let broken = [Ok(bytes("x")), Err(HostError::Failed("broke off".into()))];
    let failed = objects.put(None, "empty", stream::iter(broken).boxed()).await.unwrap_err();
    assert_eq!(failed.to_string(), "broke off");
    assert_eq!(objects.info(None, "empty").await.unwrap().unwrap().size, 0);
    objects.delete(None, "größe/5 MB").await.unwrap();
    objects.delete(None, "größe/5 MB").await.unwrap();
    assert!(objects.info(None, "größe/5 MB").await.unwrap().is_none());
    let refused = objects.info(Some("hs_default_other_obj"), "x").await.unwrap_err();
    assert!(matches!(refused, HostError::Denied(_)));
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_switched_off_says_where() {
    let harness = Harness::start().await;
    let off = json!({ "kv": false, "objects": false, "messaging": false, "config": false });
    let workload = harness.deploy("echo", "a", services(off)).await;
    let host = harness.engine.host();
    let refused = |error: HostError| error.to_string();
    assert!(refused(host.key_value().unwrap_err()).contains("host_services"));
    assert!(refused(host.objects().unwrap_err()).contains("switched off"));
    assert!(refused(host.messaging().unwrap_err()).contains("switched off"));
    assert!(refused(host.http().unwrap_err()).contains("host_services.http.allow"));
    drop(host);
    workload.stop().await;
    drop(workload);
    harness.finish().await;
}
