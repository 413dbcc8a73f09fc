//! The endpoint, asked over TCP by polite and rude clients.

use std::net::SocketAddr;
use std::time::Duration;

use nex_telemetry::metrics::{Endpoint, serve};
use nex_testkit::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::snapshot;

async fn started() -> (SocketAddr, tokio::task::JoinSet<()>) {
    let endpoint = Endpoint::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = endpoint.address();
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(serve(endpoint, snapshot));
    (address, serving)
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // What was sent beyond what is read may be answered by a reset after the response.
    let _reset = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn metrics_are_answered_in_the_form_that_was_asked_for() {
    let (address, _serving) = started().await;
    let plain = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(plain.starts_with("HTTP/1.1 200"), "{plain}");
    assert!(plain.contains("content-type: text/plain; version=0.0.4"), "{plain}");
    assert!(plain.contains("nex_function_calls_total{nex_namespace=\"default\""), "{plain}");
    let accept = "Accept: application/openmetrics-text; version=1.0.0";
    let open = ask(address, &format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}\r\n\r\n")).await;
    assert!(open.contains("content-type: application/openmetrics-text"), "{open}");
    assert!(open.ends_with("# EOF\n"), "{open}");
}

#[tokio::test]
async fn head_has_no_body() {
    let (address, _serving) = started().await;
    let head = ask(address, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn everything_else_is_refused() {
    let (address, _serving) = started().await;
    for path in ["/", "/metrics/", "/debug/pprof", "//metrics"] {
        let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let answer = ask(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
        assert!(answer.contains("allow: GET, HEAD"), "{answer}");
    }
}

#[tokio::test]
async fn large_headers_are_refused() {
    let (address, _serving) = started().await;
    let large = "x".repeat(100_000);
    let answer = ask(address, &format!("GET /metrics HTTP/1.1\r\nX: {large}\r\n\r\n")).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    let many = "X: y\r\n".repeat(100);
    let answer = ask(address, &format!("GET /metrics HTTP/1.1\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn who_holds_all_places_holds_them_until_it_goes() {
    let (address, _serving) = started().await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut late = TcpStream::connect(address).await.unwrap();
    late.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), late.read_u8()).await;
    assert!(early.is_err(), "one more than there are places was answered");
    drop(silent);
    let within = Duration::from_secs(15);
    eventually("somebody else is answered", within, async || {
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn who_is_silent_is_sent_away() {
    let (address, _serving) = started().await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.unwrap();
    let mut answer = Vec::new();
    // The server's bound is 10 s.
    let ended = tokio::time::timeout(Duration::from_secs(60), silent.read_to_end(&mut answer));
    let _reset = ended.await.expect("the connection ends");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(!answer.contains("nex_"), "{answer}");
}
