//! A web server of one answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one request with "thanks" once `end` was in it; what it was.
pub(crate) async fn serve_once(listener: &TcpListener, end: &str) -> String {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !String::from_utf8_lossy(&request).contains(end) {
        let n = connection.read_buf(&mut request).await.unwrap();
        assert!(n > 0, "the request ended early: {}", String::from_utf8_lossy(&request));
    }
    connection
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nthanks")
        .await
        .unwrap();
    String::from_utf8_lossy(&request).into_owned()
}
