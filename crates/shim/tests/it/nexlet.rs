//! Several nexlets at once, and later versions of them.

use std::io::Write;

use nex_shim::{FromShim, ToShim};

use crate::support::Box;

#[test]
fn two_nexlets_are_both_told_and_both_heard() {
    let script = "trap 'echo again' USR1; echo ready; while :; do sleep 0.01; done";
    let program = Box::start(script);
    program.wait_for_output("ready");
    let (mut old, mut new) = (program.nexlet(), program.nexlet());
    new.say(&ToShim::Signal(10));
    let grown = old.hear_until(|word| matches!(word, FromShim::Grown(_)));
    assert_eq!(new.hear_until(|word| matches!(word, FromShim::Grown(_))), grown);
    old.say(&ToShim::Usage);
    old.hear_until(|word| matches!(word, FromShim::Usage { .. }));
    drop(old);
    new.say(&ToShim::Kill);
    new.hear_until(|word| *word == FromShim::Ended);
}

#[test]
fn words_of_a_later_version_are_passed_over() {
    let program = Box::start("exec sleep 1000");
    let mut nexlet = program.connect();
    nexlet.stream.write_all(b"hello 9\nfreeze 12 now\nusage of-late\n").unwrap();
    assert!(matches!(nexlet.hear(), Some(FromShim::Hello { version: 1, .. })));
    assert!(matches!(nexlet.hear(), Some(FromShim::Usage { .. })));
}
