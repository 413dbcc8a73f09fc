//! Nodes, with a shell script in the place of `nex`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nex_testkit::{NatsServer, Nex, NexOptions};
use tempfile::TempDir;

const STAND_IN: &str = r#"#!/bin/sh
case "$1" in
up)
    sleep 1000 & child=$!
    trap 'kill $child; exit 0' TERM
    [ -n "$NATS_URL" ] || echo "NATS: nats://127.0.0.1:4223 (managed)"
    echo "ready in 3 ms"
    while :; do wait; done ;;
leak) echo > "$HOME/stray" ;;
call) cat ;;
*) echo "no such command: $1" >&2; exit 2 ;;
esac
"#;

struct StandIn(TempDir);

impl StandIn {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nex");
        std::fs::write(&path, STAND_IN).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn options(&self, options: NexOptions) -> NexOptions {
        options.binary(self.0.path().join("nex"))
    }

    fn managed(&self) -> NexOptions {
        self.options(Nex::managed())
    }
}

#[tokio::test]
async fn a_node_is_up_runs_commands_and_leaves_nothing() {
    let stand_in = StandIn::new();
    let server = NatsServer::start().await;
    let nex = stand_in.options(Nex::against(&server)).up().await;
    assert_eq!(nex.url(), server.url());
    assert_eq!(nex.run_with_input(&["call"], b"heya".to_vec()).await.exits(0).stdout, b"heya");
    let refused = nex.run(&["nonsense"]).await.exits(2);
    assert!(refused.stderr.contains("no such command"), "{refused}");
    nex.finish().await;
}

#[tokio::test]
async fn the_managed_server_s_url_is_read_from_what_up_prints() {
    let nex = StandIn::new().managed().up().await;
    assert_eq!(nex.url(), "nats://127.0.0.1:4223");
}

#[tokio::test]
async fn a_killed_node_can_be_started_again() {
    let stand_in = StandIn::new();
    let mut nex = stand_in.managed().up().await;
    let first = nex.id();
    nex.kill9().await;
    let left = nex.left_behind();
    assert_eq!(left.len(), 1, "its child goes on: {left:?}");
    nex.up_again().await;
    assert_ne!(nex.id(), first);
    nex.terminate().await;
    assert_eq!(nex.left_behind(), left);
}

#[tokio::test]
async fn stray_files_are_told_and_a_drop_ends_everything() {
    let stand_in = StandIn::new();
    let nex = stand_in.managed().up().await;
    nex.ok(&["leak"]).await;
    let processes = nex.processes();
    assert_eq!(processes.len(), 2, "{processes:?}");
    let left = nex.left_behind();
    assert!(left.iter().any(|line| line.ends_with("home/stray")), "{left:?}");
    drop(nex);
    nex_testkit::eventually("all are gone", Duration::from_secs(5), async || {
        let alive = processes.iter().filter(|entry| is_alive(entry.pid)).collect::<Vec<_>>();
        if alive.is_empty() { Ok(()) } else { Err(format!("{alive:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_never_gets_ready_is_told_with_its_output() {
    let stand_in = StandIn::new();
    let broken: PathBuf = stand_in.0.path().join("nex");
    std::fs::write(&broken, "#!/bin/sh\necho 'no room' >&2; exit 1\n").unwrap();
    let failure = stand_in.managed().try_up().await.unwrap_err();
    assert!(failure.to_string().contains("no room"), "{failure}");
}

/// A zombie whose new parent does not collect it counts as gone.
fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
