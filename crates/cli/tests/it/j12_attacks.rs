//! J12: functions that attack what they run in. (Throws, traps, one loop, one bomb, a large reply: `failing_calls`.)
//!
//! 1. Recursion without end, 10,000 pending promises, timers and back-tracking end with the right code,
//!    the next call works, and a neighbour answers throughout.
//! 2. A flood of log lines is cut to the function's rate, which is said.
//! 3. The process around them is locked down, and its log says so.
//! 4. Killed all the same, it is back at once.

use std::time::Duration;

use async_nats::Request;

use nex_testkit::{Signal, eventually};

use crate::guests::ECHO;
use crate::killed::process;
use crate::world::{SOON, World, error_headers, try_ask};

const ATTACKS: &str = "const attacks = {
  ok: () => 'ok',
  recursion: () => { const f = () => f() + 1; return f(); },
  promises: () => { for (let i = 0; i < 10000; i++) new Promise(() => {}); return new Promise(() => {}); },
  microtasks: () => new Promise(() => { const f = () => Promise.resolve().then(f); f(); }),
  timers: () => new Promise(() => { const f = () => { setTimeout(f, 0); setTimeout(f, 0); }; f(); }),
  expression: () => String(/^(a+)+$/.test('a'.repeat(40) + 'b')),
};
(subject, payload) => attacks[payload.text()]();
";

#[tokio::test]
async fn j12_each_attack_ends_with_its_code_and_the_next_call_works() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.file("attacks.js", ATTACKS);
    world.nex.ok(&["run", "attacks.js", "--on", "attack"]).await;
    let before = process(&world.nex, "nexlet javascript").pid;
    for (attack, codes) in [
        ("recursion", &["500"][..]),
        ("promises", &["500", "504"]),
        ("microtasks", &["504", "507"]),
        ("timers", &["500", "504", "507"]),
        ("expression", &["504"]),
    ] {
        let client = world.client.clone();
        let attacked =
            tokio::spawn(async move { try_ask(&client, "attack", attack.into()).await.unwrap() });
        while !attacked.is_finished() {
            assert_eq!(world.ask("js.echo", "x").await.payload, "x");
        }
        let (code, says) = error_headers(&attacked.await.unwrap());
        assert!(codes.contains(&code.as_str()), "{attack}: {code} {says}");
        assert_eq!(world.ask("attack", "ok").await.payload, "ok", "after {attack}");
    }
    assert_eq!(process(&world.nex, "nexlet javascript").pid, before);
    world.finish().await;
}

#[tokio::test]
async fn j12_a_flood_of_lines_is_cut_and_that_is_said() {
    let world = World::up().await;
    let mut logs = world.follow(&["logs", "flood", "-f"]).await;
    let source =
        "() => { for (let i = 0; i < 20000; i++) console.log('line ' + i); return 'done'; }";
    world.deploy("flood.js", source, "flood").await;
    assert_eq!(world.ask("flood", "").await.payload, "done");
    logs.line(SOON, |line| line == "flood: line 0").await.unwrap();
    // What was lost is told with the next line.
    eventually("the cut is told", SOON, async || {
        assert_eq!(world.ask("flood", "").await.payload, "done");
        let said = String::from_utf8_lossy(&logs.stdout()).into_owned();
        if said.contains("dropped") || said.contains("lost") { Ok(()) } else { Err("not yet") }
    })
    .await;
    drop(logs);
    world.finish().await;
}

#[tokio::test]
async fn j12_the_process_around_functions_is_locked_down() {
    let world = World::up().await;
    for kind in ["javascript", "wasm"] {
        let pid = process(&world.nex, &format!("nexlet {kind} ")).pid;
        for entry in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
            let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
            for wall in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
                assert!(status.contains(wall), "{kind}, a thread without {wall}: {status}");
            }
        }
        let log = world.nex.state_dir().join("nexlets").join(format!("{kind}.log"));
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(said.is_empty() || said.contains("locked down"), "{}: {said}", log.display());
    }
    world.finish().await;
}

#[tokio::test]
async fn j12_a_killed_nexlet_answers_again_soon() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    process(&world.nex, "nexlet javascript ").signal(Signal::SIGKILL);
    // A call that is under way in that moment is lost: nobody waits longer than this for one.
    let brief = Some(Duration::from_millis(500));
    eventually("the function answers again", SOON, async || {
        let request = Request::new().payload("again".into()).timeout(brief);
        match world.client.send_request("js.echo", request).await {
            Ok(reply) if reply.payload == "again" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    world.finish().await;
}
