//! Each error code is named by a test of some crate, which provokes it.

use std::path::Path;

use nex_api::Code;

/// What no test provokes, and why.
const NOT_PROVOKED: &[(Code, &str)] = &[
    (Code::NodeFailed, "its causes are failures of the disk, of NATS, or of Nex itself"),
    (Code::NexletSilent, "a nexlet that says nothing is waited for longer than a test should take"),
    (Code::SpawnFailed, "the system must be out of processes, or the sandbox unavailable"),
];

#[test]
fn every_error_code_is_provoked_by_a_test() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tests = String::new();
    for member in std::fs::read_dir(crates).unwrap() {
        read_all(&member.unwrap().path().join("tests"), &mut tests);
    }
    for code in Code::ALL {
        let is_named = tests.contains(&code.to_string());
        let is_excused = NOT_PROVOKED.iter().any(|(excused, _)| excused == code);
        assert!(is_named || is_excused, "no test provokes {code}");
        assert!(
            !(is_named && is_excused),
            "{code} is provoked by a test now: remove it from the list"
        );
    }
}

fn read_all(path: &Path, into: &mut String) {
    if path.is_file() {
        into.push_str(&std::fs::read_to_string(path).unwrap_or_default());
    } else if let Ok(folder) = std::fs::read_dir(path) {
        for entry in folder {
            read_all(&entry.unwrap().path(), into);
        }
    }
}
