//! `nex node upgrade`: the program on disk takes the place of node and nexlets.
//!
//! 1. 64 callers without a pause lose no call; ids and the node's process stay, functions move to a new
//!    nexlet, services keep their pids.
//! 2. With the same program on disk only the node starts anew; nobody else is touched.
//! 3. A program that does not run is refused, and the node goes on.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nex_testkit::{NatsServer, Nex, Signal, echo_service, eventually, nex_binary};
use tempfile::TempDir;

use crate::guests::ECHO;
use crate::killed::{pids_but, process, program};
use crate::load::Load;
use crate::world::{SOON, World, assert_refused, seat};

/// A nex of this test's own, which can be replaced on disk.
struct Installed {
    folder: TempDir,
}

impl Installed {
    fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        fs::copy(nex_binary().unwrap(), this.path()).unwrap();
        this
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("nex")
    }

    /// Another file in its place, as a package manager puts it there.
    fn replace(&self, make: impl FnOnce(&Path)) {
        let new = self.folder.path().join("nex.new");
        make(&new);
        fs::rename(new, self.path()).unwrap();
    }

    async fn up(&self) -> World {
        let seat = seat().await;
        let server = NatsServer::start().await;
        let nex = Nex::against(&server).binary(self.path()).up().await;
        let client = server.client().await;
        World::of(server, nex, client, seat)
    }
}

#[tokio::test]
async fn an_upgrade_loses_no_call() {
    let installed = Installed::new();
    let world = installed.up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.nex.ok(&["run", &echo_service().unwrap().display().to_string()]).await;
    world.until_answered("svc.echo", "x", "x").await;
    let ids = world.ids().await;
    let before = process(&world.nex, "nexlet javascript");
    let service = program(&world.nex, "echo-service").pid;
    let load = Load::on(&world.client, "js.echo", 64);
    let served = Load::on(&world.client, "svc.echo", 4);

    installed.replace(|new| {
        fs::copy(nex_binary().unwrap(), new).unwrap();
        let mut file = fs::File::options().append(true).open(new).unwrap();
        file.write_all(b"another build").unwrap();
    });
    let said = world.nex.ok(&["node", "upgrade"]).await.text();
    assert!(said.contains("upgraded"), "{said}");
    eventually("the old nexlet has finished its calls", SOON * 2, async || {
        let all = world.nex.processes().into_iter();
        let now: Vec<_> = all.filter(|p| p.command.contains("nexlet javascript")).collect();
        if now.len() == 1 && now[0].pid != before.pid { Ok(()) } else { Err(now) }
    })
    .await;
    assert!(load.all_were_answered().await > 64);
    assert!(served.all_were_answered().await > 4);
    assert_eq!(program(&world.nex, "echo-service").pid, service, "it never stopped");
    assert_eq!(world.ids().await, ids);
    let mut processes = world.nex.processes();
    processes.retain(|process| !process.command.contains("nexlet compiler"));
    // The node, three nexlets, and the service with its shim and the first process of its box.
    assert_eq!(processes.len(), 7, "{processes:#?}");
    world.nex.ok(&["stop", "echo", "echo-service"]).await;
    assert_eq!(world.ids().await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn with_the_same_program_only_the_node_starts_anew() {
    let world = World::up().await;
    world.deploy("echo.js", ECHO, "js.echo").await;
    let (ids, node) = (world.ids().await, world.nex.id());
    let others = pids_but(&world.nex, node);
    let load = Load::on(&world.client, "js.echo", 16);
    let started = started(&world).await;
    process(&world.nex, " up ").signal(Signal::SIGHUP);
    eventually("another life of the node has begun", SOON, async || {
        let now = self::started(&world).await;
        if !now.is_null() && now != started { Ok(()) } else { Err(now) }
    })
    .await;
    eventually("it lists what runs", SOON, async || {
        let seen = world.ids().await;
        if seen == ids { Ok(()) } else { Err(seen) }
    })
    .await;
    load.all_were_answered().await;
    assert_eq!(pids_but(&world.nex, node), others);
    world.finish().await;
}

#[tokio::test]
async fn a_program_that_does_not_run_is_refused() {
    let installed = Installed::new();
    let world = installed.up().await;
    let before = pids_but(&world.nex, 0);
    installed.replace(|new| {
        fs::write(new, "#!/bin/sh\necho broken; exit 1\n").unwrap();
        fs::set_permissions(new, fs::Permissions::from_mode(0o755)).unwrap();
    });
    // The command that asks is a good one.
    let mut command = std::process::Command::new(nex_binary().unwrap());
    command.args(["node", "upgrade"]).env_clear().env("NEX_STATE_DIR", world.nex.state_dir());
    command.env("HOME", world.nex.work_dir());
    let refused = command.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("the node goes on as it is"), "{said}");
    assert_eq!(pids_but(&world.nex, 0), before);
    installed.replace(|new| {
        fs::copy(nex_binary().unwrap(), new).unwrap();
    });
    world.deploy("echo.js", ECHO, "js.echo").await;
    world.finish().await;
}

#[tokio::test]
async fn without_a_node_there_is_nothing_to_upgrade() {
    let _seat = seat().await;
    let server = NatsServer::start().await;
    let nex = Nex::against(&server).down();
    assert_refused(nex.run(&["node", "upgrade"]).await, 1, &["no node is ready"], "--state-dir");
}

async fn started(world: &World) -> serde_json::Value {
    let nodes = world.nex.run(&["nodes", "--json"]).await;
    match nodes.code {
        0 => nodes.json().pointer("/0/start_time").cloned().unwrap_or_default(),
        _ => serde_json::Value::Null,
    }
}
