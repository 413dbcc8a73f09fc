//! What stands in a workload's folder.
//!
//! Owns: the names and shapes of the files, all with a dot, since programs have none. Never: holds anything
//! secret.
//!
//! The spool: files `shim.spool/<offset>`, named by the offset of their first byte in 20 decimal digits. Records
//! follow each other: time (8 bytes, microseconds since 1970), stream (1 byte: 1 stdout, 2 stderr, 3 a
//! notice of the shim's own), length (4 bytes), the bytes; numbers are little-endian. Of the newlines in a
//! record one is its last byte, or it has none: a record is whole lines, or a piece of one. Offsets count
//! bytes of records since the program's start, over all files.

use nex_sandbox::ProcessIdentity;
use nex_sandbox::jail::Wall;
use serde::{Deserialize, Serialize};

/// The socket, in the workload's folder; bound relative to it, since such paths are short.
pub const SOCKET: &str = "shim.s";
/// [`Running`], written by rename.
pub const SHIM_FILE: &str = "shim.json";
/// [`End`], written by rename after the spool is complete; the shim ends then.
pub const END_FILE: &str = "end.json";
/// The spool's folder.
pub const SPOOL_FOLDER: &str = "shim.spool";

/// What a nexlet that did not start the shim must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Newest version of the words that the shim speaks.
    pub version: u32,
    /// The shim.
    pub shim: ProcessIdentity,
    /// The program's first process, seen from the host.
    pub program: ProcessIdentity,
    /// Microseconds since 1970.
    pub started: u64,
    /// The control group's name, to be swept if the shim is killed.
    pub group: String,
    /// The walls in force.
    pub walls: Vec<Wall>,
}

/// How the program ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its exit code, when it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel killed something in the box since its memory was used up.
    pub out_of_memory: bool,
    /// The limit of processes was reached at least once.
    pub out_of_pids: bool,
    /// Microseconds since 1970.
    pub started: u64,
    /// Microseconds since 1970.
    pub ended: u64,
    /// Largest memory in bytes, where a group counted it.
    pub memory_peak: Option<u64>,
    /// Microseconds of processor of the whole run, where they were counted.
    #[serde(default)]
    pub cpu: Option<u64>,
    /// Offset of the spool's end.
    pub spool_end: u64,
    /// Offset up to which a nexlet had taken it.
    pub taken: u64,
}
