//! The folder of each workload: `<run folder>/<workload id>`, with the program under the workload's name.
//!
//! Owns: making it, placing the executable, its record, removing it. Never: places what was not verified.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nex_sandbox::Marker;
use nex_types::{Digest, Id, WorkloadName};
use serde::{Deserialize, Serialize};

use crate::environment::WORKLOAD_ID;

/// In a shim's environment.
pub(crate) const SHIM_OF: &str = "NEX_SHIM_OF";

/// What the nexlet notes of a workload for the next one; names have no dots.
const RECORD_FILE: &str = "workload.json";
/// Programs by their digests, of which boxed workloads share one; in the run folder, and no id.
const SHARED: &str = ".programs";
const PART: &str = ".part";

/// A workload's own folder. Removed when dropped, until it is kept.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    program: PathBuf,
    is_kept: bool,
}

/// What the next nexlet must know of a workload, besides what its shim tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) namespace: String,
    pub(crate) digest: String,
    /// The host's uid of its program, if it has one of its own.
    pub(crate) uid: Option<u32>,
    /// Starts after the first.
    pub(crate) restarts: u32,
    /// A wall that this host lacks, a sentence each.
    pub(crate) missing: Vec<String>,
}

/// A verified program on its way into a folder.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    /// Whether it may be the same file for several workloads: boxes cannot write to it.
    pub(crate) is_shared: bool,
}

impl RunFolder {
    /// Makes it, and in it the executable. Blocks on the disk.
    pub(crate) fn with_program(
        run_dir: &Path,
        id: &Id,
        name: &WorkloadName,
        verified: &Verified,
    ) -> io::Result<Self> {
        let path = folder_of(run_dir, id);
        DirBuilder::new().mode(0o700).create(&path)?;
        let program = path.join(name.as_str());
        let folder = Self { path, program, is_kept: false };
        match verified.is_shared {
            true => share(run_dir, verified, &folder.program)?,
            false => copy(&verified.path, &folder.program, 0o700)?,
        }
        Ok(folder)
    }

    /// The one that an earlier nexlet left, kept from the start.
    pub(crate) fn found(run_dir: &Path, id: &Id, name: &WorkloadName) -> Self {
        let path = folder_of(run_dir, id);
        Self { program: path.join(name.as_str()), path, is_kept: true }
    }

    /// The one that nobody claims; the name of its program does not matter any more.
    pub(crate) fn left(run_dir: &Path, id: &Id) -> Self {
        let path = folder_of(run_dir, id);
        Self { program: path.clone(), path, is_kept: true }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// A program runs in it: from now on it outlives this nexlet.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Nothing runs in it any more. Blocks on the disk.
    pub(crate) fn remove(mut self) {
        self.is_kept = false;
    }

    /// Replaces the record as a whole. Blocks on the disk.
    pub(crate) fn note(&self, record: &Record) -> io::Result<()> {
        let temporary = self.path.join(".workload.json");
        fs::write(&temporary, serde_json::to_vec(record)?)?;
        fs::rename(temporary, self.path.join(RECORD_FILE))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = remove(&self.path) {
            tracing::error!(path = %self.path.display(), %error, "folder of a workload not removed");
        }
        if let Some(run_dir) = self.path.parent()
            && let Err(error) = prune(run_dir)
        {
            tracing::error!(%error, "programs that nobody shares any more not removed");
        }
    }
}

impl Record {
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(RECORD_FILE)).ok()?).ok()
    }
}

/// Where a workload's folder is, or will be.
pub(crate) fn folder_of(run_dir: &Path, id: &Id) -> PathBuf {
    run_dir.join(id.as_str())
}

/// Does what waits for the disk beside the runtime.
pub(crate) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Name of a workload's control group.
pub(crate) fn group_of(id: &str) -> String {
    format!("nex-{id}")
}

/// The marker that all processes of a workload carry.
pub(crate) fn marker(id: &str) -> Marker {
    Marker::new(WORKLOAD_ID, id)
}

/// The marker that a workload's shim carries, and the first process of its box.
pub(crate) fn shim_marker(id: &str) -> Marker {
    Marker::new(SHIM_OF, id)
}

/// Makes the run folder, and removes programs that no workload shares any more. Which workloads are there.
pub(crate) fn prepare(run_dir: &Path) -> io::Result<Vec<Id>> {
    DirBuilder::new().recursive(true).mode(0o700).create(run_dir)?;
    let shared = run_dir.join(SHARED);
    DirBuilder::new().recursive(true).mode(0o700).create(&shared)?;
    prune(run_dir)?;
    let is_workload = |entry: &fs::DirEntry| entry.path().is_dir();
    let entries = fs::read_dir(run_dir)?.filter_map(Result::ok).filter(is_workload);
    Ok(entries.filter_map(|entry| Id::parse(entry.file_name().to_str()?).ok()).collect())
}

/// Removes programs that no workload shares any more. One that is about to be linked is made again.
fn prune(run_dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(run_dir.join(SHARED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.filter_map(Result::ok) {
        let is_part = entry.file_name().as_encoded_bytes().starts_with(PART.as_bytes());
        if !is_part && entry.metadata().is_ok_and(|file| file.nlink() == 1) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Removes a folder even when the program took rights away from folders in it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        // Something was put there meanwhile, such as renewed credentials.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => fs::remove_dir_all(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// One file for all workloads of a digest, so that the machine holds its pages once.
fn share(run_dir: &Path, verified: &Verified, program: &Path) -> io::Result<()> {
    let shared = run_dir.join(SHARED);
    let name = verified.digest.to_string().replace(':', "-");
    let of_all = shared.join(&name);
    for _ in 0..3 {
        match fs::hard_link(&of_all, program) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => return linked,
        }
        // Its own name, since two may be at it: who comes second replaces it by the same bytes.
        let part = tempfile::Builder::new()
            .prefix(PART)
            .make_in(&shared, |path| copy(&verified.path, path, 0o555))?;
        part.into_temp_path().persist(&of_all)?;
    }
    Err(io::Error::other("the program's shared file went away while it was linked"))
}

fn copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut copy = File::options().write(true).create_new(true).mode(mode).open(to)?;
    io::copy(&mut source, &mut copy)?;
    // The mask of this process took from it.
    copy.set_permissions(Permissions::from_mode(mode))
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

    fn verified(folder: &Path, is_shared: bool) -> Verified {
        let path = folder.join("cached");
        fs::write(&path, b"program").unwrap();
        Verified { path, digest: Digest::of(b"program"), is_shared }
    }

    #[test]
    fn an_unboxed_program_is_a_private_copy_and_goes_with_the_folder() {
        let run_dir = tempfile::tempdir().unwrap();
        let verified = verified(run_dir.path(), false);
        let (id, name) = (Id::random(), WorkloadName::parse("echo").unwrap());
        let folder = RunFolder::with_program(run_dir.path(), &id, &name, &verified).unwrap();
        assert_eq!(folder.program(), run_dir.path().join(id.as_str()).join("echo"));
        assert_eq!(fs::metadata(folder.program()).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(folder.program(), b"changed").unwrap();
        assert_eq!(fs::read(&verified.path).unwrap(), b"program");
        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::write(locked.join("file"), b"x").unwrap();
        fs::set_permissions(&locked, Permissions::from_mode(0o000)).unwrap();
        drop(folder);
        assert!(!run_dir.path().join(id.as_str()).exists());
    }

    #[test]
    fn boxed_workloads_of_a_digest_share_one_file_that_goes_with_the_last() {
        let run_dir = tempfile::tempdir().unwrap();
        prepare(run_dir.path()).unwrap();
        let (verified, name) =
            (verified(run_dir.path(), true), WorkloadName::parse("echo").unwrap());
        let make =
            || RunFolder::with_program(run_dir.path(), &Id::random(), &name, &verified).unwrap();
        let (one, two) = (make(), make());
        let inode = |folder: &RunFolder| fs::metadata(folder.program()).unwrap().ino();
        assert_eq!(inode(&one), inode(&two));
        assert_eq!(fs::metadata(one.program()).unwrap().permissions().mode() & 0o777, 0o555);
        let shared = || fs::read_dir(run_dir.path().join(SHARED)).unwrap().count();
        drop(one);
        assert_eq!(shared(), 1);
        drop(two);
        assert_eq!(shared(), 0);
    }

    #[test]
    fn a_folder_that_is_kept_stays_with_its_record_and_strangers_are_no_workloads() {
        let run_dir = tempfile::tempdir().unwrap();
        fs::create_dir(run_dir.path().join("not.an.id")).unwrap();
        fs::write(run_dir.path().join("file"), b"x").unwrap();
        let (id, name) = (Id::random(), WorkloadName::parse("echo").unwrap());
        let verified = verified(run_dir.path(), false);
        let mut folder = RunFolder::with_program(run_dir.path(), &id, &name, &verified).unwrap();
        let record = Record {
            namespace: "a".to_owned(),
            digest: verified.digest.to_string(),
            uid: Some(7),
            restarts: 2,
            missing: Vec::new(),
        };
        folder.note(&record).unwrap();
        folder.keep();
        let path = folder.path().to_owned();
        drop(folder);
        assert_eq!(Record::read(&path), Some(record));
        assert_eq!(prepare(run_dir.path()).unwrap(), std::slice::from_ref(&id));
        RunFolder::found(run_dir.path(), &id, &name).remove();
        assert_eq!(prepare(run_dir.path()).unwrap(), []);
    }
}
