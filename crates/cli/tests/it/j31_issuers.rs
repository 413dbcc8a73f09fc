//! Issuers on the command line (spec: control API, sections 7, 9.2 and 13; check 33).
//!
//! 1. With an nkey, a foreign nexlet gets the pair, and functions work with it.
//! 2. Without an issuer on an authenticated server, functions work and a program's deploy warns.
//! 3. Keys that do not go together, or are none, are a usage error that shows no seed.

use nex_bus::jwt::Key;
use nex_testkit::{NatsServer, Nex, NexOptions, Operator, echo_service};
use serde_json::json;

use crate::j31_credentials::assert_no_secret;
use crate::world::{World, json_of, text};

/// A server with a user for the node and an nkey for all others.
async fn guarded(key: &Key) -> (NatsServer, String) {
    let users = format!(
        "authorization {{ users: [ {{ user: node, password: pw }}, {{ nkey: {} }} ] }}",
        key.public()
    );
    let server = NatsServer::options().configuration(&users).start().await;
    let url = server.url().replace("nats://", "nats://node:pw@");
    (server, url)
}

async fn world(server: NatsServer, url: &str, options: NexOptions) -> World {
    let caller = async_nats::ConnectOptions::new().name("nex-testkit");
    let caller = caller.user_and_password("node".to_owned(), "pw".to_owned());
    let client = caller.connect(server.url()).await.unwrap();
    World::started(server, options.environment("NATS_URL", url), client).await
}

#[tokio::test]
async fn with_an_nkey_all_share_one_identity() {
    let key = Key::user();
    let (server, url) = guarded(&key).await;
    let seed = Operator::new();
    let file = seed.file("nkey.seed", &key.seed().unwrap());
    let options = Nex::against(&server)
        .arguments(["--issuer-nkey", &key.public()])
        .arguments(["--issuer-nkey-seed", &format!("@{}", file.display())]);
    let world = world(server, &url, options).await;
    let node = world.node_id().await;
    let registration = json!({
        "description": "", "max_workloads": 0, "name": "probe", "public_xkey": "X",
        "register_type": "probe", "start_request_schema": "{}",
        "supported_lifecycles": ["service"], "version": "1.0.0",
    });
    let subject = format!("$NEX.SVC.{node}.agent.REGISTER.WvLS2fm0rYuHFVcv9jR5gk");
    let reply = json_of(&world.ask(&subject, registration.to_string()).await);
    assert_eq!(text(&reply, "/connection_data/nats_user_nkey"), key.public());
    assert_eq!(text(&reply, "/connection_data/nats_user_seed"), key.seed().unwrap());
    world.deploy("echo.js", "export default (s, p) => p", "js.echo").await;
    world.until_answered("js.echo", "hello", "hello").await;
    world.finish().await;
}

#[tokio::test]
async fn without_an_issuer_a_program_on_an_authenticated_server_is_warned_of() {
    let (server, url) = guarded(&Key::user()).await;
    let options = Nex::against(&server);
    let world = world(server, &url, options).await;
    world.deploy("echo.js", "export default (s, p) => p", "js.echo").await;
    world.until_answered("js.echo", "hello", "hello").await;
    let service = echo_service().unwrap().display().to_string();
    let output = world.nex.run(&["run", &service, "--name", "locked-out"]).await;
    assert!(output.stderr.contains("no issuer is configured"), "{output}");
    world.finish().await;
}

#[tokio::test]
async fn keys_that_cannot_issue_are_a_usage_error() {
    let nex = Nex::managed().down();
    let (user, account) = (Key::user(), Key::account());
    let (user_seed, account_seed) = (user.seed().unwrap(), account.seed().unwrap());
    let (user, account) = (user.public(), account.public());
    let cases: [(&[&str], &str); 5] = [
        (&["--issuer-nkey", &user], "given together"),
        (&["--issuer-signing-key", &account_seed], "given together"),
        (
            &["--issuer-nkey", &account, "--issuer-nkey-seed", &user_seed],
            "does not belong to its seed",
        ),
        (
            &["--issuer-signing-key", &user_seed, "--issuer-signing-key-root-account", "A"],
            "signing key",
        ),
        (&["--policy", "nowhere.json"], "nowhere.json"),
    ];
    for (flags, says) in cases {
        let output = nex.run(&[&["up"], flags].concat()).await.exits(2);
        assert!(output.stderr.contains(says), "no {says:?} in {output}");
        assert_no_secret(&output.stderr);
    }
    nex.assert_nothing_left().await;
}
