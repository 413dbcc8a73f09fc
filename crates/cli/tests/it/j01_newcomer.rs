//! J1: a newcomer's first command.
//!
//! 1. NATS, node and nexlets are up, with nothing there before.
//! 2. A script, an ES module, a wasm command and a static service are deployed, called and listed.
//! 3. Everything stops, and nothing is left.

use nex_testkit::{Nex, echo_service, eventually, example};

use crate::world::{SOON, assert_no_responders, seat, try_ask};

const NAMES: [&str; 4] = ["echo", "greet", "wasm-echo", "echo-service"];
const SUBJECTS: [&str; 4] = ["js.echo", "greet", "wasm.echo", "svc.echo"];

#[tokio::test]
async fn j01_everything_is_started_deployed_called_listed_and_stopped() {
    let _seat = seat().await;
    let nex = Nex::up_managed().await;
    let printed = String::from_utf8(nex.node().unwrap().stdout()).unwrap();
    for says in ["nats     nats://127.0.0.1:", "javascript", "wasm", "native", "nex run echo.js"] {
        assert!(printed.contains(says), "no {says:?} in:\n{printed}");
    }

    deploy_all(&nex).await;
    call_all(&nex).await;
    let list = nex.ok(&["ls"]).await.text();
    assert_eq!(list.lines().count(), 1 + NAMES.len(), "{list}");
    for name in NAMES {
        assert!(list.contains(name), "no {name} in:\n{list}");
    }
    assert_eq!(nex.ok(&["nodes"]).await.text().lines().count(), 2);

    nex.ok(&[&["stop"], &NAMES[..]].concat()).await;
    let client = nex.client().await;
    for subject in SUBJECTS {
        assert_no_responders(&client, subject).await;
    }
    assert_eq!(nex.ok(&["ls"]).await.text(), "No workloads found in namespace default\n");

    let record = nex.state_dir().join("nats/record.json");
    assert!(record.is_file());
    drop(client);
    let mut nex = nex;
    nex.terminate().await;
    assert!(!record.exists(), "the managed server was ended, so it is not on record");
    nex.finish().await;
}

async fn deploy_all(nex: &Nex) {
    let service = echo_service().unwrap().display().to_string();
    let echo = nex.ok(&["run", &example("echo.js"), "--on", "js.echo"]).await.text();
    for says in ["✓ uploaded echo.js", "NEXCLIFILES", "✓ echo deployed as javascript function"]
    {
        assert!(echo.contains(says), "no {says:?} in:\n{echo}");
    }
    for says in ["nats req js.echo 'hello'", "nex call echo 'hello'", "nex stop echo"] {
        assert!(echo.contains(says), "no {says:?} in:\n{echo}");
    }
    nex.ok(&["run", &example("greet.mjs"), "--on", "greet"]).await;
    nex.ok(&["run", &example("wasm-echo.wasm"), "--on", "wasm.echo"]).await;
    nex.ok(&["run", &service]).await;
}

async fn call_all(nex: &Nex) {
    let client = nex.client().await;
    let greeting = r#"{"greeting":"Hello, Ada!","subject":"greet"}"#;
    for (subject, payload, expected) in [
        ("js.echo", "hello", "hello"),
        ("greet", r#"{"name":"Ada"}"#, greeting),
        ("wasm.echo", "hello", "hellowasm.echo"),
    ] {
        let reply = try_ask(&client, subject, payload.into()).await.unwrap();
        assert_eq!(reply.payload, expected);
        assert_eq!(nex.ok(&["call", subject, payload]).await.text(), expected);
    }
    // A service answers as soon as it has connected, which is its own affair.
    let served = eventually("the service answers", SOON, async || {
        try_ask(&client, "svc.echo", b"hello".to_vec()).await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(served.payload, "hello");
}
