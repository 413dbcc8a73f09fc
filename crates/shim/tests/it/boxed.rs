//! Programs in boxes: the shim's part of it.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use nex_sandbox::jail::{Isolation, UID_BASE, Wall};
use nex_shim::{Answer, FromShim, Order, Relay, Running, SHIM_FILE, ToShim};
use tempfile::TempDir;

use crate::support::{Box, eventually, kill};

/// The server's answer, more than all buffers on the way hold.
const ANSWER: usize = 8 * 1024 * 1024;

fn program() -> PathBuf {
    static COMPILED: OnceLock<TempDir> = OnceLock::new();
    let folder = COMPILED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/programs/boxed.c");
        let output = folder.path().join("boxed");
        let done = Command::new("cc").arg("-static").arg("-o").arg(&output).arg(source).output();
        let done = done.expect("the tests need a C compiler named cc");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::set_permissions(output, Permissions::from_mode(0o555)).unwrap();
        folder
    });
    folder.path().join("boxed")
}

fn order(boxed: &Box, isolation: Isolation, args: &[&str]) -> Order {
    let mut order = boxed.order("");
    order.plan.program = program();
    "boxed".clone_into(&mut order.plan.name);
    order.plan.args = args.iter().map(|&arg| arg.to_owned()).collect();
    order.plan.isolation = isolation;
    // Root gives each its own; another user has none to give.
    let is_root = fs::metadata(boxed.path()).unwrap().uid() == 0;
    order.plan.uid = is_root.then(|| UID_BASE + std::process::id() % 60_000);
    order
}

fn start(isolation: Isolation, args: &[&str]) -> (Box, Vec<Wall>) {
    let boxed = Box::new();
    let order = order(&boxed, isolation, args);
    match boxed.give(&serde_json::to_vec(&order).unwrap()) {
        Some(Answer::Running { walls, .. }) => (boxed, walls),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_program_leaves_in_its_box_ends_with_it() {
    let (boxed, walls) = start(Isolation::Default, &["leave", "9"]);
    let end = boxed.end();
    assert_eq!((end.code, end.signal), (Some(9), None), "{walls:?}");
    assert_eq!(boxed.text(1), b"left\n");
    assert!(boxed.processes().is_empty());
}

#[test]
fn a_box_is_asked_to_stop_and_is_killed() {
    for (word, signal) in [(ToShim::Signal(15), 15), (ToShim::Kill, 9)] {
        let (boxed, _) = start(Isolation::Default, &["wait"]);
        let mut nexlet = boxed.nexlet();
        nexlet.say(&word);
        nexlet.hear_until(|word| *word == FromShim::Ended);
        let end = boxed.end();
        // A box whose first process is killed with it has nobody to tell the signal.
        assert_eq!((end.code, end.signal.unwrap_or(9)), (None, signal));
    }
}

#[test]
fn a_killed_shim_takes_its_box_along() {
    let (boxed, _) = start(Isolation::Default, &["wait"]);
    let running: Running =
        serde_json::from_slice(&fs::read(boxed.file(SHIM_FILE)).unwrap()).unwrap();
    kill(running.shim.pid);
    eventually("an empty box", || boxed.processes().is_empty().then_some(()));
    fs::remove_file(boxed.file("shim.s")).unwrap();
}

/// Reads to the end of the other half, and then answers.
fn answer(mut connection: TcpStream) {
    let mut question = Vec::new();
    connection.read_to_end(&mut question).unwrap();
    assert_eq!(question, b"ping");
    connection.write_all(&vec![b'x'; ANSWER]).unwrap();
}

#[test]
fn a_strict_box_reaches_the_first_server_that_answers_and_halves_end_by_themselves() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody_there = nobody.local_addr().unwrap();
    drop(nobody);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let boxed = Box::new();
    let mut order = order(&boxed, Isolation::Strict, &["dial"]);
    let servers = vec![nobody_there.to_string(), format!("localhost:{port}")];
    order.relay = Some(Relay { servers });
    match boxed.give(&serde_json::to_vec(&order).unwrap()) {
        Some(Answer::Running { .. }) => {}
        Some(Answer::Failed { message, lacks_wall: true, .. }) => {
            eprintln!("skipped: this host has no strict boxes: {message}");
            return;
        }
        other => panic!("{other:?}"),
    }
    let answering = thread::spawn(move || answer(server.accept().unwrap().0));
    assert_eq!(boxed.end().code, Some(0));
    assert_eq!(boxed.text(1), format!("{ANSWER}\n").as_bytes());
    answering.join().unwrap();
}
