//! The code that a node compiles at its first start, handed on to the later nodes of a test process.
//!
//! Each test has a state directory of its own, so that each node would compile the JavaScript engine, for two
//! seconds of both cores; that was most of the time that the tests took. The first nodes of a process compile
//! as a user's first one does, so that this is tested too.
//!
//! Owns: one copy in memory. Never: a folder that tests share, or a word about the code: the engine that finds it
//! checks its digest, and compiles anew what is not its own.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static CODE: OnceLock<(OsString, Vec<u8>)> = OnceLock::new();

/// Keeps what the node with this state directory compiled while it came up, which is the engine alone.
pub(crate) fn keep(state: &Path) {
    if CODE.get().is_some() {
        return;
    }
    let files = fs::read_dir(folder(state)).into_iter().flatten().flatten();
    let mut code = files.filter(|file| file.path().extension().is_some_and(|it| it == "cwasm"));
    let (Some(file), None) = (code.next(), code.next()) else { return };
    if let Ok(bytes) = fs::read(file.path()) {
        // Another node was faster with the same.
        let _same = CODE.set((file.file_name(), bytes));
    }
}

/// Puts it where a node with this state directory looks, if it was never started.
pub(crate) fn hand_on(state: &Path) -> io::Result<()> {
    let folder = folder(state);
    let Some((name, bytes)) = CODE.get().filter(|_| !folder.exists()) else { return Ok(()) };
    // As the node makes its folders.
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn folder(state: &Path) -> PathBuf {
    state.join("nexlets/javascript/compiled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_node_compiled_is_there_for_the_next_and_for_no_older_one() {
        let states = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let [first, next, older] = states.each_ref().map(tempfile::TempDir::path);
        hand_on(next).unwrap();
        assert!(!next.join("nexlets").exists(), "there is nothing to hand on yet");

        fs::create_dir_all(folder(first)).unwrap();
        fs::write(folder(first).join("engine.cwasm"), "code").unwrap();
        keep(first);
        fs::create_dir_all(folder(older)).unwrap();
        hand_on(next).unwrap();
        hand_on(older).unwrap();
        assert_eq!(fs::read(folder(next).join("engine.cwasm")).unwrap(), b"code");
        assert_eq!(fs::read_dir(folder(older)).unwrap().count(), 0);
    }
}
