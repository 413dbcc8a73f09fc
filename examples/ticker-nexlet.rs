//! A nexlet of one's own: workloads of type `ticker` publish a count on a subject, again and again.
//!
//! ```sh
//! cargo build --release -p nex-nexlet --example ticker-nexlet
//! nex nexlet check --start-request '{"subject":"clock","every":"1s"}' -- target/release/examples/ticker-nexlet
//! nex workload start --type ticker --name clock --start-request '{"subject":"clock","every":"1s"}'
//! ```

use std::time::Duration;

use nex_nexlet::{
    Code, Description, Lifecycle, Nexlet, ProcessError, Start, StartFailure, Started, Stream,
    TaskWorkload, async_trait,
};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Ticks {
    subject: String,
    every: String,
}

#[derive(Debug)]
struct Ticker;

#[async_trait]
impl Nexlet for Ticker {
    fn describe(&self) -> Description {
        Description {
            name: "ticker".to_owned(),
            register_type: "ticker".to_owned(),
            version: "1.0.0".to_owned(),
            description: "Publishes a count on a subject, again and again".to_owned(),
            lifecycles: vec![Lifecycle::Service],
            schema:
                r#"{"type":"object","required":["subject","every"],"additionalProperties":false,
                "properties":{"subject":{"type":"string"},"every":{"type":"string"}}}"#
                    .to_owned(),
        }
    }

    async fn start(&self, start: Start) -> Result<Started, StartFailure> {
        let Ticks { subject, every } = start.run_request()?;
        let every = nex_types::parse_go(&every)
            .map_err(|error| StartFailure::new(Code::StartRequestInvalid, error.to_string()))?;
        let client = start.connect().await?;
        start.logs.line(Stream::Stdout, "info", format!("ticks on {subject}").as_bytes());
        Ok(TaskWorkload::spawn(|facts| async move {
            let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
            for count in 1_u64.. {
                ticks.tick().await;
                client.publish(subject.clone(), count.to_string().into()).await?;
                facts.set("ticks", count);
            }
            Ok::<(), nex_bus::PublishError>(())
        }))
    }
}

#[tokio::main]
async fn main() -> Result<(), ProcessError> {
    nex_nexlet::run_process(Ticker, std::env::vars_os()).await
}
