//! How much room there is.
//!
//! Owns: asking the kernel. Never: says how much is enough.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// Bytes that an ordinary user may still write on the file system of `path`, which must be there.
#[must_use]
pub fn free_space(path: &Path) -> Option<u64> {
    let statistics = statvfs(path).ok()?;
    Some(statistics.blocks_available().saturating_mul(statistics.fragment_size()))
}
