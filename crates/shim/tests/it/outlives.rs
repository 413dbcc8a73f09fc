//! The shim goes on without whoever started it.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use nex_shim::{Running, SHIM_FILE, SPOOL_FOLDER, ToShim};

use crate::support::{Box, SHIM, eventually, is_alive};

#[test]
fn it_lives_on_when_its_starter_is_killed() {
    let program = Box::new();
    let script = "echo before; until [ -e go ]; do sleep 0.01; done; echo after; exec sleep 1000";
    let order = serde_json::to_vec(&program.order(script)).unwrap();
    fs::write(program.file("order"), order).unwrap();
    let mut starter = Command::new("/bin/sh")
        .args(["-c", "\"$0\" < order > answer; echo started; exec sleep 1000", SHIM])
        .current_dir(program.path())
        .stdin(Stdio::null())
        .stdout(File::create(program.file("log")).unwrap())
        .spawn()
        .unwrap();
    eventually("its answer", || {
        fs::read(program.file("answer")).ok().filter(|a| a.ends_with(b"\n"))
    });
    program.wait_for_output("before");
    starter.kill().unwrap();
    starter.wait().unwrap();

    let mut nexlet = program.nexlet();
    fs::write(program.file("go"), "").unwrap();
    program.wait_for_output("after");
    let running: Running =
        serde_json::from_slice(&fs::read(program.file(SHIM_FILE)).unwrap()).unwrap();
    assert!(running.shim.is_alive() && running.program.is_alive());
    assert_ne!(running.shim.pid, running.program.pid);
    nexlet.say(&ToShim::Kill);
    program.end();
    eventually("no shim", || (!is_alive(running.shim.pid)).then_some(()));
}

#[test]
fn it_has_no_terminal_no_parent_and_nothing_open_of_its_starter() {
    let program = Box::new();
    fs::write(
        program.file("order"),
        serde_json::to_vec(&program.order("exec sleep 1000")).unwrap(),
    )
    .unwrap();
    // The starter's descriptor 7 is inherited by what it starts.
    let status = Command::new("/bin/sh")
        .args(["-c", "exec 7>left-open; \"$0\" < order > answer", SHIM])
        .current_dir(program.path())
        .status();
    assert!(status.unwrap().success());
    let running: Running =
        serde_json::from_slice(&eventually("shim.json", || fs::read(program.file(SHIM_FILE)).ok()))
            .unwrap();
    let open: Vec<String> = fs::read_dir(format!("/proc/{}/fd", running.shim.pid))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .map(|link| link.display().to_string())
        .collect();
    assert!(!open.iter().any(|link| link.contains("left-open")), "{open:?}");
    let stat = fs::read_to_string(format!("/proc/{}/stat", running.shim.pid)).unwrap();
    let (name, fields) = stat.rsplit_once(") ").unwrap();
    assert!(name.ends_with("(nex-shim"), "{name}");
    let fields: Vec<&str> = fields.split(' ').collect();
    assert_ne!(fields[1], std::process::id().to_string());
    // It leads no session, so that no terminal can become its own.
    assert_ne!(fields[3], running.shim.pid.to_string());
    assert_eq!(fields[4], "0");
    assert!(program.file(SPOOL_FOLDER).is_dir());
}
