//! The `traceparent` of a call: the guest sees it, and it goes on with what the guest publishes, asks and fetches.
//!
//! 1. In the modern form, in the classic one, and from a component.
//! 2. A function that sets its own keeps it; a call without one adds none.

use async_nats::{HeaderMap, Message, Subscriber};
use futures::StreamExt;
use nex_testkit::{example, patience};
use tokio::net::TcpListener;

use crate::site::serve_once;
use crate::world::{SOON, World, header};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OWN: &str = "00-11111111111111111111111111111111-2222222222222222-00";

const MODERN: &str = r#"
export default async (subject, payload, { nats, headers }) => {
  await nats.publish("heard", "publish");
  await nats.request("heard", "request", { timeout: 100 }).catch(() => {});
  await nats.requestMany("heard", "many", { timeout: 100 });
  const own = { traceparent: "OWN" };
  await nats.publish("heard", "own", { headers: own });
  if (payload.length > 0) await fetch(payload.text());
  return headers.get("traceparent") ?? "none";
};
"#;

const CLASSIC: &str = r#"
(subject, payload) => {
  const { messaging, http } = hostServices;
  messaging.publish("heard", "classic");
  http.get(payload.text());
  return "done";
}
"#;

#[tokio::test]
async fn a_trace_goes_on_with_what_a_function_publishes_and_fetches() {
    let world = World::up().await;
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = site.local_addr().unwrap().to_string();
    let url = format!("http://{host}/x");
    let mut heard = world.client.subscribe("heard").await.unwrap();
    world.client.flush().await.unwrap();
    world.file("modern.mjs", MODERN.replace("OWN", OWN));
    world.file("classic.js", CLASSIC);
    let services = example("component-services.wasm");
    for (file, subject) in
        [("modern.mjs", "modern"), ("classic.js", "classic"), (&services, "wasm")]
    {
        world.nex.ok(&["run", file, "--on", subject, "--allow-http", &host]).await;
    }

    let (answer, request) =
        tokio::join!(traced(&world, "modern", &url), serve_once(&site, "\r\n\r\n"));
    assert_eq!(answer.payload, TRACE);
    assert!(request.contains(&format!("traceparent: {TRACE}\r\n")), "{request}");
    for (what, trace) in [("publish", TRACE), ("request", TRACE), ("many", TRACE), ("own", OWN)] {
        assert_eq!(next(&mut heard).await, (what.to_owned(), Some(trace.to_owned())));
    }

    let (answer, request) =
        tokio::join!(traced(&world, "classic", &url), serve_once(&site, "\r\n\r\n"));
    assert_eq!(answer.payload, "done");
    assert!(request.contains(&format!("traceparent: {TRACE}\r\n")), "{request}");
    assert_eq!(next(&mut heard).await, ("classic".to_owned(), Some(TRACE.to_owned())));

    let post = format!("http {url}");
    let (answer, request) =
        tokio::join!(traced(&world, "wasm", &post), serve_once(&site, "posted"));
    assert_eq!(answer.payload, "200 thanks");
    assert!(request.contains(&format!("traceparent: {TRACE}\r\n")), "{request}");
    assert_eq!(traced(&world, "wasm", "publish heard").await.payload, "told");
    assert_eq!(next(&mut heard).await, ("told".to_owned(), Some(TRACE.to_owned())));

    assert_eq!(world.ask("modern", "").await.payload, "none");
    for (what, trace) in [("publish", None), ("request", None), ("many", None), ("own", Some(OWN))]
    {
        assert_eq!(next(&mut heard).await, (what.to_owned(), trace.map(str::to_owned)));
    }
    assert_eq!(world.ask("wasm", "publish heard").await.payload, "told");
    assert_eq!(next(&mut heard).await, ("told".to_owned(), None));
    world.finish().await;
}

/// One request with the trace.
async fn traced(world: &World, subject: &str, payload: &str) -> Message {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", TRACE);
    let request = async_nats::Request::new()
        .headers(headers)
        .payload(payload.to_owned().into())
        .timeout(Some(patience(SOON)));
    world.client.send_request(subject.to_owned(), request).await.unwrap()
}

/// What is heard next, and its trace.
async fn next(heard: &mut Subscriber) -> (String, Option<String>) {
    let message = tokio::time::timeout(patience(SOON), heard.next()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&message.payload).into_owned();
    (text, header(&message, "traceparent"))
}
