//! `nex apply` and `nex delete` on a terminal: they ask before something that runs is changed.
//!
//! 1. "no", or just Enter, changes nothing, exit 1; "y" goes on.
//! 2. What only creates is not asked about, and `--yes` asks nothing.
//!
//! A terminal is made by Python's `pty`; without Python the test says so.

use std::process::Command;
use std::time::Duration;

use nex_testkit::{Process, python};

use crate::guests::ECHO;
use crate::world::World;

const ENDED: Duration = Duration::from_secs(60);

/// Runs a command on a terminal of its own, answers its question if there is one, and prints what it said.
const TERMINAL: &str = r"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
said, answered = b'', False
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    if b'[y/N]' in said and not answered:
        answered = True
        os.write(terminal, sys.argv[1].encode() + b'\n')
_, status = os.waitpid(child, 0)
print('asked' if answered else 'not asked', os.waitstatus_to_exitcode(status))
sys.stdout.write(said.decode())
";

impl World {
    /// Whether it asked, and the exit code.
    async fn on_a_terminal(&self, answer: &str, arguments: &[&str]) -> String {
        let nex = self.nex.command(arguments);
        let mut command = Command::new(python().unwrap());
        command.args(["-c", TERMINAL, answer]).arg(nex.get_program()).args(nex.get_args());
        command.env_clear().current_dir(self.nex.work_dir());
        for (name, value) in nex.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let mut process = Process::spawn(command).unwrap();
        let status = process.exit(ENDED).await.unwrap();
        assert!(status.success(), "{}", process.stderr());
        let said = String::from_utf8_lossy(&process.stdout()).into_owned();
        said.lines().next().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn a_terminal_is_asked_before_something_that_runs_is_changed() {
    if python().is_none() {
        println!("passed over: there is no Python to make a terminal with");
        return;
    }
    let world = World::up().await;
    world.file("echo.js", ECHO);
    let nexfile = |subject: &str| format!("file: ./echo.js\ntriggers: [{subject}]\n");
    let apply = ["apply", "-f", "a.yaml"];
    world.file("a.yaml", nexfile("t.1"));
    assert_eq!(world.on_a_terminal("n", &apply).await, "not asked 0");
    let ids = world.ids().await;

    world.file("a.yaml", nexfile("t.2"));
    for answer in ["n", "", "what?"] {
        assert_eq!(world.on_a_terminal(answer, &apply).await, "asked 1");
    }
    assert_eq!(world.ids().await, ids);
    assert_eq!(world.on_a_terminal("y", &apply).await, "asked 0");
    assert_eq!(world.ask("t.2", "x").await.payload, "x");
    world.file("a.yaml", nexfile("t.3"));
    assert_eq!(world.on_a_terminal("n", &[&apply[..], &["--yes"]].concat()).await, "not asked 0");

    let delete = ["delete", "-f", "a.yaml"];
    assert_eq!(world.on_a_terminal("n", &delete).await, "asked 1");
    assert_eq!(world.ids().await.len(), 1);
    assert_eq!(world.on_a_terminal("yes", &delete).await, "asked 0");
    assert_eq!(world.on_a_terminal("n", &delete).await, "not asked 0");
    assert!(world.ids().await.is_empty());
    world.finish().await;
}
