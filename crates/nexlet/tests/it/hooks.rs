//! What a nexlet may have besides workloads: ingress and an ear for events.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use nex_api::{encode, subject};
use nex_nexlet::{DescriptionError, Ingress, RunError};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::played::{Played, SOON, json_of, next};
use crate::toy::{AGENT, Ear, NODE, Toy};

#[tokio::test]
async fn a_name_that_no_service_may_have_is_told_to_nobody() {
    let toy = Toy { name: Some("a toy"), ..Toy::default() };
    let (played, mut registrations) = Played::launch(toy).await;
    let error = played.life.await.unwrap().unwrap_err();
    let name = DescriptionError::Name("a toy".to_owned());
    assert!(matches!(&error, RunError::Description(why) if *why == name), "{error}");
    let told = tokio::time::timeout(Duration::from_millis(200), registrations.next()).await;
    assert!(told.is_err(), "{told:?}");
}

#[tokio::test]
async fn a_nexlet_with_both_hooks_serves_both() {
    let (ear, mut heard) = mpsc::unbounded_channel();
    let ingress = Ingress { nexus: "lab".to_owned(), host: "192.0.2.7".to_owned() };
    let listener = Some(Arc::new(Ear(ear)));
    let played = Played::welcome(Toy { ingress: Some(ingress), listener, ..Toy::default() }).await;

    let info = json_of(&played.ask("$SRV.INFO.toy".to_owned(), "").await);
    let endpoints = info["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 9);
    for (name, subject) in [
        ("WorkloadDiscovery", subject::ping_workload("lab", "*")),
        ("EventListener", subject::agent_events(AGENT)),
    ] {
        let endpoint = endpoints.iter().find(|endpoint| endpoint["name"] == name).unwrap();
        assert_eq!([&endpoint["subject"], &endpoint["queue_group"]], [subject.as_str(), AGENT]);
    }

    let mut announced = played.feed(&subject::event(AGENT, "INGRESS")).await;
    played.start("plain", "plain").await;
    played.start("w", "web").await;
    let add = json!({ "command": "add", "upstream": "192.0.2.7:8080", "workload_id": "w" });
    assert_eq!(next(&mut announced).await, add, "what has no port is not announced");
    let found = played.ask(subject::ping_workload("lab", "plain"), "").await;
    assert_eq!(json_of(&found), json!({ "node_id": NODE }));
    let stop = encode(&json!({ "namespace": "default" }));
    played.ask(subject::agents(NODE, "STOPWORKLOAD.w"), stop).await;
    let remove = json!({ "command": "remove", "upstream": "", "workload_id": "w" });
    assert_eq!(next(&mut announced).await, remove);

    played.client.publish(subject::agent_events(AGENT), "\u{0}anything".into()).await.unwrap();
    let event = tokio::time::timeout(SOON, heard.recv()).await.unwrap().unwrap();
    assert_eq!(event, "\u{0}anything");
    let reply = played.ask(subject::agent_events(AGENT), "asked").await;
    assert_eq!((reply.payload.len(), reply.headers), (0, None), "who asks gets an answer");
    played.life.abort();
}

#[tokio::test]
async fn a_nexlet_without_hooks_has_seven_endpoints() {
    let played = Played::welcome(Toy::default()).await;
    let info = json_of(&played.ask("$SRV.INFO.toy".to_owned(), "").await);
    let endpoints = info["endpoints"].as_array().unwrap();
    let named = |name: &str| endpoints.iter().any(|endpoint| endpoint["name"] == name);
    assert_eq!(endpoints.len(), 7);
    assert!(!named("WorkloadDiscovery") && !named("EventListener"), "{endpoints:#?}");
    assert_eq!(info["metadata"], Value::Object(serde_json::Map::new()));
    assert_eq!(played.toy.slow_starts.load(Ordering::Acquire), 0);
    played.life.abort();
}
