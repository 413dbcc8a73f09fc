//! A shim beside a program, as a real process.
//!
//! 1. What the program writes is on the disk, with time and stream, byte for byte.
//! 2. How it ended is on the disk, and nothing else is left.
//! 3. The shim outlives who started it; it is asked and told through its socket, by several at once.
//! 4. Killing ends the whole tree; a killed shim takes its program along.
//! 5. The disk it uses is bounded, and what was lost is told.
//! 6. A hostile connection harms nobody.
//! 7. In a box all of this holds, and a strict one reaches its servers through the shim.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "the shim is started as a nexlet would, and its starter killed"
)]

mod boxed;
mod ends;
mod nexlet;
mod orders;
mod outlives;
mod output;
mod rudeness;
mod support;
