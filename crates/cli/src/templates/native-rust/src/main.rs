//! A NATS service that greets whoever asks on its subject. What it prints is its log.

use async_nats::service::ServiceExt;
use futures::StreamExt;
use tokio::signal::unix::{SignalKind, signal};

const SUBJECT: &str = "{{name}}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), async_nats::Error> {
    let url = std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    // Where the server wants to know who comes, Nex names a file with credentials.
    let options = match std::env::var("NATS_CREDS") {
        Ok(path) => async_nats::ConnectOptions::with_credentials_file(path).await?,
        Err(_) => async_nats::ConnectOptions::new(),
    };
    let client = options.connect(url).await?;
    let service = client.service_builder().start("{{package}}", "0.1.0").await?;
    let mut requests = service.endpoint(SUBJECT).await?;
    let mut stop = signal(SignalKind::terminate())?;
    println!("listening on {SUBJECT}");
    loop {
        tokio::select! {
            Some(request) = requests.next() => {
                let who = String::from_utf8_lossy(&request.message.payload);
                println!("greeting {who}");
                let reply = format!("Hello, {who}!");
                request.respond(Ok(reply.into())).await?;
            }
            _ = stop.recv() => break,
        }
    }
    service.stop().await?;
    client.drain().await?;
    Ok(())
}
