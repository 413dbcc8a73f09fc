//! A NATS micro service that answers on `svc.echo` with what it was sent, and prints a line for each request
//! unless it is started with QUIET in its environment.
//!
//! It needs nothing but async-nats. Build it as one static file, which is what `nex run` takes:
//!
//! ```sh
//! RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --target x86_64-unknown-linux-gnu
//! ```

use async_nats::service::ServiceExt;
use futures::StreamExt;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), async_nats::Error> {
    let url = std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let client = async_nats::connect(url).await?;
    let service = client.service_builder().start("echo-service", "1.0.0").await?;
    let mut requests = service.endpoint("svc.echo").await?;
    let is_quiet = std::env::var_os("QUIET").is_some();
    let mut stop = signal(SignalKind::terminate())?;
    println!("echo-service listens on svc.echo");
    loop {
        tokio::select! {
            Some(request) = requests.next() => {
                if !is_quiet {
                    println!("echoed {} bytes", request.message.payload.len());
                }
                let payload = request.message.payload.clone();
                request.respond(Ok(payload)).await?;
            }
            _ = stop.recv() => break,
        }
    }
    println!("echo-service stops");
    service.stop().await?;
    client.drain().await?;
    Ok(())
}
