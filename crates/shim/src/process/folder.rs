//! The workload's folder, which is the working directory.
//!
//! Owns: files written whole or not at all, and what is cleared away. Never: touches the spool's segments.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};

use nex_shim::{END_FILE, SHIM_FILE, SOCKET, SPOOL_FOLDER};
use rustix::fs::Mode;
use serde::Serialize;

/// Makes the folder ready for a new program, and listens in it. What an earlier program left is removed.
pub(super) fn prepare() -> io::Result<UnixListener> {
    if UnixStream::connect(SOCKET).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another shim serves this folder: stop its program first, or take another folder",
        ));
    }
    clear();
    remove(END_FILE);
    let _absent = fs::remove_dir_all(SPOOL_FOLDER);
    DirBuilder::new().mode(0o700).create(SPOOL_FOLDER)?;
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(SOCKET);
    rustix::process::umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes what must not be found without a shim.
pub(super) fn clear() {
    remove(SOCKET);
    remove(SHIM_FILE);
}

/// Removes the rest as well: nothing was started.
pub(super) fn abandon() {
    clear();
    let _absent = fs::remove_dir_all(SPOOL_FOLDER);
}

/// Writes `value` as the file `name`: whole, or not at all.
pub(super) fn write(name: &str, value: &impl Serialize) -> io::Result<()> {
    let unfinished = format!("{name}.new");
    let written = write_and_rename(&unfinished, name, value);
    if written.is_err() {
        remove(&unfinished);
    }
    written
}

fn write_and_rename(unfinished: &str, name: &str, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(value)?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(unfinished)?;
    file.write_all(&text)?;
    fs::rename(unfinished, name)
}

fn remove(name: &str) {
    let _absent = fs::remove_file(name);
}
