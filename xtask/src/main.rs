//! `cargo xtask`: everything that is done to this repository besides compiling it.
//!
//! Owns: the dispatch. Never: the work, which is one file or folder per task. Asks no questions.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a development tool: it runs cargo, reads the environment and talks to whoever started it"
)]

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod builds;
mod demo;
mod dist;
mod guests;
mod nats_server;
mod screenshots;
mod size;
mod test;
mod tidy;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Nex")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Builds Nex and shows the whole journey: start, deploy, call, list, stop; leaves nothing behind
    Demo(demo::Args),
    /// Runs every check and every test, and ends with a summary
    Test,
    /// Checks what compilers do not: size budgets, the dependency table, documentation, marks
    Tidy,
    /// Measures functions, the control plane, services or the command line, in one run on this machine
    Bench(bench::Args),
    /// Makes the pictures of the README from real runs
    Screenshots(screenshots::Args),
    /// Builds the guests whose .wasm files are committed
    Guests,
    /// Packs Nex for machines without this repository: target/dist/nex-<version>-<target>.tar.gz, and its checksum
    Dist(dist::Args),
    /// Tells what a binary is made of, by section and by crate
    Size(size::Args),
    /// The plain responder that `bench` compares with
    #[command(hide = true)]
    BenchResponder(bench::ResponderArgs),
    /// Starts an empty program in boxes, for `bench services`
    #[command(hide = true)]
    BenchBoxes(bench::BoxesArgs),
}

fn main() -> ExitCode {
    let task = Args::parse().task;
    let root = nex_testkit::root();
    match run(task, &root) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task, root: &Path) -> anyhow::Result<ExitCode> {
    match task {
        Task::Demo(args) => return demo::run(root, &args),
        Task::Test => return test::run(root),
        Task::Tidy => return tidy::run(root),
        Task::Bench(args) => bench::run(root, &args)?,
        Task::Screenshots(args) => screenshots::run(root, &args)?,
        Task::Guests => guests::run(root)?,
        Task::Dist(args) => dist::run(root, &args)?,
        Task::Size(args) => size::run(root, &args)?,
        Task::BenchResponder(args) => bench::run_responder(&args)?,
        Task::BenchBoxes(args) => bench::run_boxes(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
