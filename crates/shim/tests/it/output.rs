//! What the program writes: on the disk, bounded, and nobody is deceived about what is missing.

use std::fs;
use std::process::Command;

use nex_shim::{FromShim, ToShim};

use crate::support::{Box, SHIM, eventually};

#[test]
fn output_is_on_the_disk_with_time_and_stream() {
    let program = Box::start("echo one; echo two >&2; printf three");
    let end = program.end();
    assert_eq!(program.text(1), b"one\nthree");
    assert_eq!(program.text(2), b"two\n");
    let records = program.records();
    let mut expected = 0;
    for record in &records {
        assert_eq!(record.offset, expected);
        assert!((end.started..=end.ended + 1_000_000).contains(&record.time));
        expected += 13 + record.text.len() as u64;
    }
    assert_eq!(end.spool_end, expected);
}

#[test]
fn binary_bytes_and_long_lines_survive() {
    let program = Box::new();
    let mut bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    bytes.extend(std::iter::repeat_n(b'x', 100_000));
    fs::write(program.file("input"), &bytes).unwrap();
    let order = serde_json::to_vec(&program.order("cat input; cat input >&2")).unwrap();
    program.give(&order).unwrap();
    program.end();
    assert!(program.text(1) == bytes && program.text(2) == bytes);
}

#[test]
fn a_nexlet_hears_that_there_is_more() {
    let program = Box::start("read never; echo first; sleep 0.2; echo second; exec sleep 1000");
    let mut nexlet = program.nexlet();
    program.wait_for_output("second");
    let end = program.records().last().map(|last| last.offset + 13 + last.text.len() as u64);
    // Said as hello, or as growth: a later one is told the end at once.
    let word = program.nexlet();
    drop(word);
    nexlet.say(&ToShim::Usage);
    let mut told = 0;
    let fits = |word: &FromShim| {
        match word {
            FromShim::Grown(end) => told = *end,
            FromShim::Usage { .. } => return true,
            _ => {}
        }
        false
    };
    nexlet.hear_until(fits);
    if told != end.unwrap() {
        nexlet.hear_until(|word| *word == FromShim::Grown(end.unwrap()));
    }
}

#[test]
fn a_flood_is_bounded_and_its_last_line_and_its_loss_are_there() {
    let flood = "yes 'a line of a flood, as long as lines are' | head -c 60000000; echo last";
    let program = Box::start_with(flood, |order| order.spool_bytes = 256 * 1024);
    let end = program.end();
    assert_eq!(end.code, Some(0));
    let size: u64 = program.segments().iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(size <= 256 * 1024, "{size} bytes on the disk");
    assert!(program.text(1).ends_with(b"\nlast\n"));
    let notice = String::from_utf8(program.text(3)).unwrap();
    assert!(notice.contains("bytes of output were lost: nobody took them in time"), "{notice}");
    let last = program.records().pop().unwrap();
    assert_eq!(last.offset + 13 + last.text.len() as u64, end.spool_end);
}

#[test]
fn every_byte_of_a_flood_is_there_or_told_as_lost() {
    const FLOOD: u64 = 3_000_000;
    let flood = format!("yes | head -c {FLOOD}");
    let program = Box::start_with(&flood, |order| order.spool_bytes = 128 * 1024);
    program.end();
    // Each notice that is still there tells what went since the one before; the others went themselves.
    let kept = program.text(1).len() as u64;
    assert!(kept < FLOOD && kept > 60_000, "{kept} bytes kept");
    assert!(program.segments().len() == 2);
}

#[test]
fn what_was_taken_is_deleted_early_and_not_told_as_lost() {
    // The program goes on when the nexlet has taken what there was.
    let script = "yes 1234567 | head -c 400000; until [ -e go ]; do sleep 0.01; done;
                  yes 7654321 | head -c 500000; echo done; exec sleep 1000";
    let program = Box::start_with(script, |order| order.spool_bytes = 1024 * 1024);
    let mut nexlet = program.nexlet();
    eventually("all of the first part", || (program.text(1).len() == 400_000).then_some(()));
    let last = program.records().pop().unwrap();
    nexlet.say(&ToShim::Taken(last.offset + 13 + last.text.len() as u64));
    nexlet.say(&ToShim::Usage);
    nexlet.hear_until(|word| matches!(word, FromShim::Usage { .. }));
    fs::write(program.file("go"), "").unwrap();
    program.wait_for_output("done");
    let segments = program.segments();
    let last = program.records().pop().unwrap();
    nexlet.say(&ToShim::Taken(last.offset + 13 + last.text.len() as u64));
    eventually("one segment", || (program.segments().len() == 1).then_some(()));
    assert_eq!(program.segments().last(), segments.last());
    nexlet.say(&ToShim::Kill);
    let end = program.end();
    assert_eq!(end.taken, end.spool_end);
    assert!(program.text(3).is_empty());
}

#[test]
fn a_pipe_that_a_stranger_holds_does_not_hold_up_the_end() {
    // The stranger is no descendant: it opens the pipe through /proc.
    let program = Box::start("echo $$; exec sleep 1000");
    program.wait_for_output("\n");
    let pid = String::from_utf8(program.text(1)).unwrap();
    let pipe = fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/1", pid.trim()));
    let held = pipe.unwrap();
    program.nexlet().say(&ToShim::Kill);
    assert_eq!(program.end().signal, Some(9));
    drop(held);
}

#[test]
fn where_the_disk_has_no_room_output_is_lost_and_told_and_the_program_goes_on() {
    let program = Box::new();
    let script = "yes 'a line of many' | head -c 500000; exit 6";
    fs::write(program.file("order"), serde_json::to_vec(&program.order(script)).unwrap()).unwrap();
    // A bound on the size of files fails like a full disk, and on this shim alone.
    let status = Command::new("/bin/sh")
        .args(["-c", "ulimit -f 120; exec \"$0\" < order > answer", SHIM])
        .current_dir(program.path())
        .status();
    assert!(status.unwrap().success());
    let end = program.end();
    assert_eq!(end.code, Some(6));
    assert!(end.spool_end < 200_000, "{} bytes", end.spool_end);
    let notice = String::from_utf8(program.text(3)).unwrap();
    assert!(notice.contains("bytes of output were lost: the disk had no room"), "{notice}");
    let number = |line: &str| line.split(' ').next().unwrap().parse::<usize>().unwrap();
    let lost: usize = notice.lines().map(number).sum();
    assert_eq!(program.text(1).len() + lost, 500_000);
}
