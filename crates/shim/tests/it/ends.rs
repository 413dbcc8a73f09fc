//! How a program ends, and that nothing stays.

use std::fs;

use nex_shim::{Answer, FromShim, Running, SHIM_FILE, ToShim};

use crate::support::{Box, eventually, is_alive, kill};

#[test]
fn an_exit_code_is_on_the_disk() {
    let end = Box::start("exit 42").end();
    assert_eq!((end.code, end.signal), (Some(42), None));
    assert!(end.started <= end.ended);
}

#[test]
fn a_signal_is_on_the_disk() {
    let end = Box::start("kill -SEGV $$").end();
    assert_eq!((end.code, end.signal), (None, Some(11)));
}

#[test]
fn nothing_is_left_but_the_end_and_the_spool() {
    let program = Box::start("echo out; (setsid sleep 1000 &); exit 3");
    program.end();
    let mut names: Vec<String> = fs::read_dir(program.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["end.json", "shim.spool"]);
    assert!(program.processes().is_empty());
}

#[test]
fn a_nexlet_that_is_connected_hears_the_end() {
    let program = Box::start("read line; exec sleep 1000");
    let mut nexlet = program.nexlet();
    nexlet.say(&ToShim::Kill);
    nexlet.hear_until(|word| *word == FromShim::Ended);
    assert!(program.file("end.json").exists());
    assert_eq!(nexlet.hear(), None);
}

#[test]
fn a_signal_reaches_the_program() {
    let program =
        Box::start("trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    program.wait_for_output("ready");
    program.nexlet().say(&ToShim::Signal(15));
    let end = program.end();
    assert_eq!(end.code, Some(7));
    assert_eq!(program.text(1), b"ready\nasked\n");
}

#[test]
fn killing_ends_the_whole_tree() {
    let script = "(setsid sh -c 'sleep 1000 & sleep 1001' &); sleep 1002 & echo ready; wait";
    let program = Box::start(script);
    program.wait_for_output("ready");
    eventually("the tree", || (program.processes().len() >= 5).then_some(()));
    program.nexlet().say(&ToShim::Kill);
    assert_eq!(program.end().signal, Some(9));
    assert!(program.processes().is_empty());
}

#[test]
fn a_killed_shim_takes_its_program_along() {
    let program = Box::start("echo ready; exec sleep 1000");
    program.wait_for_output("ready");
    let running: Running =
        serde_json::from_slice(&fs::read(program.file(SHIM_FILE)).unwrap()).unwrap();
    assert!(running.shim.is_alive() && running.program.is_alive());
    kill(running.shim.pid);
    eventually("no program", || (!running.program.is_alive()).then_some(()));
    assert!(!program.file("end.json").exists());
    // What it could not remove itself.
    fs::remove_file(program.file("shim.s")).unwrap();
}

#[test]
fn a_shim_that_is_asked_to_end_asks_its_program() {
    let program = Box::new();
    let order = program.order("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    let answer = program.give(&serde_json::to_vec(&order).unwrap());
    let Some(Answer::Running { shim_pid, .. }) = answer else { panic!("{answer:?}") };
    program.wait_for_output("ready");
    nex_sandbox::signal(shim_pid, nex_sandbox::Signal::SIGHUP);
    nex_sandbox::signal(shim_pid, nex_sandbox::Signal::SIGTERM);
    assert_eq!(program.end().code, Some(5));
    eventually("no shim", || (!is_alive(shim_pid)).then_some(()));
}
