//! What a box is made of, as it travels from the nexlet to the shim.
//!
//! Owns: the shape of it. Never: builds anything.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A program and the box around it. `Debug` hides what may be secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The verified program on the host: mode 0555, in a folder that only the node's user can enter.
    pub program: PathBuf,
    /// Its name: `argv[0]`, and in the box its path `/app/<name>`.
    pub name: String,
    /// Arguments after the name.
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// Working directory of a program without a box; in one it is `/home`.
    pub directory: PathBuf,
    /// How strong the box is.
    pub isolation: Isolation,
    /// Walls that this host lacks are left out instead of refusing to start (`--allow-weak-sandbox`).
    pub allow_weak: bool,
    /// The host's uid and gid for the program, where the caller is root; else it keeps the caller's.
    pub uid: Option<u32>,
    /// What it may use.
    pub limits: Limits,
    /// Name of its control group, unique on this machine.
    pub group: String,
    /// The only TCP ports that it may listen on, where landlock can tell; `None`: any.
    pub ports: Option<Vec<u16>>,
    /// Host paths that it sees.
    pub mounts: Vec<Mount>,
    /// A folder with its credentials, seen read-only at `/run/nex`; renewed from outside.
    pub credentials: Option<PathBuf>,
}

/// How strong a box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// No box: a session of its own, and limits where control groups can be made.
    None,
    /// All walls; the host's network.
    Default,
    /// All walls, and a network of its own with a listener on 127.0.0.1:4222 and nothing else.
    Strict,
}

/// What a program may use. `None`: as much as there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory, swap excluded.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub cpu_millis: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Open files.
    pub files: Option<u32>,
    /// Bytes of `/tmp`, `/home` and `/dev/shm` together.
    pub tmp: Option<u64>,
}

/// A host path that a program sees, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// On the host.
    pub source: PathBuf,
    /// In the box; absolute.
    pub target: PathBuf,
}

/// One wall of a box, by the name that `nex info` and `nex doctor` show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wall {
    /// The box's ids are its own; its powers end at its border.
    UserNamespace,
    /// A root of its own.
    MountNamespace,
    /// It sees and signals its own processes alone.
    PidNamespace,
    /// With `strict` only: no network but the listener.
    NetworkNamespace,
    /// `/proc` shows the box's own processes. Without this wall there is no `/proc`.
    Proc,
    /// A uid that no other workload has.
    OwnUid,
    /// `no_new_privs` and empty capability sets.
    NoNewPrivileges,
    /// Calls that are not on the list are refused.
    Seccomp,
    /// Files, and where the kernel can signals and abstract sockets, a second time.
    Landlock,
    /// Only the ports that were asked for can be listened on.
    Ports,
    /// A control group bounds memory.
    MemoryLimit,
    /// A control group bounds the processor.
    CpuLimit,
    /// A control group bounds processes.
    PidsLimit,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.name)
            .field("isolation", &self.isolation)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
