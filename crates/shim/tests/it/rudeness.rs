//! Connections that mean harm, or are broken: they go, and everybody else stays.

use std::io::Write;

use nex_shim::{FromShim, ToShim};

use crate::support::{Box, Nexlet};

fn assert_answers(nexlet: &mut Nexlet) {
    nexlet.say(&ToShim::Usage);
    nexlet.hear_until(|word| matches!(word, FromShim::Usage { .. }));
}

#[test]
fn what_is_no_word_ends_a_connection() {
    let program = Box::start("exec sleep 1000");
    let mut nexlet = program.nexlet();
    let long = [b'x'; 300];
    let rubbish: [&[u8]; 6] = [
        b"usage\n",
        b"hello 0\n",
        b"\xff\xfe\x00\n",
        b"hello 1\nus\x07age\n",
        b"hello 1\ntaken 99999999999\n",
        &long,
    ];
    for bytes in rubbish {
        let mut rude = program.connect();
        rude.stream.write_all(bytes).unwrap();
        while rude.hear().is_some() {}
        assert_answers(&mut nexlet);
    }
}

#[test]
fn silent_connections_make_room() {
    let program = Box::start("exec sleep 1000");
    let mut nexlet = program.nexlet();
    let silent: Vec<Nexlet> = (0..20).map(|_| program.connect()).collect();
    let mut new = program.nexlet();
    assert_answers(&mut nexlet);
    assert_answers(&mut new);
    drop(silent);
}

#[test]
fn a_fifth_nexlet_is_sent_away() {
    let program = Box::start("exec sleep 1000");
    let mut nexlets: Vec<Nexlet> = (0..4).map(|_| program.nexlet()).collect();
    let mut fifth = program.connect();
    let _refused = fifth.stream.write_all(b"hello 1\n");
    assert_eq!(fifth.hear(), None);
    nexlets.iter_mut().for_each(assert_answers);
}

#[test]
fn one_that_asks_and_does_not_read_is_dropped() {
    let program = Box::start("exec sleep 1000");
    let mut nexlet = program.nexlet();
    let mut deaf = program.connect();
    deaf.stream.write_all(b"hello 1\n").unwrap();
    // The kernel takes some of the answers, the shim a few more.
    let asked = std::iter::repeat_n(b"usage\n", 2_000_000);
    let refused = asked.into_iter().find_map(|question| deaf.stream.write_all(question).err());
    assert!(refused.is_some(), "the shim holds two million answers");
    assert_answers(&mut nexlet);
}

#[test]
fn a_flood_of_output_holds_up_neither_words_nor_signals() {
    let program = Box::start("exec yes 'a flood without an end'");
    let mut nexlet = program.nexlet();
    for _ in 0..20 {
        assert_answers(&mut nexlet);
    }
    nexlet.say(&ToShim::Signal(15));
    assert_eq!(program.end().signal, Some(15));
}
