//! J34 on the default set-up: the managed server's two accounts.
//!
//! 1. Who has no credentials calls functions, and finds no responders for the control plane.
//! 2. `_INBOX.>` and `>` show it no traffic of node, nexlets or CLI.
//! 3. The seed of the control plane is its owner's alone, and the context file names it.
//! 4. Other credentials than the server's own are refused, not left without effect.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures::StreamExt;
use nex_testkit::Nex;
use serde_json::Value;

use crate::j31_credentials::assert_no_secret;
use crate::world::{assert_no_responders, assert_refused, seat, text, try_ask};

#[tokio::test]
async fn j34_a_program_without_credentials_does_not_reach_the_control_plane() {
    let _seat = seat().await;
    let nex = Nex::up_managed().await;
    let anybody = nex.client().await;
    let mut inboxes = anybody.subscribe("_INBOX.>").await.unwrap();
    let mut all = anybody.subscribe(">").await.unwrap();
    anybody.flush().await.unwrap();

    std::fs::write(nex.work_dir().join("echo.js"), "export default (s, p) => p").unwrap();
    nex.ok(&["run", "echo.js", "--on", "js.echo"]).await;
    assert_eq!(nex.ok(&["call", "echo", "hello"]).await.text(), "hello");
    let nodes = nex.ok(&["nodes", "--json"]).await.json();
    let node = text(&nodes, "/0/node_id");
    let agent =
        text(&nex.ok(&["info", &node, "--json"]).await.json(), "/node_agent_summaries/0/agent_id");
    assert_eq!(try_ask(&anybody, "js.echo", b"plain".to_vec()).await.unwrap().payload, "plain");
    while let Some(message) = next(&mut all).await {
        let subject = message.subject.as_str();
        assert!(!subject.starts_with("$NEX") && !subject.starts_with("_INBOX.NEX"), "{message:?}");
    }
    while let Some(message) = next(&mut inboxes).await {
        assert_eq!(message.payload, "plain", "only what the program asked for itself: {message:?}");
    }
    // They hear the program's own requests and what the server says to them, and would be in the way.
    all.unsubscribe().await.unwrap();
    inboxes.unsubscribe().await.unwrap();
    for subject in [
        "$NEX.SVC.default.control.AUCTION".to_owned(),
        "$NEX.SVC.default.control.ADEPLOY.WvLS2fm0rYuHFVcv9jR5lm".to_owned(),
        format!("$NEX.SVC.{node}.agent.REGISTER.{agent}"),
        "$SRV.PING".to_owned(),
    ] {
        assert_no_responders(&anybody, &subject).await;
    }
    drop(anybody);
    let typed = nex.run(&["nodes", "--nats-user", "ann", "--nats-password", "secret"]).await;
    assert_refused(typed, 2, &["--nats-user is for a server that is named"], "--nats-url");
    nex.finish().await;
}

/// The next message of those that are there already.
async fn next(subscription: &mut async_nats::Subscriber) -> Option<async_nats::Message> {
    let bound = Duration::from_millis(300);
    tokio::time::timeout(bound, subscription.next()).await.ok().flatten()
}

#[tokio::test]
async fn j34_the_context_leads_to_the_control_plane() {
    let _seat = seat().await;
    let nex = Nex::up_managed().await;
    let context = std::fs::read(nex.state_dir().join("nats/context/nex.json")).unwrap();
    assert_no_secret(&String::from_utf8_lossy(&context));
    let context: Value = serde_json::from_slice(&context).unwrap();
    let seed = std::path::PathBuf::from(text(&context, "/nkey"));
    let mode = std::fs::metadata(&seed).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    let seed = std::fs::read_to_string(seed).unwrap();
    let options = async_nats::ConnectOptions::with_nkey(seed);
    let control = options.connect(text(&context, "/url")).await.unwrap();
    let pong = try_ask(&control, "$NEX.SVC.system.control.PING", b"{\"filter\":{}}".to_vec()).await;
    assert!(!text(&serde_json::from_slice(&pong.unwrap().payload).unwrap(), "/node_id").is_empty());
    drop(control);
    nex.finish().await;
}
