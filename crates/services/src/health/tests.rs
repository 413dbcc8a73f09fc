//! Probes of real listeners and a real nats-server.
//!
//! Owns: what each kind of probe takes for an answer. Never: asserts how long something took.

use std::net::Ipv4Addr;

use futures::StreamExt;
use nex_testkit::NatsServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const BOUND: Duration = Duration::from_secs(20);

fn health(probe: Probe) -> Health {
    let interval = Duration::from_millis(10);
    Health { probe, interval, timeout: Duration::from_secs(5), failures: 2 }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The verdict of a watch, while `service` serves `probe` and then ends.
async fn verdict(probe: Probe, client: &Client, service: impl Future<Output = ()>) -> String {
    let watching = watch(health(probe), client.clone());
    let both = async { tokio::join!(watching, service).0 };
    timeout(BOUND, both).await.expect("a verdict within the bound")
}

async fn answer_get(listener: &TcpListener, head: &str) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 1024];
    let n_bytes = stream.read(&mut request).await.unwrap();
    assert!(request[..n_bytes].starts_with(b"GET /health?x HTTP/1.1\r\n"));
    let response = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(response.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn tcp_is_healthy_while_connections_are_taken() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let (listener, port) = listener().await;
    let service = async move {
        for _ in 0..3 {
            listener.accept().await.unwrap();
        }
    };
    let why = verdict(Probe::Tcp { address: LOCALHOST, port }, &client, service).await;
    assert!(why.starts_with("2 health probes in a row failed: 127.0.0.1 port"), "{why}");
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn http_is_healthy_with_2xx_and_3xx_alone_and_no_redirect_is_followed() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let (listener, port) = listener().await;
    let service = async move {
        let moved = "302 Found\r\nLocation: http://192.0.2.1/";
        let bad = "500 Internal Server Error";
        for head in ["200 OK", bad, moved, bad, "204 No Content", bad, "404 Not Found"] {
            answer_get(&listener, head).await;
        }
    };
    let probe = Probe::Http { address: LOCALHOST, port, path: "/health?x".to_owned() };
    let why = verdict(probe, &client, service).await;
    let expected = format!("http://127.0.0.1:{port}/health?x answered 404 Not Found");
    assert_eq!(why, format!("2 health probes in a row failed: {expected}"));
}

#[tokio::test]
async fn nats_is_healthy_while_the_subject_answers() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let responder = server.client().await;
    let mut requests = responder.subscribe("$SRV.PING.echo").await.unwrap();
    responder.flush().await.unwrap();
    let service = async move {
        for _ in 0..3 {
            let request = requests.next().await.unwrap();
            responder.publish(request.reply.unwrap(), "{}".into()).await.unwrap();
        }
        requests.unsubscribe().await.unwrap();
        responder.flush().await.unwrap();
    };
    let probe = Probe::Nats { subject: "$SRV.PING.echo".to_owned() };
    let why = verdict(probe, &client, service).await;
    assert!(why.contains("$SRV.PING.echo: no responders"), "{why}");
}

#[tokio::test]
async fn what_is_silent_or_never_comes_up_or_is_elsewhere_is_unhealthy() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let (silent, port) = listener().await;
    let probe = Probe::Http { address: LOCALHOST, port, path: "/".to_owned() };
    let health = Health { timeout: Duration::from_millis(50), ..health(probe) };
    let why = timeout(BOUND, watch(health, client.clone())).await.unwrap();
    assert!(why.ends_with("no answer within 50ms"), "{why}");
    drop(silent);
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let probe = Probe::Tcp { address: elsewhere, port: 80 };
    let why = verdict(probe, &client, async {}).await;
    assert!(why.ends_with("192.0.2.1 is not an address of this machine"), "{why}");
}

#[test]
fn failures_count_in_a_row_after_the_first_success_or_the_grace() {
    let probe = Probe::Nats { subject: "a.b".to_owned() };
    let health = Health { interval: Duration::from_secs(10), failures: 3, ..health(probe) };
    let second = Duration::from_secs;
    let bad = || Err("bad".to_owned());
    let mut record = Record::new(&health);
    for age in [0, 10, 20, 29] {
        assert_eq!(record.take(bad(), second(age)), None, "{age}");
    }
    assert_eq!(record.take(bad(), second(30)), None);
    assert_eq!(record.take(bad(), second(40)), None);
    let why = "3 health probes in a row failed: bad".to_owned();
    assert_eq!(record.take(bad(), second(50)), Some(why.clone()));
    let mut record = Record::new(&health);
    for answer in [Ok(()), bad(), bad(), Ok(()), bad(), bad()] {
        assert_eq!(record.take(answer, second(1)), None);
    }
    assert_eq!(record.take(bad(), second(1)), Some(why));
}
