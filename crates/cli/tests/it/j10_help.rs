//! J10: the help of every command, word for word.
//!
//! `tests/data/help.txt` is what people read; a change of a flag shows there. It is written anew by
//! running this test with `NEX_UPDATE_GOLDEN=1`.

use std::fmt::Write as _;
use std::path::Path;

use nex_testkit::Nex;

use crate::j10_every_command::commands;

#[tokio::test]
async fn j10_the_help_of_every_command_is_as_written_down() {
    let nex = Nex::managed().environment("COLUMNS", "100").down();
    let mut all = String::new();
    let whole: [&[&str]; 3] =
        [&["--help"], &["node", "up", "--help"], &["workload", "start", "--help"]];
    let known = commands(&nex).await;
    let brief: Vec<Vec<&str>> = known
        .iter()
        .map(|command| command.path.iter().map(String::as_str).chain(["-h"]).collect())
        .collect();
    for arguments in whole.iter().copied().chain(brief.iter().map(Vec::as_slice)) {
        let help = nex.ok(arguments).await.text();
        write!(all, "$ nex {}\n\n{help}\n", arguments.join(" ")).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/help.txt");
    if std::env::var_os("NEX_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &all).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    for (now, before) in all.lines().zip(written.lines()) {
        assert_eq!(now, before, "the help has changed; if it should: NEX_UPDATE_GOLDEN=1");
    }
    assert_eq!(all.lines().count(), written.lines().count(), "NEX_UPDATE_GOLDEN=1 writes it anew");
}
