//! Every nexlet passes the conformance suite: ours, the example in Rust, the example in Python.
//!
//! 1. Each does so with the credentials that a Go node mints for it (spec: control API, section 7), which refuse its
//!    logs and events, and with ones that allow them.
//! 2. `nex nexlet check` starts a server of its own, tells each check, and exits 1 when one fails.
//! 3. A program that is no nexlet is told so at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nex_api::NatsConnectionData;
use nex_bus::Settings;
use nex_nexlet::conformance::{self, Options, Report, SetupError, Verdict};
use nex_testkit::{NatsServer, Nex, echo_service, example, nex_binary, python, ticker_nexlet};
use serde_json::{Value, json};

use crate::world::seat;

/// As a Go node with a signing key grants them; the triggers of samples are added.
const LIMITED: &str = r#"
no_auth_user: node
authorization { users: [
  { user: node, password: node }
  { user: agent, password: agent, permissions: {
      publish: { allow: ["$NEX.SVC.*.agent.REGISTER.*", "$NEX.SVC.*.agent.HEARTBEAT.*", "_INBOX.>"] }
      subscribe: { allow: ["$NEX.SVC.*.agent.*.STARTWORKLOAD.*", "$NEX.SVC.*.agent.*.PING", "$NEX.SVC.*.agent.PING",
        "$NEX.SVC.*.agent.STOPWORKLOAD.*", "$NEX.SVC.*.agent.GETWORKLOAD.*", "$NEX.SVC.*.agent.QUERYWORKLOADS",
        "$NEX.SVC.*.agent.SETLAMEDUCK", "$NEX.SVC.*.agent.PINGWORKLOAD.*", "$SRV.>", "_INBOX.>", "conformance.>"] }
      allow_responses: true } }
] }
"#;

/// Stands for a folder of the nexlet's own.
const FOLDER: &str = "FOLDER";

struct Subject {
    path: PathBuf,
    args: Vec<String>,
    start: Value,
    refused: Value,
}

/// Runs the suite twice, and tells what is wrong or could be better.
async fn complaints(subject: Subject) -> Vec<String> {
    let _seat = seat().await;
    let server = NatsServer::options().configuration(LIMITED).start().await;
    let node = NatsConnectionData::open(vec![server.url()]);
    let agent = NatsConnectionData {
        nats_user_name: "agent".to_owned(),
        nats_user_password: "agent".to_owned(),
        ..node.clone()
    };
    // Two nexlets share no folder.
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let with = |agent: &NatsConnectionData, folder: &tempfile::TempDir| Options {
        path: subject.path.clone(),
        args: subject
            .args
            .iter()
            .map(|arg| arg.replace(FOLDER, &folder.path().display().to_string()))
            .collect(),
        environment: BTreeMap::new(),
        node: Settings::minted(node.clone(), "nex-testkit"),
        agent: agent.clone(),
        agent_is_limited: *agent != node,
        register_type: None,
        lifecycle: None,
        start_request: subject.start.to_string(),
        refused_request: Some(subject.refused.to_string()),
    };
    let (limited, free) = (with(&agent, &folders[0]), with(&node, &folders[1]));
    let (limited, free) = futures::join!(check(&limited), check(&free));
    let (limited, free) = (limited.unwrap(), free.unwrap());
    server.assert_no_other_clients().await;
    let survives = limited.findings.iter().find(|finding| finding.check.contains("refused"));
    assert!(survives.is_some());
    [complaints_of("limited", &limited), complaints_of("free", &free)].concat()
}

/// Boxed, since the suite's future is large.
fn check(options: &Options) -> LocalBoxFuture<'_, Result<Report, SetupError>> {
    conformance::check(options, |_| {}).boxed_local()
}

fn complaints_of(with: &str, report: &Report) -> Vec<String> {
    let complain = |finding: &conformance::Finding| match &finding.verdict {
        Verdict::Failed(why) | Verdict::Advice(why) => {
            Some(format!("{with}: {}: {why}", finding.check))
        }
        Verdict::Passed | Verdict::Skipped(_) => None,
    };
    let mut complaints: Vec<String> = report.findings.iter().filter_map(complain).collect();
    if let Some(last) = complaints.last_mut() {
        last.push_str(&format!("\nit printed last:\n{}", report.output.join("\n")));
    }
    complaints
}

/// Ours, launched as the node launches them.
async fn complaints_of_ours(kind: &str, start: Value, refused: Value) -> Vec<String> {
    let allowed = echo_service().unwrap().parent().unwrap().display().to_string();
    let args = ["nexlet", kind, "--directory", FOLDER, "--allow-files", &allowed];
    let args = args.map(str::to_owned).into();
    Box::pin(complaints(Subject { path: nex_binary().unwrap(), args, start, refused })).await
}

#[tokio::test]
async fn the_javascript_nexlet_passes() {
    let start =
        json!({ "uri": "data:,(subject,payload)=>payload", "triggers": ["conformance.js"] });
    let refused = json!({ "uri": "data:,)(", "triggers": ["conformance.js"] });
    assert_none(&complaints_of_ours("javascript", start, refused).await);
}

#[tokio::test]
async fn the_wasm_nexlet_passes() {
    let wat =
        r#"(module (memory (export "memory") 1) (func (export "_start")))"#.replace(' ', "%20");
    let start = json!({ "uri": format!("data:,{wat}"), "triggers": ["conformance.wasm"] });
    let refused = json!({ "uri": "data:,(module", "triggers": ["conformance.wasm"] });
    assert_none(&complaints_of_ours("wasm", start, refused).await);
}

#[tokio::test]
async fn the_native_nexlet_passes() {
    let program = echo_service().unwrap().display().to_string();
    let start = json!({ "uri": format!("file://{program}") });
    let refused = json!({ "uri": format!("file://{program}-that-is-not-there") });
    assert_none(&complaints_of_ours("native", start, refused).await);
}

#[tokio::test]
async fn the_example_in_rust_passes() {
    let path = ticker_nexlet().unwrap();
    let start = json!({ "subject": "conformance.clock", "every": "50ms" });
    let refused = json!({ "subject": "conformance.clock", "every": "soon" });
    assert_none(&Box::pin(complaints(Subject { path, args: Vec::new(), start, refused })).await);
}

#[tokio::test]
async fn the_example_in_python_passes() {
    let Some(path) = python() else { return no_python() };
    let start = json!({ "subject": "conformance.py" });
    let refused = json!({ "subject": "$SYS.anything" });
    let args = vec![example("echo-nexlet.py")];
    let complaints = Box::pin(complaints(Subject { path, args, start, refused })).await;
    let is_known = |complaint: &String| complaint.contains("\"public_xkey\" is no curve key");
    assert!(complaints.iter().all(is_known), "{complaints:#?}");
}

#[tokio::test]
async fn the_command_tells_each_check_and_fails_with_the_first_cross() {
    let Some(python) = python() else { return no_python() };
    let nex = Nex::managed().down();
    let (python, script) = (python.display().to_string(), example("echo-nexlet.py"));
    let check = ["nexlet", "check", "--start-request", r#"{"subject":"py.echo"}"#];
    let good = nex.ok(&[&check[..], &["--", &python, &script]].concat()).await;
    let text = good.text();
    assert!(text.contains("✓ it registers under the id that it was given"), "{good}");
    assert!(text.lines().last().unwrap().contains(" 0 failed"), "{good}");

    let other = [&check[..], &["--json", "--type", "other", "--", &python, &script]].concat();
    let bad = nex.run(&other).await.exits(1);
    let findings = bad.json()["findings"].as_array().unwrap().clone();
    let crosses: Vec<&Value> = findings.iter().filter(|f| f["verdict"] == "failed").collect();
    assert_eq!(crosses.len(), 1, "{bad}");
    assert_eq!(crosses[0]["check"], "its name, type and version can be used");
    nex.assert_nothing_left().await;
}

#[tokio::test]
async fn what_is_no_nexlet_is_told_so_at_once() {
    let nex = Nex::managed().down();
    let check = ["nexlet", "check", "--start-request", "{}", "--"];
    let ended = nex.run(&[&check[..], &["true"]].concat()).await.exits(1);
    assert!(ended.text().contains("it ended before it registered: exit code 0"), "{ended}");
    let missing = nex.run(&[&check[..], &["no-such-program"]].concat()).await.exits(2);
    assert!(missing.stderr.contains("no program no-such-program"), "{missing}");
    let unreadable = ["nexlet", "check", "--start-request", "{", "--", "true"];
    let refused = nex.run(&unreadable).await.exits(2);
    assert!(refused.stderr.contains("--start-request is not JSON"), "{refused}");
    nex.assert_nothing_left().await;
}

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
pub(crate) fn no_python() {
    eprintln!(
        "SKIPPED: there is no python3 on this machine, so the nexlet in Python was not tried"
    );
}
