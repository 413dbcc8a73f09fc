//! J41: 64 endless loops, 64 memory bombs and a module that takes minutes to compile, at once.
//!
//! 1. The module is refused, and the refusal names the limit that it met.
//! 2. The loops end with 504, the bombs with 507 or, past the nexlets' budget, with 429 that names it.
//! 3. Meanwhile others are answered, the node is not degraded, and no nexlet is killed or replaced.
//! 4. A module that is in the cache is deployed meanwhile.

use std::time::{Duration, Instant};

use nex_testkit::NatsServer;
use serde_json::json;

use crate::guests::{ECHO, LOOP, MEMORY_BOMB};
use crate::killed::process;
use crate::world::{World, error_headers, text, try_ask};

const N: usize = 64;
/// The compile helper gives up before.
const COMPILED: Duration = Duration::from_secs(90);

#[tokio::test]
async fn j41_attackers_of_every_kind_at_once_disturb_nobody() {
    let world = World::with(NatsServer::options(), &["--functions-memory", "1GiB"]).await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let reactor =
        std::fs::read_to_string(nex_testkit::root().join("examples/reactor.wat")).unwrap();
    world.deploy("cached.wat", &reactor, "wasm.echo").await;
    let limits = json!({ "triggers": ["loop"], "limits": { "timeout": "4s" } });
    let _started = world.start("loop", LOOP, limits).await.exits(0);
    world.deploy("bomb.js", MEMORY_BOMB, "bomb").await;
    world.file("dear.wasm", dear_module());
    let pids =
        || ["javascript", "wasm"].map(|it| process(&world.nex, &format!("nexlet {it} ")).pid);
    let before = pids();

    let ask = |subject: &'static str| {
        let client = world.client.clone();
        tokio::spawn(async move { try_ask(&client, subject, b"x".to_vec()).await })
    };
    let attacks: Vec<_> = (0..N).flat_map(|_| [ask("loop"), ask("bomb")]).collect();
    // Its compilation may take as long as an ordinary command at most.
    let mut dear = world.nex.spawn(&["run", "dear.wasm", "--on", "dear"]);
    let refused = async {
        let status = dear.exit(COMPILED).await.unwrap();
        (status.code(), dear.stderr())
    };
    let others = async {
        let mut slowest = Duration::ZERO;
        let mut n = 0;
        while !attacks.iter().all(tokio::task::JoinHandle::is_finished) {
            let asked = Instant::now();
            assert_eq!(world.ask("js.echo", "x").await.payload, "x");
            assert_eq!(world.ask("wasm.echo", "y").await.payload, "y");
            slowest = slowest.max(asked.elapsed());
            n += 1;
        }
        println!("{n} others, the slowest pair took {slowest:?}");
        world.deploy("again.wat", &reactor, "wasm.again").await;
        assert_eq!(world.ask("wasm.again", "z").await.payload, "z");
        attacks
    };
    let ((code, says), attacks) = tokio::join!(refused, others);
    assert_eq!(code, Some(1), "{says}");
    assert!(says.contains("to compile, which is the limit"), "{says}");
    let mut codes: Vec<String> = Vec::new();
    for attack in attacks {
        codes.push(error_headers(&attack.await.unwrap().unwrap()).0);
    }
    for pair in codes.chunks(2) {
        assert_eq!(pair[0], "504", "{codes:?}");
        assert!(["507", "429", "504"].contains(&pair[1].as_str()), "{codes:?}");
    }
    assert_eq!(pids(), before, "no nexlet was replaced");
    let node = world.node_id().await;
    let info = world.control_json(&format!("$NEX.SVC.system.control.INFO.{node}"), "").await;
    for agent in info["node_agent_summaries"].as_array().unwrap() {
        assert_eq!(text(agent, "/agent_health"), "healthy", "{info:#}");
    }
    assert_eq!(world.ask("bomb", "ok").await.payload, "ok");
    world.finish().await;
}

/// A valid module of functions in each of which many jump tables lead to as many blocks: every local
/// lives in every block, and the edges between them are counted by the million.
fn dear_module() -> Vec<u8> {
    const DEPTH: u32 = 900;
    const LOCALS: u32 = 60;
    let mut body = vec![1];
    leb(&mut body, LOCALS);
    body.push(0x7f);
    for _ in 0..DEPTH {
        body.extend([0x02, 0x40]);
    }
    for jump in 0..10 {
        for local in 0..LOCALS {
            body.push(0x20);
            leb(&mut body, 4 + (local + jump) % LOCALS);
            body.push(0x41);
            leb(&mut body, local % 60);
            body.push(0x6a);
            body.push(0x21);
            leb(&mut body, 4 + local);
        }
        // Taken only if the first parameter says so, so that what follows is reached.
        body.extend([0x02, 0x40, 0x20, 0, 0x0d, 0, 0x20, 1, 0x0e]);
        leb(&mut body, DEPTH);
        for target in 1..=DEPTH {
            leb(&mut body, target);
        }
        leb(&mut body, 1);
        body.push(0x0b);
    }
    // After each block a local is used, so that all of them are alive wherever a jump can lead.
    for block in 0..DEPTH {
        let (one, other) = (4 + block % LOCALS, 4 + (block * 7 + 1) % LOCALS);
        body.extend([0x0b, 0x20]);
        leb(&mut body, one);
        body.push(0x20);
        leb(&mut body, other);
        body.extend([0x6a, 0x21]);
        leb(&mut body, one);
    }
    body.extend([0x42, 0]);
    for local in 0..LOCALS {
        body.push(0x20);
        leb(&mut body, 4 + local);
        body.extend([0xad, 0x7c]);
    }
    body.push(0x0b);
    let n = 200u32;
    let mut code = Vec::new();
    leb(&mut code, n + 1);
    // alloc: 1024
    code.extend([6, 0, 0x41, 0x80, 0x88, 0x00, 0x0b]);
    for _ in 0..n {
        leb(&mut code, u32::try_from(body.len()).unwrap());
        code.extend(&body);
    }
    let mut functions = Vec::new();
    leb(&mut functions, n + 1);
    functions.push(0);
    functions.extend(std::iter::repeat_n(1, n as usize));
    let mut exports = vec![3];
    for (name, kind, index) in [("memory", 2, 0), ("alloc", 0, 0), ("handle", 0, 1)] {
        exports.push(u8::try_from(name.len()).unwrap());
        exports.extend(name.as_bytes());
        exports.extend([kind, index]);
    }
    let types = [&[2, 0x60, 1, 0x7f, 1, 0x7f][..], &[0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7e]];
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in
        [(1, types.concat()), (3, functions), (5, vec![1, 0, 1]), (7, exports), (10, code)]
    {
        module.push(id);
        leb(&mut module, u32::try_from(content.len()).unwrap());
        module.extend(content);
    }
    assert!(module.len() < 32 << 20);
    module
}

fn leb(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}
