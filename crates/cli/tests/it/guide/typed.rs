//! Typing a page: every command in its order, in one folder, beside one node.
//!
//! Owns: the shell and what runs in the background. Never: knows what a page is about.

use std::process::Command;
use std::time::Duration;

use nex_testkit::{Process, Signal, eventually, example, nex_binary};

use super::page::{Fence, Page, Step};
use super::{LEAST, nats};
use crate::world::{SOON, World};

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// What runs in the background, by the number that a shell gives it, from 1.
type Jobs = Vec<Option<Process>>;

pub(super) async fn page(page: &Page) {
    let world = World::up().await;
    let work = world.nex.work_dir();
    let examples = example("echo.js");
    std::os::unix::fs::symlink(examples.strip_suffix("/echo.js").unwrap(), work.join("examples"))
        .unwrap();
    let programs = work.with_file_name("bin");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(nex_binary().unwrap(), programs.join("nex")).unwrap();
    let mut jobs: Jobs = Vec::new();
    let mut n_commands = 0;
    for fence in page.fences() {
        match fence {
            Fence::File { name, text } => drop(world.file(name, text)),
            Fence::Commands(steps) => {
                for step in steps {
                    n_commands += 1;
                    walk(&world, &step, &mut jobs).await;
                }
            }
            Fence::ForReading => {}
        }
    }
    assert!(n_commands >= LEAST, "{} has {n_commands} commands", page.name);
    for job in &mut jobs {
        end(job).await;
    }
    world.finish().await;
}

async fn walk(world: &World, step: &Step<'_>, jobs: &mut Jobs) {
    if let Some(command) = step.command.strip_suffix(" &") {
        let process = Process::spawn(shell(world, &format!("exec {command}"))).unwrap();
        if step.background.is_empty() {
            goes_on(&process).await;
        }
        jobs.push(Some(process));
    } else if let Some(number) = step.command.strip_prefix("kill %") {
        end(job(jobs, number)).await;
    } else if let Some(number) = step.command.strip_prefix("wait %") {
        let mut process = job(jobs, number).take().expect("it runs");
        process.exit(COMMAND).await.unwrap();
    } else if step.command == "nex up" {
        let printed = world.nex.node().map(Process::stdout).unwrap_or_default();
        assert_printed(step, &String::from_utf8_lossy(&printed));
    } else if let Some(arguments) = step.command.strip_prefix("nats ") {
        assert_printed(step, &nats::run(world, arguments).await);
    } else {
        run(world, step).await;
    }
    for line in &step.background {
        let job = jobs.iter_mut().rev().find_map(Option::as_mut);
        let job = job.expect("something runs in the background");
        job.line(SOON, |said| is_within(line, said)).await.unwrap();
    }
}

async fn run(world: &World, step: &Step<'_>) {
    let mut process = Process::spawn(shell(world, step.command)).unwrap();
    let status = process.exit(COMMAND).await.unwrap();
    let (data, words) = (process.stdout(), process.stderr());
    let data = String::from_utf8_lossy(&data);
    assert_eq!(status.code(), Some(step.exit), "{} says: {data}\n{words}", step.command);
    // A terminal shows both as they come; which of them came first is not known here.
    let orders = [format!("{words}\n{data}"), format!("{data}\n{words}")];
    if !orders.iter().any(|said| first_missing(step, said).is_none()) {
        assert_printed(step, &orders[0]);
    }
}

/// A shell that is about to run this, in the environment of a user of the node.
fn shell(world: &World, line: &str) -> Command {
    let nex = world.nex.command::<&str>(&[]);
    let programs = world.nex.work_dir().with_file_name("bin");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).current_dir(world.nex.work_dir()).env_clear();
    for (name, value) in nex.get_envs() {
        let Some(value) = value else { continue };
        if name == "PATH" {
            let path = format!("{}:{}", programs.display(), value.to_string_lossy());
            shell.env(name, path);
        } else {
            shell.env(name, value);
        }
    }
    shell
}

/// Waits until a command that is to go on says that it does.
async fn goes_on(process: &Process) {
    eventually(&format!("`{}` goes on", process.what()), SOON * 2, async || {
        let said = format!("{}\n{}", String::from_utf8_lossy(&process.stdout()), process.stderr());
        let mut lines = said.lines();
        let goes_on = lines.any(|line| line.contains("following") || line.starts_with("ready in "));
        if goes_on { Ok(()) } else { Err(said) }
    })
    .await;
}

fn job<'a>(jobs: &'a mut Jobs, number: &str) -> &'a mut Option<Process> {
    let number: usize = number.parse().expect("a job has a number");
    &mut jobs[number - 1]
}

async fn end(job: &mut Option<Process>) {
    if let Some(mut process) = job.take() {
        process.signal(Signal::SIGTERM);
        process.exit(COMMAND).await.unwrap();
    }
}

fn assert_printed(step: &Step<'_>, said: &str) {
    if let Some(part) = first_missing(step, said) {
        panic!("{} does not print {part:?}: {said}", step.command);
    }
}

/// The first part of what the page says that is not printed, or not in this order.
fn first_missing<'a>(step: &Step<'a>, said: &str) -> Option<&'a str> {
    let mut rest = said;
    let parts = step.expected.iter().flat_map(|line| line.split('…'));
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        let Some((_, after)) = rest.split_once(part) else { return Some(part) };
        rest = after;
    }
    None
}

/// Whether a line that was printed is what the page says.
fn is_within(line: &str, mut said: &str) -> bool {
    for part in line.split('…').map(str::trim) {
        let Some((_, after)) = said.split_once(part) else { return false };
        said = after;
    }
    true
}
