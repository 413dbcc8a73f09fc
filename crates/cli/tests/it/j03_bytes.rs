//! J3: `(subject, payload) => payload` on `js.echo`.
//!
//! 1. Text, all 256 byte values, 1,000,000 random bytes and nothing at all come back byte for byte.
//! 2. A reply carries no headers that the function did not set.
//! 3. `nex call` writes the reply raw to standard output, and sends a file or its input as it is.

use crate::guests::ECHO;
use crate::world::World;

#[tokio::test]
async fn j03_js_echo_replies_raw_bytes() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let all: Vec<u8> = (0..=255).collect();
    for payload in [b"heya".to_vec(), all, random_bytes(1_000_000), Vec::new()] {
        let reply = world.ask("js.echo", payload.clone()).await;
        assert!(reply.payload == payload, "{} bytes came back as others", payload.len());
        assert_eq!(reply.headers, None);
    }
    world.finish().await;
}

#[tokio::test]
async fn j03_call_sends_and_prints_raw_bytes() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    assert_eq!(world.nex.ok(&["call", "echo", "heya"]).await.text(), "heya");
    assert_eq!(world.nex.ok(&["call", "js.echo"]).await.text(), "");
    let bytes = random_bytes(100_000);
    world.file("bytes", &bytes);
    assert!(world.nex.ok(&["call", "echo", "@bytes"]).await.stdout == bytes);
    let piped = world.nex.run_with_input(&["call", "echo", "-"], bytes.clone()).await.exits(0);
    assert!(piped.stdout == bytes);

    let verbose = world.nex.ok(&["call", "echo", "heya", "-v"]).await;
    assert_eq!(verbose.text(), "heya");
    assert!(verbose.stderr.starts_with("js.echo: 4 bytes in "), "{verbose}");
    assert_eq!(world.nex.ok(&["call", "echo", "x", "--count", "3"]).await.text(), "xxx");
    world.finish().await;
}

/// The same on every run, and of every value.
fn random_bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}
