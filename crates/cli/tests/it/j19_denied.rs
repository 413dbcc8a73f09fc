//! J19: the deny list.
//!
//! 1. A function on `$SYS.x`, `$JS.API.>`, `$NEX.x` or `>` is refused at deploy, the pattern named.
//! 2. So is a publish from inside; the function is told.

use crate::world::{World, error_headers};

#[tokio::test]
async fn j19_what_is_denied_is_refused_with_its_pattern() {
    let world = World::up().await;
    world.file("echo.js", "(subject, payload) => payload");
    for subject in ["$SYS.x", "$JS.API.>", "$NEX.x", ">"] {
        let refused = world.nex.run(&["run", "echo.js", "--on", subject]).await;
        assert_ne!(refused.code, 0, "{refused}");
        assert!(refused.stderr.contains("$*.>"), "{refused}");
    }
    let source = "export default (s, p, ctx) => ctx.nats.publish(p.text(), 'x')";
    let _deployed = world.deploy("sends.js", source, "sends").await;
    for (subject, pattern) in [("$NEX.x", "$*.>"), ("_INBOX.x", "_INBOX.>"), ("$KV.b.k", "$*.>")] {
        let (code, text) = error_headers(&world.ask("sends", subject).await);
        assert_eq!(code, "500");
        assert!(text.contains(pattern), "{text}");
    }
    assert_eq!(world.ask("sends", "open.to.all").await.payload, "");
    world.finish().await;
}
