//! J18, the other services: a component that imports objects, messages and HTTP has those of its host.
//!
//! 1. Objects are put and read whole and in pieces, listed, and outlive the function.
//! 2. It asks for one answer and for many; it posts to a host that is allowed.
//! 3. What is denied is refused by the interface's own error.

use nex_testkit::example;
use tokio::net::TcpListener;

use crate::site::serve_once;
use crate::world::{World, error_headers};

#[tokio::test]
async fn j18_a_component_has_the_services_of_its_host() {
    let world = World::up().await;
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = site.local_addr().unwrap().to_string();
    world.deploy("upper.js", "(subject, payload) => payload.text().toUpperCase()", "upper").await;
    let services = example("component-services.wasm");
    world.nex.ok(&["run", &services, "--on", "services", "--allow-http", &host]).await;

    assert_eq!(world.ask("services", "objects hello").await.payload, "hello hello 5 pieces");
    assert_eq!(world.ask("services", "messages upper").await.payload, "ONE 1");
    let post = format!("http http://{host}/hook");
    let (answer, request) = tokio::join!(world.ask("services", post), serve_once(&site, "posted"));
    assert_eq!(answer.payload, "200 thanks", "{answer:?}");
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");

    for (asks, says) in [
        ("publish $NEX.x", "$*.>"),
        ("publish _INBOX.x", "_INBOX.>"),
        ("messages nobody", "NoAnswer"),
        ("http http://127.0.0.1:9/", "HttpRequestDenied"),
    ] {
        let (code, error) = error_headers(&world.ask("services", asks).await);
        assert_eq!(code, "500");
        assert!(error.contains(says), "{asks}: {error}");
    }

    world.nex.ok(&["stop", "component-services"]).await;
    let buckets = world.nex.ok(&["buckets"]).await.text();
    assert!(buckets.contains("hs_default_component-services_obj"), "{buckets}");
    world.finish().await;
}
