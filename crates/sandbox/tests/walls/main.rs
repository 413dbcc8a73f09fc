//! The walls of a locked process, tried from inside.
//!
//! 1. Each attack is refused inside the walls.
//! 2. The same attack succeeds in the same process without them: it is the walls that refuse it. What
//!    this machine refuses anyway is said and not counted.
//! 3. What a nexlet needs goes on working.
//! 4. A process with a second thread is not locked down by half.
//!
//! Without the test harness, whose threads would be there before the walls.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a test, with a main of its own"
)]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "what is tried has no safe interface; that is the point"
)]

mod attacks;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use attacks::{ATTACKS, Attack, WORK};
use nex_sandbox::{Landlock, Lockdown, LockdownError};

/// The child is started with this, so that nothing is tried by accident.
const INSIDE: &str = "--try-inside-a-child";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, inside, walls, name, folder] = &arguments[..]
        && inside == INSIDE
    {
        return attempt(walls == "walls", name, Path::new(folder));
    }
    if arguments.iter().any(|argument| argument == "--list") {
        println!("walls: test");
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().unwrap();
    for inner in ["own", "outside", "readable"] {
        fs::create_dir(folder.path().join(inner)).unwrap();
    }
    fs::write(folder.path().join("outside/secret"), "secret").unwrap();
    fs::write(folder.path().join("readable/code"), "code").unwrap();
    let mut failures = Vec::new();
    a_second_thread_is_told(&mut failures);
    for (name, _) in ATTACKS {
        let is_of_landlock = name.contains("others") || name.contains("write");
        if is_of_landlock && Landlock::offered() == Landlock::Missing {
            println!("skipped: {name}: this kernel has no landlock");
            continue;
        }
        let outside = run("none", name, folder.path());
        let inside = run("walls", name, folder.path());
        match (outside, inside) {
            (Ok(()), Err(_)) => println!("ok: cannot {name}"),
            (Err(said), Err(_)) => println!("skipped: {name}: refused without walls too: {said}"),
            (_, Ok(())) => failures.push(format!("inside the walls it can {name}")),
        }
    }
    for (name, _) in WORK {
        match run("walls", name, folder.path()) {
            Ok(()) => println!("ok: can {name}"),
            Err(said) => failures.push(format!("inside the walls it cannot {name}: {said}")),
        }
    }
    failures.iter().for_each(|failure| println!("FAILED: {failure}"));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn a_second_thread_is_told(failures: &mut Vec<String>) {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv().is_err());
    if !matches!(Lockdown::default().apply(), Err(LockdownError::Threads(2))) {
        failures.push("a process with two threads is locked down by half".to_owned());
    }
    drop(done);
    assert!(thread.join().unwrap());
}

/// Tries it in a child; what the kernel said when it was refused.
fn run(walls: &str, name: &str, folder: &Path) -> Result<(), String> {
    let said = folder.join("outside/said");
    #[expect(clippy::disallowed_methods, reason = "the child must be this very binary")]
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([INSIDE, walls, name]).arg(folder);
    command.stdout(File::create(folder.join("outside/log")).unwrap());
    let status = command.stderr(File::create(&said).unwrap()).status().unwrap();
    if status.success() {
        Ok(())
    } else {
        Err(fs::read_to_string(&said).unwrap().trim().to_owned())
    }
}

fn attempt(walls: bool, name: &str, folder: &Path) -> ExitCode {
    let own: PathBuf = folder.join("own");
    if walls {
        let read = vec![folder.join("readable")];
        let lockdown = Lockdown { read, write: vec![own], network: true };
        if let Err(error) = lockdown.apply() {
            // As if nothing were refused: the walls must stand.
            eprintln!("no walls: {error}");
            return ExitCode::SUCCESS;
        }
    }
    let is_it = |(its_name, _): &&Attack| *its_name == name;
    let Some((_, attempt)) = ATTACKS.iter().chain(WORK).find(is_it) else {
        return ExitCode::FAILURE;
    };
    match attempt(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
