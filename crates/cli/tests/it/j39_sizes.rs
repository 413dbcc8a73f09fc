//! J39: requests and replies around the server's max payload, beside another function's traffic.
//!
//! 1. One byte below and exactly at the limit pass, both ways, with headers and without.
//! 2. One byte more is a 500 that names both numbers; headers count.
//! 3. No connection is lost over it: another function on the same one answers throughout.

use async_nats::HeaderMap;
use nex_testkit::NatsServer;

use crate::world::{World, error_headers};

const MAX: usize = 65_536;
/// Answers with as many bytes as it is told; with a header of 100 bytes on the wire where it was given one.
const SIZED: &str = "export default (subject, payload, ctx) => {
  const bytes = new Uint8Array(Number(ctx.headers.get('size') ?? payload.length));
  return ctx.headers.has('more') ? new Response(bytes, { headers: { 'x-more': 'm'.repeat(90) } }) : bytes;
};";
/// `NATS/1.0`, the header `x-more`, and the empty line after it.
const HEADERS: usize = "NATS/1.0\r\n\r\n".len() + "x-more: \r\n".len() + 90;

#[tokio::test]
async fn j39_sizes_around_the_limit_have_the_right_answers() {
    let world = World::on(NatsServer::options().max_payload(65_536)).await;
    world.deploy("sized.mjs", SIZED, "sized").await;
    world.deploy("echo.js", "(subject, payload) => payload", "other").await;
    let attempts = async {
        for length in [0, 1, MAX - 1, MAX] {
            let answer = world.ask("sized", vec![b'x'; length]).await;
            assert_eq!(answer.payload.len(), length);
        }
        for (size, more, fits) in [
            (MAX - 1, false, true),
            (MAX, false, true),
            (MAX + 1, false, false),
            (MAX - HEADERS - 1, true, true),
            (MAX - HEADERS, true, true),
            (MAX - HEADERS + 1, true, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("size", size.to_string());
            if more {
                headers.insert("more", "yes");
            }
            let answer =
                world.client.request_with_headers("sized", headers, "".into()).await.unwrap();
            if fits {
                assert_eq!(answer.payload.len(), size, "{:?}", answer.headers);
                continue;
            }
            let (code, error) = error_headers(&answer);
            let too_large = (MAX + 1).to_string();
            assert_eq!(code, "500", "{error}");
            assert!(error.contains(&too_large) && error.contains(&MAX.to_string()), "{error}");
        }
    };
    let neighbour = async {
        loop {
            assert_eq!(world.ask("other", "x").await.payload, "x");
        }
    };
    tokio::select! {
        () = attempts => {}
        () = neighbour => {}
    }
    world.finish().await;
}
