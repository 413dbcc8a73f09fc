//! What the shim and the nexlet say to each other, and what the shim leaves on the disk.
//!
//! Owns: the order, the files of a workload's folder, the words on the socket. Never: starts anything;
//! `main.rs` is the process, and the nexlet's half is in `nex-services`.
//!
//! ```text
//! nexlet ── stdin: one Order, as JSON, to its end ──────► shim (forks twice: it leaves the nexlet's tree)
//! nexlet ◄─ stdout: one Answer, as JSON, then closed ──── shim
//! nexlet ◄─ socket:     lines of words, versioned ──────► shim
//! disk:     shim.json · shim.spool/<offset> · at the end end.json, and the shim is gone
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod files;
mod order;
mod words;

pub use files::{END_FILE, End, Running, SHIM_FILE, SOCKET, SPOOL_FOLDER};
pub use order::{Answer, Order, Relay};
pub use words::{FromShim, OLDEST_VERSION, ToShim, VERSION, WordsError};
