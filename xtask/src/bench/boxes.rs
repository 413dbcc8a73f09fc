//! What a box alone costs: an empty program started with all walls, again and again.
//!
//! Owns: the loop and its clock. Never: has a second thread: a box is built by a process of one, as a shim is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nex_sandbox::jail::{Isolation, Limits, Plan, UID_BASE, start};

/// Starts that are not counted: caches fill.
const WARM_UP: usize = 20;

/// Options of the measurement.
#[derive(Debug, clap::Args)]
pub(crate) struct BoxesArgs {
    /// A static program that ends at once
    program: PathBuf,
    /// How many starts of each kind are counted
    #[arg(long, default_value_t = 100)]
    starts: usize,
}

/// Prints a line for each start: its kind, and nanoseconds until the program's first instruction.
pub(crate) fn run(args: &BoxesArgs) -> anyhow::Result<()> {
    for idx in 0..WARM_UP + args.starts {
        // Interleaved, so that a slow moment hits all alike.
        let times = [
            ("plain", without_box(&args.program)?),
            ("default", in_box(&args.program, Isolation::Default, idx)?),
            ("strict", in_box(&args.program, Isolation::Strict, idx)?),
        ];
        for (kind, took) in times.iter().filter(|_| idx >= WARM_UP) {
            println!("{kind} {}", took.as_nanos());
        }
    }
    Ok(())
}

/// The same without Nex; the standard library returns when the program has been executed.
fn without_box(program: &Path) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let mut child = Command::new(program).spawn()?;
    let took = begin.elapsed();
    child.wait()?;
    Ok(took)
}

fn in_box(program: &Path, isolation: Isolation, idx: usize) -> anyhow::Result<Duration> {
    let plan = Plan {
        program: program.to_owned(),
        name: "empty".to_owned(),
        args: Vec::new(),
        environment: [("NATS_URL".to_owned(), "nats://127.0.0.1:4222".to_owned())].into(),
        directory: "/".into(),
        isolation,
        allow_weak: false,
        // Below the range that nodes give.
        uid: nix::unistd::geteuid().is_root().then_some(UID_BASE - 1),
        limits: Limits {
            memory: Some(64 << 20),
            cpu_millis: Some(1000),
            pids: Some(64),
            files: Some(256),
            tmp: Some(8 << 20),
        },
        group: format!("nex-bench-{}-{idx}", std::process::id()),
        ports: Some(vec![8080]),
        mounts: Vec::new(),
        credentials: None,
    };
    let begin = Instant::now();
    let mut jail = start(&plan)?;
    let took = begin.elapsed();
    jail.reap()?;
    jail.close()?;
    Ok(took)
}
