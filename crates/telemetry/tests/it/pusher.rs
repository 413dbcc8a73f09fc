//! The exporter, against a receiver that is there, refuses, goes away and comes back.

use nex_telemetry::OtlpSettings;
use nex_telemetry::metrics::{Outcome, Pusher};
use nex_testkit::OtlpReceiver;

use crate::support::snapshot;

fn pusher(receiver: &OtlpReceiver) -> Pusher {
    let settings = OtlpSettings::parse(&receiver.url(), Some("x-api-key=hunter2")).unwrap();
    Pusher::new(&settings).unwrap()
}

#[tokio::test]
async fn a_collector_gets_the_same_values_as_prometheus() {
    let receiver = OtlpReceiver::start().await;
    assert_eq!(pusher(&receiver).push(&snapshot()).await, Outcome::Taken);
    let received = receiver.received();
    assert_eq!(received.headers["x-api-key"], "hunter2");
    let resource = received.metrics_resource();
    assert_eq!(resource["service.name"], "nex-node");
    assert_eq!(resource["service.instance.id"], "NABC");
    assert_eq!(resource["service.version"], "0.5.0");
    let calls = received.points("nex.function.calls");
    assert_eq!((calls[0].value, calls[0].attribute("nex.workload.name")), (4.0, "echo"));
    let duration = &received.points("nex.function.duration")[0];
    assert_eq!(duration.buckets, [(0.01, 2), (0.1, 1), (f64::INFINITY, 1)]);
    assert_eq!((duration.value, duration.sum), (4.0, 3.25));
    assert_eq!(received.points("nex.service.cpu.time")[0].value, 1.5);
    assert_eq!(received.points("nex.function.errors"), []);
    let dropped = &received.points("nex.node.metrics.dropped")[0];
    assert_eq!(dropped.attribute("otel.metric.overflow"), "true");
}

#[tokio::test]
async fn a_collector_that_was_away_gets_the_next_one() {
    let mut receiver = OtlpReceiver::start().await;
    let mut pusher = pusher(&receiver);
    receiver.stop().await;
    assert_eq!(pusher.push(&snapshot()).await, Outcome::Dropped);
    receiver.start_again().await;
    assert_eq!(pusher.push(&snapshot()).await, Outcome::Taken);
    assert_eq!(receiver.received().metrics.len(), 1);
}

#[tokio::test]
async fn only_what_may_pass_is_tried_again() {
    let receiver = OtlpReceiver::start().await;
    let mut pusher = pusher(&receiver);
    for (status, n_tries) in [(503, 3), (429, 3), (400, 1), (401, 1), (301, 1)] {
        receiver.clear();
        receiver.refuse_with(Some(status));
        assert_eq!(pusher.push(&snapshot()).await, Outcome::Dropped, "{status}");
        assert_eq!(receiver.received().refused, n_tries, "{status}");
    }
}
