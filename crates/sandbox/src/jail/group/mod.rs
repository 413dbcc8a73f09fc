//! Control groups: what bounds a whole box, and counts what it uses. Plain files, no library.
//!
//! Owns: one group per box, in either version of the kernel's interface. Never: waits for long.
//!
//! A group is made before there is a process in it, so that nothing ever runs unlimited.

mod v1;
mod v2;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::plan::{Limits, Wall};
use super::{CgroupVersion, Usage};

/// How long a group may go on holding processes that were killed.
const DYING: Duration = Duration::from_secs(5);
/// How deep groups are looked for, and how many at most.
const MOST_DEPTH: usize = 8;
const MOST_FOLDERS: usize = 20_000;

/// The group of one box.
#[derive(Debug)]
pub(super) enum Group {
    V1(v1::Group),
    V2(v2::Group),
}

/// What came of making one: the walls that it is, and those that it is not, with the reason.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) group: Option<Group>,
    pub(super) walls: BTreeSet<Wall>,
    pub(super) missing: Vec<(Wall, String)>,
}

impl Made {
    /// Removes the group: it could be made, but nothing can be put into it.
    pub(super) fn give_up(&mut self, why: &str) -> io::Result<()> {
        self.missing.extend(self.walls.iter().map(|wall| (*wall, why.to_owned())));
        self.walls.clear();
        self.group.take().map_or(Ok(()), |group| group.remove())
    }
}

/// Makes a group with these limits, as far as this host and this user allow.
pub(super) fn make(name: &str, limits: &Limits) -> io::Result<Made> {
    check(name)?;
    match version() {
        CgroupVersion::V1 => Ok(v1::make(name, limits)),
        CgroupVersion::V2 => Ok(v2::make(name, limits)),
        CgroupVersion::None => Ok(Made {
            missing: wanted(limits)
                .map(|wall| (wall, "no control groups are mounted".to_owned()))
                .collect(),
            ..Made::default()
        }),
    }
}

/// Which interface this host's controllers have.
pub(super) fn version() -> CgroupVersion {
    if v2::is_here() {
        CgroupVersion::V2
    } else if v1::is_here() {
        CgroupVersion::V1
    } else {
        CgroupVersion::None
    }
}

/// Kills and removes what is left of a group whose keeper was killed.
pub(super) fn sweep(name: &str) -> io::Result<()> {
    check(name)?;
    let folders: Vec<PathBuf> = match version() {
        CgroupVersion::None => Vec::new(),
        CgroupVersion::V1 => v1::roots(),
        CgroupVersion::V2 => vec![v2::ROOT.into()],
    }
    .iter()
    .flat_map(|root| named(root, name))
    .collect();
    remove(&folders)
}

impl Group {
    /// The folder that a child can be born in.
    pub(super) fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::V1(_) => None,
            Self::V2(group) => Some(group.folder.as_fd()),
        }
    }

    pub(super) fn attach(&self, pid: i32) -> io::Result<()> {
        self.folders().iter().try_for_each(|it| write(it, "cgroup.procs", pid))
    }

    /// Files by which a child puts itself into the group, see [`join`]. None for version 2, where being
    /// born in it is better.
    pub(super) fn doors(&self) -> io::Result<Vec<File>> {
        let Self::V1(group) = self else { return Ok(Vec::new()) };
        let open = |folder: PathBuf| OpenOptions::new().write(true).open(folder.join("tasks"));
        group.folders().into_iter().map(open).collect()
    }

    pub(super) fn usage(&self) -> Usage {
        match self {
            Self::V1(group) => group.usage(),
            Self::V2(group) => group.usage(),
        }
    }

    /// Everything in it, at once.
    pub(super) fn kill(&self) {
        kill_in(&self.folders());
    }

    /// Kills what is left, and removes it when it is empty.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove(&self.folders())
    }

    fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::V1(group) => group.folders(),
            Self::V2(group) => vec![group.path.clone()],
        }
    }
}

/// Puts the calling thread, which is its process's only one, into the groups of these files.
///
/// To move another process the kernel waits until no processor holds the lists of threads any more, which
/// takes milliseconds; for the caller itself it need not. Whether it may is decided by who opened them.
pub(super) fn join(doors: &[File]) -> io::Result<()> {
    doors.iter().try_for_each(|mut door| io::Write::write_all(&mut door, b"0"))
}

/// The walls that these limits ask for.
fn wanted(limits: &Limits) -> impl Iterator<Item = Wall> {
    [
        limits.memory.map(|_| Wall::MemoryLimit),
        limits.cpu_millis.map(|_| Wall::CpuLimit),
        limits.pids.map(|_| Wall::PidsLimit),
    ]
    .into_iter()
    .flatten()
}

/// A name comes with an order, and becomes a path.
fn check(name: &str) -> io::Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=120).contains(&name.len()) && name.bytes().all(is_plain) && !name.starts_with('.') {
        return Ok(());
    }
    let what = format!("{name:?} cannot be a control group's name: letters, digits, - and _ only");
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

fn remove(folders: &[PathBuf]) -> io::Result<()> {
    let deadline = Instant::now() + DYING;
    for folder in folders {
        loop {
            match fs::remove_dir(folder) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                // Something in it is still dying, or was born meanwhile.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    if Instant::now() >= deadline {
                        let what = format!("control group {}: {error}", folder.display());
                        return Err(io::Error::new(error.kind(), what));
                    }
                    kill_in(std::slice::from_ref(folder));
                    pause();
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn kill_in(folders: &[PathBuf]) {
    for folder in folders {
        // Version 2 has a file for it, which also reaches what is being born.
        if write(folder, "cgroup.kill", 1).is_ok() {
            continue;
        }
        for pid in pids(folder) {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn pids(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of a pid namespace that cannot be seen from here.
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// Groups of this name, anywhere below.
fn named(root: &Path, name: &str) -> Vec<PathBuf> {
    let (mut found, mut n_seen) = (Vec::new(), 0);
    let mut waiting = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        n_seen += 1;
        if n_seen > MOST_FOLDERS || depth > MOST_DEPTH {
            continue;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|it| it.is_dir()) {
                continue;
            }
            if entry.file_name() == name {
                found.push(entry.path());
            } else {
                waiting.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

fn write(folder: &Path, file: &str, value: impl std::fmt::Display) -> io::Result<()> {
    let path = folder.join(file);
    // Never made where it is missing: these are the kernel's files.
    let mut open = OpenOptions::new().write(true).open(&path)?;
    // In one piece, as the kernel wants it.
    let value = format!("{value}");
    io::Write::write_all(&mut open, value.as_bytes())
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// The number behind `key` in a file of lines `key number`.
fn counted(folder: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A moment, for the kernel to finish what dies.
pub(super) fn pause() {
    let _time = nix::poll::poll(&mut [], 2u8);
}
