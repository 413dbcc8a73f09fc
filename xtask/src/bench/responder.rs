//! What functions are compared with: a program that answers requests with async-nats and nothing else.
//!
//! Owns: its loop. Never: more than a user's own program would do.

use futures::StreamExt;

/// Options of the responder.
#[derive(Debug, clap::Args)]
pub(crate) struct ResponderArgs {
    /// The server
    #[arg(long)]
    url: String,
    /// The subject to answer on
    #[arg(long)]
    subject: String,
}

/// Answers until it is killed or the server goes away for good.
pub(crate) fn run(args: &ResponderArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = async_nats::connect(&args.url).await?;
        let queue = "bench".to_owned();
        let mut requests = client.queue_subscribe(args.subject.clone(), queue).await?;
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                client.publish(reply, request.payload).await?;
            }
        }
        Ok(())
    })
}
