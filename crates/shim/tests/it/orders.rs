//! Orders that are none, and starts that fail.

use std::fs;

use nex_shim::Answer;

use crate::support::Box;

fn refusal(answer: Option<Answer>) -> (String, String) {
    match answer {
        Some(Answer::Failed { step, message, lacks_wall: false }) => (step, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_that_is_not_there_is_told_and_nothing_is_left() {
    let program = Box::new();
    let mut order = program.order("");
    order.plan.program = "/no/such/program".into();
    let (_, message) = refusal(program.give(&serde_json::to_vec(&order).unwrap()));
    assert!(message.contains("No such file"), "{message}");
    assert_eq!(fs::read_dir(program.path()).unwrap().count(), 0);
}

#[test]
fn rubbish_is_no_order_and_is_not_repeated() {
    let program = Box::new();
    let (step, message) = refusal(program.give(b"{\"version\":\"my secret\"}"));
    assert_eq!(step, "order");
    assert!(!message.contains("secret"), "{message}");
    refusal(program.give(b""));
    let (_, message) = refusal(program.give(&vec![b' '; 4 * 1024 * 1024 + 1]));
    assert!(message.contains("4 MiB"), "{message}");
    assert_eq!(fs::read_dir(program.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_has_one_shim_and_can_be_used_again() {
    let program = Box::start("exec sleep 1000");
    let order = serde_json::to_vec(&program.order("echo again; exit 4")).unwrap();
    let (step, message) = refusal(program.give(&order));
    assert_eq!(step, "folder");
    assert!(message.contains("another shim"), "{message}");
    program.nexlet().say(&nex_shim::ToShim::Kill);
    program.end();
    assert!(matches!(program.give(&order), Some(Answer::Running { .. })));
    assert_eq!(program.end().code, Some(4));
    assert_eq!(program.text(1), b"again\n");
}
