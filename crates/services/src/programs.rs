//! The folder of each running program: `<run folder>/<workload id>/<workload name>`.
//!
//! Owns: making it, placing the executable, removing it, and what an earlier nexlet left. Never: places
//! what was not verified.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nex_sandbox::{Marker, kill_tree, processes_with};
use nex_types::{Id, WorkloadName};

use crate::environment::WORKLOAD_ID;

const KILL_BOUND: Duration = Duration::from_secs(5);

/// A workload's own folder: working directory and home of its program. Removed when dropped.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes it, and in it a private executable copy of a verified file. A hard link would let the
    /// program write to the cache. Blocks on the disk.
    pub(crate) fn with_program(
        run_dir: &Path,
        id: &Id,
        name: &WorkloadName,
        verified: &Path,
    ) -> io::Result<(Self, PathBuf)> {
        let path = folder_of(run_dir, id);
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Self { path };
        let program = folder.path.join(name.as_str());
        let mut source = File::open(verified)?;
        let mut copy = File::options().write(true).create_new(true).mode(0o700).open(&program)?;
        io::copy(&mut source, &mut copy)?;
        Ok((folder, program))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::error!(path = %self.path.display(), %error, "folder of a workload not removed");
        }
    }
}

/// Where a workload's folder is, or will be.
pub(crate) fn folder_of(run_dir: &Path, id: &Id) -> PathBuf {
    run_dir.join(id.as_str())
}

/// The marker that all processes of a workload carry.
pub(crate) fn marker(id: &str) -> Marker {
    Marker::new(WORKLOAD_ID, id)
}

/// Makes the run folder, and ends what a nexlet that was killed left in it: a program dies with its
/// nexlet, but the program's children need not.
pub(crate) fn prepare(run_dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(run_dir)?;
    for entry in fs::read_dir(run_dir)?.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().is_dir() || Id::parse(&name).is_err() {
            continue;
        }
        let marker = marker(&name);
        if let Some(pid) = processes_with(&marker).first() {
            let left = kill_tree(*pid, Some(&marker), KILL_BOUND);
            tracing::warn!(workload.id = name, ?left, "ended what an earlier nexlet left");
        }
        remove(&entry.path())?;
    }
    Ok(())
}

/// Removes a folder even when the program took rights away from folders in it.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
        // The type of the entry itself: a link is not followed.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_a_private_copy_and_goes_with_the_folder() {
        let run_dir = tempfile::tempdir().unwrap();
        let verified = run_dir.path().join("cached");
        fs::write(&verified, b"program").unwrap();
        let (id, name) = (Id::random(), WorkloadName::parse("echo").unwrap());
        let (folder, program) =
            RunFolder::with_program(run_dir.path(), &id, &name, &verified).unwrap();
        assert_eq!(program, run_dir.path().join(id.as_str()).join("echo"));
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(&program, b"changed").unwrap();
        assert_eq!(fs::read(&verified).unwrap(), b"program");
        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::write(locked.join("file"), b"x").unwrap();
        fs::set_permissions(&locked, Permissions::from_mode(0o000)).unwrap();
        drop(folder);
        assert!(!run_dir.path().join(id.as_str()).exists());
    }

    #[test]
    fn what_was_left_is_removed_and_strangers_files_are_not() {
        let run_dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(run_dir.path().join("0leftover0/data")).unwrap();
        fs::create_dir(run_dir.path().join("not.an.id")).unwrap();
        fs::write(run_dir.path().join("file"), b"x").unwrap();
        prepare(run_dir.path()).unwrap();
        assert!(!run_dir.path().join("0leftover0").exists());
        assert!(run_dir.path().join("not.an.id").exists() && run_dir.path().join("file").exists());
    }
}
