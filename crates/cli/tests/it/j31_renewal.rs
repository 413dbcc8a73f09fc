//! J31, continued: what lives for a day lives on, since it is renewed. Here a day takes four seconds.
//!
//! 1. Calls are answered while every credential expires again and again; nexlets stay healthy, deploys work.
//! 2. A program finds its credentials in a file of its own, which is replaced as a whole.
//! 3. Credentials that expired while the node was away are replaced when it is back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use async_nats::Client;
use futures::StreamExt;
use nex_testkit::{Operator, eventually, patience};

use crate::j31_credentials::{assert_no_secret, world};
use crate::world::{SOON, World};

const LIFE: [&str; 2] = ["--issuer-lifetime", "4s"];
/// Every credential expires more than twice meanwhile.
const OBSERVED: Duration = Duration::from_secs(12);
/// A call that meets the moment of a reconnect may be lost; one that is made after it is not.
const LONGEST_GAP: Duration = Duration::from_secs(2);

#[tokio::test]
async fn j31_calls_are_answered_while_credentials_expire() {
    let operator = Operator::new();
    let world = world(&operator, &LIFE).await;
    world.deploy("echo.js", "export default (s, p) => p;", "js.echo").await;
    world.until_answered("js.echo", "hello", "hello").await;
    world.nex.ok(&["run", &sleeper(&world)]).await;
    let file = creds_file(&world).await;

    let (began, mut versions) = (Instant::now(), vec![read(&file)]);
    let (mut calls, mut gaps) = (0, 0);
    while began.elapsed() < OBSERVED {
        gaps += usize::from(until_echoed(&world.client).await > 0);
        calls += 1;
        let version = read(&file);
        if versions.last() != Some(&version) {
            versions.push(version);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{calls} calls answered, {gaps} gaps; the file had {} versions", versions.len());
    assert!(versions.len() >= 4, "renewed too seldom: {}", versions.len());
    assert!(gaps <= 6, "{gaps} times a call was lost");

    assert_works_with(&world, versions.last().unwrap()).await;
    assert_healthy(&world).await;
    world.deploy("late.js", "export default () => 'late';", "js.late").await;
    world.until_answered("js.late", "", "late").await;
    assert_eq!(world.ids().await.len(), 3);
    let info = world.nex.ok(&["info", "echo"]).await;
    let node = world.nex.node().unwrap();
    for said in [info.text(), node.stderr(), String::from_utf8_lossy(&node.stdout()).into_owned()] {
        assert_no_secret(&said);
    }
    world.finish().await;
}

#[tokio::test]
async fn j31_credentials_that_expired_while_the_node_was_away_are_replaced() {
    let operator = Operator::new();
    let mut world = world(&operator, &LIFE).await;
    world.deploy("echo.js", "export default (s, p) => p;", "js.echo").await;
    world.until_answered("js.echo", "hello", "hello").await;
    world.nex.kill9().await;
    eventually("the function's credentials expire", SOON, async || {
        match echo(&world.client).await {
            Err(_) => Ok(()),
            Ok(()) => Err("still answered"),
        }
    })
    .await;
    world.nex.up_again().await;
    world.until_answered("js.echo", "hello", "hello").await;
    assert_healthy(&world).await;
    assert_eq!(world.ids().await.len(), 1);
    world.finish().await;
}

/// A static program that does nothing.
fn sleeper(world: &World) -> String {
    let source = world.nex.work_dir().join("sleeper.c");
    fs::write(&source, "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n").unwrap();
    let program = world.nex.work_dir().join("sleeper");
    let done = Command::new("cc").arg("-static").arg("-o").arg(&program).arg(&source).output();
    let done = done.expect("the tests need a C compiler named cc");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    program.display().to_string()
}

/// The file of the program's credentials, as the program is told, seen from outside of its box.
async fn creds_file(world: &World) -> PathBuf {
    let program = crate::killed::program(&world.nex, "sleeper").pid;
    let environment = format!("/proc/{program}/environ");
    let environment = String::from_utf8(fs::read(environment).unwrap()).unwrap();
    let told = environment.split('\0').find_map(|variable| variable.strip_prefix("NATS_CREDS="));
    let told = told.expect("NATS_CREDS");
    let file = PathBuf::from(format!("/proc/{program}/root{told}"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    file
}

/// The whole file, whenever it is looked at.
fn read(file: &PathBuf) -> String {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.ends_with("------END USER NKEY SEED------\n"), "half a file");
    text
}

async fn assert_works_with(world: &World, creds: &str) {
    let program = world.server.client_with(creds).await;
    let mut heard = world.client.subscribe("out.x").await.unwrap();
    world.server.until_subscribed("out.x").await;
    program.publish("out.x", "mine".into()).await.unwrap();
    assert_eq!(heard.next().await.unwrap().payload, "mine");
}

/// Calls until there is an answer; how many calls were lost before.
async fn until_echoed(client: &Client) -> usize {
    let began = Instant::now();
    let mut lost = 0;
    while let Err(error) = echo(client).await {
        lost += 1;
        assert!(began.elapsed() < patience(LONGEST_GAP), "{lost} calls in a row: {error}");
    }
    lost
}

async fn echo(client: &Client) -> Result<(), String> {
    let request = async_nats::Request::new().payload("x".into());
    let request = request.timeout(Some(Duration::from_millis(500)));
    let reply = client.send_request("js.echo", request).await.map_err(|e| e.to_string())?;
    assert_eq!(reply.payload, "x", "{reply:?}");
    Ok(())
}

async fn assert_healthy(world: &World) {
    let node = world.node_id().await;
    let subject = format!("$NEX.SVC.system.control.INFO.{node}");
    eventually("all nexlets are healthy", SOON, async || {
        let info = world.control_json(&subject, "").await;
        let agents = info["node_agent_summaries"].as_array().cloned().unwrap_or_default();
        let healthy = agents.iter().filter(|agent| agent["agent_health"] == "healthy").count();
        if healthy == 3 { Ok(()) } else { Err(info) }
    })
    .await;
}
