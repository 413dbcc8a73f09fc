//! HTTP: what is sent and read, and every way to an address that is not listed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use nex_functions::host::{Host, HostError, Request, Response};
use nex_sandbox::{OnFailure, Tasks};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::Harness;

/// A server that answers with what it was sent, or with a redirect to what stands after `/to/`.
struct Site {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    tasks: Tasks,
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, tasks) = (Arc::<Mutex<Vec<String>>>::default(), Tasks::new());
        let (kept, token) = (Arc::clone(&seen), tasks.token());
        tasks.spawn("site", OnFailure::Log, async move {
            while let Some(Ok((stream, _))) = token.run_until_cancelled(listener.accept()).await {
                token.run_until_cancelled(serve(stream, &kept)).await;
            }
        });
        Self { port, seen, tasks }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let is_whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
        let is_chunked = head.contains("transfer-encoding: chunked");
        if is_chunked { body.ends_with("0\r\n\r\n") } else { body.len() >= length.unwrap_or(0) }
    };
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap().to_owned();
    let location = path.strip_prefix("/to/").map(|to| format!("Location: {to}\r\n"));
    let status = if location.is_some() { "307 Moved" } else { "200 OK" };
    let answer = format!(
        "HTTP/1.1 {status}\r\n{}Content-Length: {}\r\nConnection: close\r\nX-Twice: a\r\nX-Twice: b\r\n\r\n{text}",
        location.unwrap_or_default(),
        text.len()
    );
    seen.lock().unwrap().push(text);
    let _gone = stream.write_all(answer.as_bytes()).await;
}

fn get(url: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: None,
        max_redirects: 5,
    }
}

async fn text_of(response: Response) -> String {
    let body: Vec<Bytes> = response.body.try_collect().await.unwrap();
    String::from_utf8(body.concat()).unwrap()
}

async fn refusal(host: &Host, url: &str) -> String {
    match host.http().unwrap().send(get(url)).await {
        Err(HostError::Denied(text)) => text,
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_to_listed_hosts_with_method_headers_and_body() {
    let (harness, site) = (Harness::start().await, Site::start().await);
    let allow = [format!("127.0.0.1:{}", site.port)];
    let more = json!({ "host_services": { "http": { "allow": allow } } });
    let workload = harness.deploy("echo", "a", more).await;
    let host = harness.engine.host();
    let http = host.http().unwrap();
    let pieces = [Ok(Bytes::from_static(b"two ")), Ok(Bytes::from_static(b"pieces"))];
    let request = Request {
        method: "PATCH".to_owned(),
        headers: vec![
            ("X-Own".to_owned(), "1".to_owned()),
            ("Host".to_owned(), "evil.test".to_owned()),
        ],
        body: Some(stream::iter(pieces).boxed()),
        ..get(&site.url("/path?query=1"))
    };
    let response = http.send(request).await.unwrap();
    assert_eq!(response.status, 200);
    let twice: Vec<_> =
        response.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, v)| v).collect();
    assert_eq!(twice, [b"a", b"b"]);
    let text = text_of(response).await;
    assert!(text.starts_with("PATCH /path?query=1 HTTP/1.1"), "{text}");
    assert!(text.contains("x-own: 1") && text.contains("two ") && !text.contains("evil"), "{text}");
    let mut secret = get(&site.url(&format!("/to/{}", site.url("/end"))));
    secret.headers.push(("Authorization".to_owned(), "secret".to_owned()));
    let response = http.send_bytes(secret, "again".into()).await.unwrap();
    assert_eq!(response.url, site.url("/end"));
    let text = text_of(response).await;
    assert!(text.ends_with("again") && text.contains("secret"), "the same origin: {text}");
    let unfollowed = Request { max_redirects: 0, ..get(&site.url("/to/anywhere")) };
    assert_eq!(http.send(unfollowed).await.unwrap().status, 307);
    for (method, url) in [("CONNECT", "http://a"), ("GET", "ftp://a/b"), ("GET", "no url")] {
        let request = Request { method: method.to_owned(), ..get(url) };
        assert!(matches!(http.send(request).await, Err(HostError::Invalid(_))), "{method} {url}");
    }
    drop(host);
    workload.stop().await;
    drop(workload);
    site.tasks.shutdown(Duration::from_secs(5)).await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_are_refused_unless_they_are_listed() {
    let (harness, site) = (Harness::start().await, Site::start().await);
    let port = site.port;
    let more = json!({ "host_services": { "http": { "allow": ["*"] } } });
    let workload = harness.deploy("echo", "a", more).await;
    let host = harness.engine.host();
    for url in [
        site.url("/"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        "http://0.0.0.0/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "http://100.64.0.1/".to_owned(),
        "https://[fd00::1]/".to_owned(),
    ] {
        let text = refusal(&host, &url).await;
        assert!(text.contains("private network"), "{url}: {text}");
    }
    assert!(site.seen.lock().unwrap().is_empty(), "nothing was sent");
    drop(host);
    workload.stop().await;
    drop(workload);
    site.tasks.shutdown(Duration::from_secs(5)).await;
    harness.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_leads_only_where_a_request_may_go() {
    let (harness, site, inner) = (Harness::start().await, Site::start().await, Site::start().await);
    let listed = format!("127.0.0.1:{}", site.port);
    let more = json!({ "host_services": { "http": { "allow": [listed] } } });
    let workload = harness.deploy("echo", "a", more).await;
    let host = harness.engine.host();
    let text = refusal(&host, &site.url(&format!("/to/{}", inner.url("/")))).await;
    assert!(text.contains("host_services.http.allow"), "{text}");
    workload.stop().await;
    drop((host, workload));
    let listed = [format!("localhost:{}", site.port), "*".to_owned()];
    let more = json!({ "host_services": { "http": { "allow": listed } } });
    let workload = harness.deploy("echo", "b", more).await;
    let host = harness.engine.host();
    let url = format!("http://localhost:{}/to/{}", site.port, inner.url("/"));
    let text = refusal(&host, &url).await;
    assert!(text.contains("private network"), "{text}");
    assert!(inner.seen.lock().unwrap().is_empty(), "nothing was sent");
    drop(host);
    workload.stop().await;
    drop(workload);
    site.tasks.shutdown(Duration::from_secs(5)).await;
    inner.tasks.shutdown(Duration::from_secs(5)).await;
    harness.finish().await;
}
