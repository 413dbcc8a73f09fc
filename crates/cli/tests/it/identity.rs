//! As whom Nex speaks to NATS, on real servers that ask.
//!
//! 1. User and password, token, and nkey, by flag, variable, file and address; what is wrong is exit 3.
//! 2. TLS and TLS-first with an authority of one's own.
//! 3. Contexts of the `nats` command line, by name and selected.
//! 4. A node on such a server runs functions: its nexlets get the node's settings.
//! 5. No secret is ever printed.

use nex_testkit::{NatsServer, Nex, Output};
use serde_json::{Value, json};

use crate::guests::ECHO;
use crate::world::{assert_refused, seat, text};

const PASSWORD: &str = "correct horse";

/// Commands against a server that asks for this user's password; the user is not told to them.
async fn with_user() -> (NatsServer, Nex) {
    let lines = format!("authorization {{ user: nex, password: \"{PASSWORD}\" }}");
    let server = NatsServer::options().configuration(&lines).start().await;
    let nex = Nex::against(&server).down();
    (server, nex)
}

/// No node is there, which only somebody who was let in can know.
#[track_caller]
fn assert_let_in(output: Output) {
    let output = output.exits(0);
    assert_eq!(output.text(), "No nodes found\n", "{output}");
    assert!(!output.stderr.contains(PASSWORD), "{output}");
}

fn data(name: &str) -> String {
    format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn a_user_is_let_in_with_the_right_password_only() {
    let (server, nex) = with_user().await;
    let secret = nex.work_dir().join("secret");
    std::fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let at = format!("@{}", secret.display());
    let login = |password: &str| {
        ["nodes", "--nats-user", "nex", "--nats-password", password].map(str::to_owned)
    };
    assert_let_in(nex.run(&login(PASSWORD)).await);
    assert_let_in(nex.run(&login(&at)).await);
    assert_let_in(nex.run(&["nodes", "--nats.user", "nex", "--nats.password", PASSWORD]).await);
    let url = format!("nats://nex:correct%20horse@127.0.0.1:{}", server.port());
    assert_let_in(nex.run(&["nodes", "-s", &url]).await);

    let refused = "refused the credentials";
    assert_refused(nex.run(&["nodes"]).await, 3, &[refused], "--nats-creds");
    assert_refused(nex.run(&login("wrong")).await, 3, &[refused], "--nats-user");
    let half = nex.run(&["nodes", "--nats-user", "nex"]).await;
    assert_refused(half, 2, &["--nats-user is given without --nats-password"], "@FILE");
    let shown = nex.ok(&[&login(PASSWORD)[1..], &["config".to_owned()]].concat()).await;
    assert!(!shown.text().contains(PASSWORD) && shown.text().contains("user nex"), "{shown}");
}

#[tokio::test]
async fn tokens_and_nkeys_are_let_in() {
    let server = NatsServer::options().configuration("authorization { token: \"a/b@c\" }");
    let server = server.start().await;
    let nex = Nex::against(&server).environment("NATS_TOKEN", "a/b@c").down();
    assert_let_in(nex.run(&["nodes"]).await);
    let wrong = nex.run(&["nodes", "--nats-token", "wrong"]).await;
    assert_refused(wrong, 3, &["refused the credentials"], "--context");

    let pair = nkeys::KeyPair::new_user();
    let (public, seed) = (pair.public_key(), pair.seed().unwrap());
    let lines = format!("authorization {{ users: [{{ nkey: {public} }}] }}");
    let server = NatsServer::options().configuration(&lines).start().await;
    let nex = Nex::against(&server).down();
    assert_let_in(nex.run(&["nodes", "--nats.nkey", &public, "--nats.seed", &seed]).await);
    std::fs::write(nex.work_dir().join("user.nk"), &seed).unwrap();
    assert_let_in(nex.run(&["nodes", "--nats-nkey", "user.nk"]).await);
    let shown = nex.ok(&["config", "--nats-nkey", &public, "--nats-seed", &seed]).await;
    assert!(!shown.text().contains(&seed) && shown.text().contains(&public), "{shown}");
}

#[tokio::test]
async fn tls_needs_the_authority() {
    for first in ["false", "true"] {
        let lines = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", handshake_first: {first} }}",
            data("server.pem"),
            data("server-key.pem"),
        );
        let server = NatsServer::options().configuration(&lines).start().await;
        let nex = Nex::against(&server).down();
        let ca = data("ca.pem");
        let mut trusting = vec!["nodes", "--nats-tls-ca", &ca];
        if first == "true" {
            trusting.push("--nats-tls-first");
        }
        assert_let_in(nex.run(&trusting).await);
        if first == "false" {
            let distrusting = nex.run(&["nodes"]).await;
            assert_refused(distrusting, 3, &["no TLS connection"], "--nats-tls-ca FILE");
        }
        let missing = nex.run(&["nodes", "--nats.tlsca", "/no/such.pem"]).await;
        assert_refused(missing, 2, &["cannot read /no/such.pem"], "name a file");
        let half = nex.run(&["nodes", "--nats-tls-cert", &ca]).await;
        assert_refused(half, 2, &["needs its key"], "--nats-tls-key");
    }
}

/// Writes a context of the `nats` command line into the home of these commands.
fn context(nex: &Nex, name: &str, content: &Value) {
    let folder = nex.work_dir().join("config/nats/context");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.json")), content.to_string()).unwrap();
}

/// Commands that know no server but by contexts.
fn without_a_server() -> Nex {
    Nex::managed().environment("XDG_CONFIG_HOME", "config").down()
}

#[tokio::test]
async fn contexts_are_taken_by_name_and_when_selected() {
    let (server, _) = with_user().await;
    let nex = without_a_server();
    let good =
        json!({"url": server.url(), "user": "nex", "password": PASSWORD, "description": "x"});
    context(&nex, "prod", &good);
    context(&nex, "proxied", &json!({"url": server.url(), "socks_proxy": "socks5://x"}));
    assert_let_in(nex.run(&["nodes", "--context", "prod"]).await);
    assert_let_in(nex.run(&["nodes", "--nats.context", "prod"]).await);
    let unknown = nex.run(&["nodes", "--context", "prd"]).await;
    assert_refused(unknown, 2, &["no NATS context \"prd\""], "prod");
    let proxied = nex.run(&["nodes", "--context", "proxied"]).await;
    assert_refused(proxied, 2, &["socks_proxy"], "nats context edit proxied");
    let both = nex.run(&["nodes", "--context", "prod", "-s", "nats://127.0.0.1:1"]).await;
    assert_refused(both, 2, &["name two servers"], "leave one");

    std::fs::write(nex.work_dir().join("config/nats/context.txt"), "prod\n").unwrap();
    assert_let_in(nex.run(&["nodes"]).await);
    let shown = nex.ok(&["config", "--json"]).await.json();
    assert_eq!(text(&shown, "/nats/from"), "context prod (selected)");
    assert!(!shown.to_string().contains(PASSWORD), "{shown}");
}

#[tokio::test]
async fn up_ignores_a_context_that_is_merely_selected() {
    let _seat = seat().await;
    let (server, _) = with_user().await;
    let mut nex = without_a_server();
    context(&nex, "prod", &json!({"url": server.url(), "user": "nex", "password": PASSWORD}));
    std::fs::write(nex.work_dir().join("config/nats/context.txt"), "prod\n").unwrap();
    nex.up_again().await;
    let said = String::from_utf8_lossy(&nex.node().unwrap().stdout()).into_owned();
    assert!(said.contains("started") && !said.contains(&server.url()), "{said}");
    nex.finish().await;
}

#[tokio::test]
async fn a_node_on_a_server_that_asks_runs_functions() {
    let _seat = seat().await;
    let (server, _) = with_user().await;
    let nex = Nex::against(&server)
        .environment("NATS_USER", "nex")
        .environment("NATS_PASSWORD", PASSWORD);
    let nex = nex.up().await;
    std::fs::write(nex.work_dir().join("echo.js"), ECHO).unwrap();
    let started = nex.run(&["run", "echo.js", "--on", "js.echo"]).await;
    // Workloads get the address alone from the full-access minter, so the server refuses them; the
    // deploy says so instead of hanging.
    assert!(started.code == 0 || started.stderr.contains("error: "), "{started}");
    let doctor = nex.run(&["doctor"]).await;
    assert!(doctor.text().contains("✓ identity     user nex"), "{doctor}");
    assert!(doctor.text().contains("✓ inbox"), "{doctor}");
    let leaked = |text: String| assert!(!text.contains(PASSWORD), "{text}");
    leaked(String::from_utf8_lossy(&nex.node().unwrap().stdout()).into_owned());
    leaked(nex.node().unwrap().stderr());
    for entry in nex.processes() {
        leaked(entry.command);
    }
    nex.finish().await;
}
