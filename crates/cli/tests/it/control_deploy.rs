//! Auction, deploy and undeploy by raw requests (spec: control API, sections 4.4, 5.5, 5.6 and 13).
//!
//! 1. A bid tells schema, lifecycles and key; tags may be null.
//! 2. The start request must be JSON (check 15) and fit the schema (check 14), or is 400; an unknown type is 404.
//! 3. The same body again gets the same reply and starts nothing twice; another body on that bid is not answered.
//! 4. A failed start is the nexlet's own reply: code 100, its text, `{id, name}` (check 17).
//! 5. A bid is over after its life (check 12).
//! 6. UNDEPLOY answers within a second: stopped, or the not-found body without an error header (check 18).

use std::time::{Duration, Instant};

use nex_testkit::eventually;
use serde_json::{Value, json};

use crate::control_errors::assert_node_error;
use crate::guests::ECHO;
use crate::world::{
    SOON, World, assert_no_responders, error_headers, json_of, start_request, text, try_ask,
};

/// Takes part in an auction and returns the bid.
pub(crate) async fn bid(world: &World, kind: &str) -> String {
    text(&auction(world, kind).await, "/bidder_id")
}

async fn auction(world: &World, kind: &str) -> Value {
    let body = json!({ "agent_type": kind, "auction_id": "kTrS8s1OfB1UZJ0Kwq6mKQ", "tags": null });
    world.control_json("AUCTION", body).await
}

/// An ADEPLOY body of an echo function on one subject.
pub(crate) fn deploy_body(namespace: &str, name: &str, subject: &str) -> Value {
    let run_request = start_request(ECHO, json!({ "triggers": [subject] }));
    json!({
        "description": "", "name": name, "namespace": namespace,
        "run_request": run_request.to_string(), "tags": {},
        "workload_lifecycle": "function", "workload_type": "javascript",
    })
}

#[tokio::test]
async fn a_bid_tells_what_a_deploy_needs() {
    let world = World::up().await;
    for (kind, lifecycles) in [
        ("javascript", json!(["function"])),
        ("wasm", json!(["function"])),
        ("native", json!(["job", "service"])),
    ] {
        let bid = auction(&world, kind).await;
        assert_eq!(text(&bid, "/bidder_id").len(), 22);
        let key = text(&bid, "/xkey");
        assert!(key.len() == 56 && key.starts_with('X'), "{key}");
        let mut announced = bid["supported_lifecycles"].as_array().unwrap().clone();
        announced.sort_by_key(ToString::to_string);
        assert_eq!(Value::Array(announced), lifecycles, "{kind}");
        let schema: Value = serde_json::from_str(&text(&bid, "/start_request_schema")).unwrap();
        assert!(schema["properties"]["uri"].is_object(), "{kind}: {schema:#}");
    }
    let one = bid(&world, "javascript").await;
    assert_ne!(one, bid(&world, "javascript").await);
    world.finish().await;
}

#[tokio::test]
async fn a_start_request_that_does_not_fit_is_400_and_a_type_that_is_not_here_404() {
    let world = World::up().await;
    let subject = format!("ADEPLOY.{}", bid(&world, "javascript").await);
    let with = |run_request: &str| {
        let mut body = deploy_body("default", "x", "never");
        body["run_request"] = json!(run_request);
        body
    };
    for not_json in ["", "{", "{\"uri\":}"] {
        let reply = world.control(&subject, with(not_json)).await;
        assert_node_error(&reply, "400", "failed to unmarshal start request");
    }
    for (run_request, key) in [
        ("{}", "uri"),
        (r#"{"uri":7,"triggers":["never"]}"#, "uri"),
        (r#"{"uri":"data:,x","triggers":"never"}"#, "triggers"),
        (r#"{"uri":"data:,x","triggers":["never"],"colour":"red"}"#, "colour"),
        ("[]", "object"),
    ] {
        let reply = world.control(&subject, with(run_request)).await;
        let error = assert_node_error(&reply, "400", "failed to validate run request");
        assert!(error.contains(key), "{error}");
    }
    let mut body = deploy_body("default", "x", "never");
    body["workload_type"] = json!("nosuch");
    let error =
        assert_node_error(&world.control(&subject, body).await, "404", "workload type not found");
    assert_eq!(error, "workload type not found");
    // None of them has used up the bid.
    let started = world.control_json(&subject, deploy_body("default", "x", "x")).await;
    assert_eq!(text(&started, "/name"), "x");
    world.finish().await;
}

#[tokio::test]
async fn the_same_deploy_again_starts_nothing_twice() {
    let world = World::up().await;
    let subject = format!("ADEPLOY.{}", bid(&world, "javascript").await);
    let body = deploy_body("default", "echo", "js.echo");
    let first = world.control(&subject, &body).await;
    let started = json_of(&first);
    assert_eq!(text(&started, "/id").len(), 22);
    let again = world.control(&subject, &body).await;
    assert_eq!(again.payload, first.payload);
    assert_eq!(world.ids().await, [text(&started, "/id")]);

    let other = deploy_body("default", "other", "never");
    let request = async_nats::Request::new().payload(other.to_string().into());
    let request = request.timeout(Some(Duration::from_millis(500)));
    let subject = crate::world::control(&subject);
    let error = world.client.send_request(subject, request).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::TimedOut);
    assert_eq!(world.ids().await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn an_old_bid_is_not_answered() {
    let world = World::up().await;
    let (subject, made) = (format!("ADEPLOY.{}", bid(&world, "javascript").await), Instant::now());
    // As long as it lives, a body that is no message is 400.
    eventually("the bid is over", Duration::from_secs(14), async || {
        let replies = world.replies(&subject, "{").await;
        if replies.is_empty() { Ok(()) } else { Err(made.elapsed()) }
    })
    .await;
    assert!(made.elapsed() >= Duration::from_secs(10), "{:?}", made.elapsed());
    let late = world.replies(&subject, deploy_body("default", "x", "x")).await;
    assert!(late.is_empty(), "{late:#?}");
    world.finish().await;
}

#[tokio::test]
async fn two_deploys_of_one_bid_at_once_start_one() {
    let world = World::up().await;
    let subject = crate::world::control(&format!("ADEPLOY.{}", bid(&world, "wasm").await));
    let mut body = deploy_body("default", "r", "r");
    let source = std::fs::read_to_string(nex_testkit::example("reactor.wat")).unwrap();
    body["workload_type"] = json!("wasm");
    body["run_request"] = json!(start_request(&source, json!({ "triggers": ["r"] })).to_string());
    let body = body.to_string().into_bytes();
    let asks = (0..8).map(|_| try_ask(&world.client, &subject, body.clone()));
    let replies = futures::future::try_join_all(asks).await.unwrap();
    assert!(replies.iter().all(|reply| reply.payload == replies[0].payload), "{replies:#?}");
    assert_eq!(world.ids().await, [text(&json_of(&replies[0]), "/id")]);
    assert_eq!(world.ask("r", "x").await.payload, "x");
    world.finish().await;
}

#[tokio::test]
async fn a_failed_start_is_the_nexlet_s_own_reply() {
    let world = World::up().await;
    let subject = format!("ADEPLOY.{}", bid(&world, "javascript").await);
    let mut body = deploy_body("default", "bad", "never");
    let run_request = start_request("let x = ;", json!({ "triggers": ["never"] }));
    body["run_request"] = json!(run_request.to_string());
    let reply = world.control(&subject, body).await;
    let (code, description) = error_headers(&reply);
    assert_eq!(code, "100");
    assert!(description.contains("bad.js:1:9: SyntaxError"), "{description}");
    let told: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(text(&told, "/id").len(), 22);
    assert_eq!([text(&told, "/name"), text(&told, "/code")], ["bad", "NEX-210"]);
    assert!(text(&told, "/detail").contains("at bad.js:1:9"), "{told:#}");
    assert_eq!(world.list().await, Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn undeploy_stops_or_says_that_it_is_not_there() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let id = world.ids().await.remove(0);
    let undeploy = async |verb: String, namespace: &str| {
        let started = Instant::now();
        let reply = world.control_json(&verb, json!({ "namespace": namespace })).await;
        assert!(started.elapsed() < Duration::from_secs(3), "{verb} took {:?}", started.elapsed());
        reply
    };
    let not_found = |id: &str| json!({ "id": id, "message": "workload not found", "stopped": false, "workload_type": "" });
    assert_eq!(undeploy("UNDEPLOY.nope".to_owned(), "default").await, not_found("nope"));
    // Another namespace's is not there.
    let others = format!("$NEX.SVC.other.control.UNDEPLOY.{id}");
    assert_eq!(undeploy(others, "other").await, not_found(&id));
    assert_eq!(world.ask("js.echo", "x").await.payload, "x");

    let stopped = undeploy(format!("UNDEPLOY.{id}"), "default").await;
    let expected =
        json!({ "id": id, "message": "", "stopped": true, "workload_type": "javascript" });
    assert_eq!(stopped, expected);
    assert_no_responders(&world.client, "js.echo").await;
    // While it drains it may be stopped again; once it is gone it is not there.
    eventually("it is not there any more", SOON, async || {
        let again = undeploy(format!("UNDEPLOY.{id}"), "default").await;
        if again == not_found(&id) { Ok(()) } else { Err(again) }
    })
    .await;
    world.finish().await;
}
