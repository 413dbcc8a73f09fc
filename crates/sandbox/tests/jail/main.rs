//! Boxes around programs, tried from inside and from outside.
//!
//! 1. Each attack is refused in the whole box; it succeeds in a box without the walls that it names, so
//!    that the test fails when one of them is gone; and each of these walls refuses it alone.
//! 2. An honest program finds what it needs, and its environment is what was given and nothing else.
//! 3. Exit codes and signals are told; it can be asked to stop; nothing outlives the box; nothing is left
//!    when a start fails.
//! 4. Limits hold, and that they were reached is told.
//! 5. All of it as root and as an ordinary user. What this machine cannot do is said.
//!
//! Without the test harness, whose threads would be there before the boxes.
#![allow(unsafe_code, reason = "fork and signal have no safe interface")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "this is a test, with a main of its own"
)]

mod attacks;
mod bench;
mod life;
mod limits;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use bench::{Bench, Outcome};

/// The ordinary user: an id that owns nothing.
const NOBODY: u32 = 65534;
const AS_USER: &str = "--as-an-ordinary-user";

type Test = (&'static str, fn(&Bench) -> Outcome);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|it| it == "--list") {
        println!("jail: test");
        return ExitCode::SUCCESS;
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ok = match words[..] {
        [AS_USER, folder, attacker, filter] => {
            all(&Bench::new(Path::new(folder), Path::new(attacker)), filter)
        }
        _ => {
            let is_filter = |it: &&&str| !it.starts_with('-');
            both(words.iter().find(is_filter).copied().unwrap_or_default())
        }
    };
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As the user who runs the test, and when that is root as an ordinary one.
fn both(filter: &str) -> bool {
    let folder = tempfile::tempdir_in(reachable()).unwrap();
    let attacker = prepare(folder.path());
    let first = all(&Bench::new(folder.path(), &attacker), filter);
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: as root: this test was not started by root");
        return first;
    }
    // By a new execution: a process that changed its user cannot map the ids of its children.
    let status = Command::new(std::env::current_exe().unwrap())
        .args([AS_USER.as_ref(), folder.path(), &attacker, filter.as_ref()])
        .uid(NOBODY)
        .gid(NOBODY)
        .status();
    match status {
        Ok(status) => first && status.success(),
        Err(error) => {
            println!("skipped: as an ordinary user: {error}");
            first
        }
    }
}

/// Where a program of another user gets to: a private folder for temporary files would itself be a wall.
fn reachable() -> std::path::PathBuf {
    let usual = std::env::temp_dir();
    let is_open = |folder: &Path| {
        fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    };
    if usual.ancestors().all(is_open) { usual } else { "/tmp".into() }
}

/// The files of the host that boxes are about, and the program.
fn prepare(folder: &Path) -> std::path::PathBuf {
    let attacker = folder.join("attacker");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jail/attacker.rs");
    let built = Command::new("rustc")
        .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "opt-level=1", "-o"])
        .arg(&attacker)
        .arg(source)
        .status();
    assert!(built.unwrap().success(), "the attacker was not compiled");
    fs::set_permissions(&attacker, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for (name, text) in [("outside", "secret"), ("shown", "shown")] {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::create_dir(folder.join("work")).unwrap();
    fs::set_permissions(folder.join("work"), fs::Permissions::from_mode(0o777)).unwrap();
    if nix::unistd::geteuid().is_root() {
        let own = folder.join("of-user");
        fs::create_dir(&own).unwrap();
        chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    attacker
}

fn all(bench: &Bench, filter: &str) -> bool {
    // As a shim is: those that lose their parents become its children.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let who = if bench.is_root { "root" } else { "ordinary user" };
    match nex_sandbox::jail::start(&bench.plan(&["nothing"])) {
        Err(error) if error.lacks_wall.is_some() => {
            println!("skipped: as {who}: {error}");
            return true;
        }
        Err(error) => {
            println!("FAILED: as {who}: {error}");
            return false;
        }
        Ok(jail) => jail.close().unwrap(),
    }
    let mut ok = true;
    let tests = [attacks::TESTS, life::TESTS, limits::TESTS].concat();
    for (name, test) in tests.into_iter().filter(|(name, _)| name.contains(filter)) {
        match test(bench) {
            Ok(()) => println!("ok: {who}: {name}"),
            Err(what) => {
                println!("FAILED: {who}: {name}: {what}");
                ok = false;
            }
        }
    }
    ok
}
