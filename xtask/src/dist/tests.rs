//! The archive as its user has it: checked, unpacked, and all that a machine needs besides a nats-server.

use std::path::Path;
use std::process::Command;

use nex_testkit::{Nex, find_nats_server, nex_binary, root};

use super::*;

fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn packed(out: &Path) -> Packed {
    let program = Program::read(&root(), &nex_binary().unwrap()).unwrap();
    pack(&root(), &program, out, 1_700_000_000, Compression::FAST).unwrap()
}

/// Unpacks it with the machine's own tar; the one folder that it makes.
fn unpacked(archive: &Path, at: &Path) -> PathBuf {
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(archive).arg("--directory").arg(at);
    said(tar);
    let file = archive.file_name().unwrap().to_string_lossy().into_owned();
    at.join(file.strip_suffix(".tar.gz").unwrap())
}

#[test]
fn the_archive_is_nobody_s_sorted_and_has_its_checksum_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let packed = packed(folder.path());
    let mut check = Command::new("sha256sum");
    check.arg("--check").arg(&packed.checksum).current_dir(folder.path());
    assert!(said(check).ends_with(".tar.gz: OK\n"));

    let mut list = Command::new("tar");
    list.args(["--list", "--verbose", "--numeric-owner", "--utc", "--full-time", "--file"]);
    let list = said({
        list.arg(&packed.archive);
        list
    });
    let mut paths = Vec::new();
    for line in list.lines() {
        assert!(line.contains(" 0/0 ") && line.contains(" 2023-11-14 22:13:20 "), "{line}");
        let (mode, path) = (&line[..10], line.split_whitespace().last().unwrap());
        let path = path.split_once('/').unwrap().1;
        assert_eq!(mode, if path == "nex" { "-rwxr-xr-x" } else { "-rw-r--r--" }, "{line}");
        paths.push(path.to_owned());
    }
    let expected = [
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "completions/_nex",
        "completions/nex.bash",
        "completions/nex.fish",
        "examples/echo.js",
        "nex",
        "nex.service",
    ];
    assert_eq!(paths, expected);
}

/// No checkout, no cargo, an empty home: a nats-server on PATH, and what was unpacked.
#[tokio::test]
async fn a_newcomer_needs_nothing_but_the_archive_and_a_nats_server() {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = unpacked(&packed(folder.path()).archive, folder.path());
    for file in ["nex.bash", "nex.fish", "_nex"] {
        let script = std::fs::read_to_string(unpacked.join("completions").join(file)).unwrap();
        let built = nex_binary().unwrap();
        assert!(!script.contains(built.to_str().unwrap()), "{file} names this machine's: {script}");
    }
    let programs = folder.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let nats_server = find_nats_server(|_| {}).unwrap();
    std::os::unix::fs::symlink(nats_server, programs.join("nats-server")).unwrap();

    let nex = Nex::managed()
        .binary(unpacked.join("nex"))
        .environment("PATH", &programs.display().to_string())
        // Set to nothing says nothing: it is found on PATH.
        .environment("NEX_NATS_SERVER", "");
    let nex = nex.up().await;
    let echo = unpacked.join("examples/echo.js").display().to_string();
    nex.ok(&["run", &echo, "--on", "js.echo"]).await;
    assert_eq!(nex.ok(&["call", "echo", "hello"]).await.text(), "hello");
    let list = nex.ok(&["ls"]).await.text();
    assert!(list.contains("echo"), "{list}");
    assert!(nex.ok(&["explain", "NEX-222"]).await.text().contains("NEX-222"));
    nex.ok(&["stop", "echo"]).await;
    nex.finish().await;
}

#[test]
fn a_binary_that_is_not_this_tree_s_is_refused() {
    let refused = Program::read(&root(), Path::new("/bin/true")).unwrap_err();
    assert!(format!("{refused:#}").contains("version"), "{refused:#}");
    let refused = Program::read(&root(), Path::new("no/such/nex")).unwrap_err();
    assert!(format!("{refused:#}").contains("no/such/nex"), "{refused:#}");
}
