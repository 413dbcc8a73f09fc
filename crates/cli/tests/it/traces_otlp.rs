//! Spans at a real OTLP receiver: what a call, its host services and a deploy become there.
//!
//! 1. A caller's span → the call's → that of what the function publishes, asks, keeps and fetches; what is sent
//!    carries the last one. In JavaScript and from a component.
//! 2. A caller who keeps no trace gets none; a call without one begins its own; what fails says why.
//! 3. A deploy is one trace, from the command line to the process.
//! 4. A collector that is away changes nothing but that spans are missing.
//! 5. The collector's secrets stay with the node; with credentials of their own, nexlets still tell.

use std::collections::BTreeMap;

use async_nats::{HeaderMap, Message};
use futures::StreamExt;
use nex_testkit::{
    NatsServer, Nex, Operator, OtlpReceiver, Received, Span, echo_service, example, patience, texts,
};
use tokio::net::TcpListener;

use crate::j31_credentials;
use crate::site::serve_once;
use crate::world::{SOON, World, header, seat};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const KEPT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const DROPPED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

const MODERN: &str = r#"
export default async (subject, payload, { nats, kv, headers }) => {
  const text = payload.text();
  if (text === "throw") throw new Error("no");
  await nats.publish("heard", "publish");
  await nats.request("nobody.there", "request", { timeout: 100 }).catch(() => {});
  await kv.set("secret-key", "v");
  if (text !== "") await fetch(text);
  return headers.get("traceparent") ?? "none";
};
"#;

/// A span as tests look at it.
#[derive(Debug, Clone)]
struct Seen {
    service: String,
    trace: String,
    id: String,
    parent: String,
    kind: i32,
    name: String,
    attributes: BTreeMap<String, String>,
    failed: bool,
}

impl Seen {
    fn of((resource, span): (BTreeMap<String, String>, Span)) -> Self {
        let failed = span.status.as_ref().is_some_and(|status| status.code == 2);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
        Self {
            service: resource.get("service.name").cloned().unwrap_or_default(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            kind: span.kind,
            attributes: texts(&span.attributes),
            name: span.name,
            failed,
        }
    }

    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn seen(received: &Received) -> Vec<Seen> {
    received.spans().into_iter().map(Seen::of).collect()
}

/// Waits for the span of that name, and parent if it is not empty.
async fn span(receiver: &OtlpReceiver, name: &str, parent: &str) -> Seen {
    let what = format!("a span {name} below {parent:?}");
    let fits = |span: &Seen| span.name == name && (parent.is_empty() || span.parent == parent);
    receiver.until(&what, SOON, |received| seen(received).into_iter().find(fits)).await
}

/// A node whose spans arrive there.
async fn world(receiver: &OtlpReceiver, more: &[&str]) -> World {
    let url = receiver.url();
    World::with(NatsServer::options(), &[&["--otlp", url.as_str()], more].concat()).await
}

/// One request as part of a trace.
async fn traced(world: &World, subject: &str, payload: &str, traceparent: &str) -> Message {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", traceparent);
    let request = async_nats::Request::new()
        .headers(headers)
        .payload(payload.to_owned().into())
        .timeout(Some(patience(SOON)));
    world.client.send_request(subject.to_owned(), request).await.unwrap()
}

/// The `traceparent` of an HTTP request.
fn sent_with(request: &str) -> String {
    let line = request.lines().find_map(|line| line.strip_prefix("traceparent: "));
    line.unwrap_or_else(|| panic!("no trace in {request}")).to_owned()
}

#[tokio::test]
async fn a_call_is_a_span_below_its_callers_and_what_it_asks_for_is_below_it() {
    let receiver = OtlpReceiver::start().await;
    let world = world(&receiver, &[]).await;
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = site.local_addr().unwrap().to_string();
    let url = format!("http://{host}/path?token=hunter2");
    let mut heard = world.client.subscribe("heard").await.unwrap();
    world.client.flush().await.unwrap();
    world.file("modern.mjs", MODERN);
    let services = example("component-services.wasm");
    for (file, subject) in [("modern.mjs", "modern"), (&services, "wasm")] {
        world.nex.ok(&["run", file, "--on", subject, "--allow-http", &host]).await;
    }

    let (answer, request) =
        tokio::join!(traced(&world, "modern", &url, KEPT), serve_once(&site, "\r\n\r\n"));
    let call = span(&receiver, "modern", CALLER).await;
    assert_eq!((call.trace.as_str(), call.kind, call.failed), (TRACE_ID, 2, false));
    assert_eq!(call.service, "nex-nexlet-javascript");
    assert_eq!(answer.payload, call.traceparent(), "what the guest sees");
    for (name, value) in [
        ("messaging.system", "nats"),
        ("messaging.destination.name", "modern"),
        ("faas.name", "modern"),
        ("faas.trigger", "pubsub"),
        ("faas.coldstart", "true"),
        ("nex.namespace", "default"),
    ] {
        assert_eq!(call.attribute(name), value, "{name} of {call:?}");
    }
    let published = span(&receiver, "publish", &call.id).await;
    let message = tokio::time::timeout(patience(SOON), heard.next()).await.unwrap().unwrap();
    assert_eq!(header(&message, "traceparent"), Some(published.traceparent()));
    assert_eq!(published.attribute("messaging.destination.name"), "heard");
    let asked = span(&receiver, "request", &call.id).await;
    assert_eq!((asked.failed, asked.attribute("error.type")), (true, "NoAnswer"), "{asked:?}");
    let kept = span(&receiver, "kv put", &call.id).await;
    assert!(!kept.failed && !format!("{kept:?}").contains("secret-key"), "{kept:?}");
    let fetched = span(&receiver, "GET", &call.id).await;
    assert_eq!(sent_with(&request), fetched.traceparent());
    assert_eq!(fetched.attribute("http.response.status_code"), "200");
    assert!(!format!("{fetched:?}").contains("hunter2"), "{fetched:?}");

    let post = format!("http {url}");
    let (_, request) =
        tokio::join!(traced(&world, "wasm", &post, KEPT), serve_once(&site, "posted"));
    let posted = span(&receiver, "POST", "").await;
    let call = receiver
        .until("the component's call", SOON, |received| {
            seen(received).into_iter().find(|span| span.id == posted.parent)
        })
        .await;
    assert_eq!((call.parent.as_str(), call.trace.as_str()), (CALLER, TRACE_ID));
    assert_eq!(
        (call.name.as_str(), call.service.as_str()),
        ("component-services", "nex-nexlet-wasm")
    );
    assert_eq!(sent_with(&request), posted.traceparent());
    let _told = traced(&world, "wasm", "publish heard", KEPT).await;
    let message = tokio::time::timeout(patience(SOON), heard.next()).await.unwrap().unwrap();
    let carried = header(&message, "traceparent").unwrap();
    receiver
        .until("the component's publish", SOON, |received| {
            seen(received).into_iter().find(|span| span.traceparent() == carried)
        })
        .await;
    world.finish().await;
}

#[tokio::test]
async fn only_traces_that_their_callers_keep_are_told_and_failures_say_why() {
    let receiver = OtlpReceiver::start().await;
    let world = world(&receiver, &[]).await;
    world.deploy("modern.mjs", MODERN, "modern").await;
    let mut heard = world.client.subscribe("heard").await.unwrap();
    world.client.flush().await.unwrap();

    let answer = traced(&world, "modern", "", DROPPED).await;
    let message = tokio::time::timeout(patience(SOON), heard.next()).await.unwrap().unwrap();
    let carried = header(&message, "traceparent").unwrap();
    assert_eq!(answer.payload, carried);
    assert!(carried.starts_with(&format!("00-{TRACE_ID}-")) && carried.ends_with("-00"));

    // What is no trace counts as none: the call begins one.
    let begun = traced(&world, "modern", "", "00-not-a-trace-01").await;
    let begun = String::from_utf8_lossy(&begun.payload).into_owned();
    let root = receiver
        .until("the call that begins a trace", SOON, |received| {
            seen(received).into_iter().find(|span| span.traceparent() == begun)
        })
        .await;
    assert_eq!(root.parent, "");
    let _failed =
        traced(&world, "modern", "throw", &KEPT.replace(CALLER, "1111111111111111")).await;
    let failed = span(&receiver, "modern", "1111111111111111").await;
    assert_eq!((failed.failed, failed.attribute("error.type")), (true, "500"), "{failed:?}");
    // All of one nexlet's spans come in the order of their ends.
    let of_dropped = seen(&receiver.received()).into_iter().find(|span| span.parent == CALLER);
    assert!(of_dropped.is_none(), "{of_dropped:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_deploy_is_one_trace_from_the_command_to_the_process() {
    let receiver = OtlpReceiver::start().await;
    let world = world(&receiver, &[]).await;
    world.file("echo.js", "(subject, payload) => payload");
    let (url, program) = (receiver.url(), echo_service().unwrap().display().to_string());
    for (arguments, last) in [
        (vec!["run", "echo.js", "--on", "js.echo", "--otlp", &url], "prepare"),
        (vec!["run", &program, "--otlp", &url], "spawn"),
    ] {
        receiver.clear();
        world.nex.ok(&arguments).await;
        let root = span(&receiver, "nex run", "").await;
        assert_eq!((root.parent.as_str(), root.service.as_str()), ("", "nex-cli"));
        let _upload = span(&receiver, "upload artifact", &root.id).await;
        let auction = span(&receiver, "auction", &root.id).await;
        assert_eq!(span(&receiver, "AUCTION", &auction.id).await.service, "nex-node");
        let deploy = span(&receiver, "deploy", &root.id).await;
        let adeploy = span(&receiver, "ADEPLOY", &deploy.id).await;
        let asked = span(&receiver, "STARTWORKLOAD", &adeploy.id).await;
        let started = span(&receiver, "STARTWORKLOAD", &asked.id).await;
        let _fetched = span(&receiver, "fetch artifact", &started.id).await;
        let done = span(&receiver, last, &started.id).await;
        assert!(done.trace == root.trace && done.service.starts_with("nex-nexlet-"), "{done:?}");
    }

    // Without a collector of its own the command is no part of it: the node's trace begins with the deploy.
    receiver.clear();
    world.nex.ok(&["run", "echo.js", "--on", "js.other", "--name", "other"]).await;
    assert_eq!(span(&receiver, "ADEPLOY", "").await.parent, "");
    world.finish().await;
}

#[tokio::test]
async fn a_collector_that_is_away_fails_nothing() {
    let mut receiver = OtlpReceiver::start().await;
    let world = world(&receiver, &[]).await;
    receiver.stop().await;
    let url = receiver.url();
    world.file("modern.mjs", MODERN);
    world.nex.ok(&["run", "modern.mjs", "--on", "modern", "--otlp", &url]).await;
    for _ in 0..20 {
        let answer = traced(&world, "modern", "", KEPT).await;
        assert!(answer.payload.starts_with(b"00-"), "{answer:?}");
    }
    // Nor does an address that is none.
    let told = world.nex.run(&["run", "modern.mjs", "--on", "modern", "--otlp", "nowhere"]).await;
    assert!(told.exits(0).stderr.contains("note: this command is not traced"));

    receiver.start_again().await;
    let once_more = KEPT.replace(CALLER, "2222222222222222");
    let _answer = traced(&world, "modern", "", &once_more).await;
    let _arrived = span(&receiver, "modern", "2222222222222222").await;
    world.finish().await;
}

#[tokio::test]
async fn the_collectors_secrets_stay_with_the_node() {
    let receiver = OtlpReceiver::start().await;
    let seat = seat().await;
    let server = NatsServer::options().start().await;
    let nex = Nex::against(&server)
        .environment("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2")
        .arguments(["--otlp", &receiver.url(), "--trace-sample", "0.5"])
        .up()
        .await;
    let client = server.client().await;
    let world = World::of(server, nex, client, seat);
    world.deploy("modern.mjs", MODERN, "modern").await;
    let _answer = traced(&world, "modern", "", KEPT).await;
    let _kept = span(&receiver, "modern", CALLER).await;
    let headers = receiver.received().headers;
    assert_eq!(headers.get("api-key").map(String::as_str), Some("hunter2"));
    let node = world.nex.id();
    for process in world.nex.processes().iter().filter(|process| process.pid != node) {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid));
        let environment = String::from_utf8_lossy(&environment.unwrap_or_default()).into_owned();
        let all = format!("{} {environment}", process.command);
        assert!(!all.contains("hunter2") && !all.contains(&receiver.url()), "{}", process.command);
    }
    world.finish().await;
}

#[tokio::test]
async fn nexlets_with_credentials_of_their_own_may_tell_the_node() {
    let (receiver, operator) = (OtlpReceiver::start().await, Operator::new());
    let world = j31_credentials::world(&operator, &["--otlp", &receiver.url()]).await;
    world.deploy("echo.js", "(subject, payload) => payload", "js.echo").await;
    let _answer = traced(&world, "js.echo", "", KEPT).await;
    let _told = span(&receiver, "echo", CALLER).await;
    world.finish().await;
}
