//! `cargo xtask demo`: the whole journey of a newcomer, through the real `nex` binary.
//!
//! Owns: what is shown, and what each answer must be. Never: reaches into Nex by another way than a user's.
//! Ends with nothing left behind, also after a failure or Ctrl-C, unless it is asked to keep everything running.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::{builds, nats_server};
use stage::Stage;

mod journey;
mod stage;

/// Options of the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave everything running, and say how to talk to it and how to end it
    #[arg(long)]
    keep: bool,
}

/// Builds what is needed, shows the journey, cleans up.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let nats_server = nats_server::ensure(root)?;
    eprintln!("building nex and the echo service (the first time takes some minutes) …");
    let nex = builds::nex(root)?;
    let echo_service = builds::echo_service(root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stage = Stage::new(root, &nex, &nats_server)?;
        let outcome = tokio::select! {
            outcome = journey::show(&mut stage, &echo_service, args.keep) => Some(outcome),
            () = interrupted() => None,
        };
        conclude(stage, outcome, args.keep).await
    })
}

async fn conclude(
    mut stage: Stage,
    outcome: Option<anyhow::Result<()>>,
    keep: bool,
) -> anyhow::Result<ExitCode> {
    match outcome {
        Some(Ok(())) if keep => {
            stage.leave_running();
            Ok(ExitCode::SUCCESS)
        }
        Some(Ok(())) => {
            stage.remove()?;
            println!(
                "\nAll {} answers were as expected, in {:.1?}.",
                stage.n_checks(),
                stage.took()
            );
            Ok(ExitCode::SUCCESS)
        }
        Some(Err(error)) => {
            println!("\n--- what nex up printed\n{}---", stage.printed());
            stage.clean_up().await;
            Err(error.context("the demo failed"))
        }
        None => {
            println!("\ninterrupted: ending everything that was started");
            stage.clean_up().await;
            Ok(ExitCode::from(130))
        }
    }
}

async fn interrupted() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be watched");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// How long something took, for the reader.
#[derive(Debug, Clone, Copy)]
struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn read(self) -> Duration {
        self.0.elapsed()
    }
}

/// A path as a reader standing in the project would type it.
fn typed(path: &Path, root: &Path) -> anyhow::Result<String> {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_str().map(str::to_owned).context("the project's path is not UTF-8")
}
