//! Version 2: one hierarchy, and a folder of a box's own in it.
//!
//! Owns: finding or making the place for boxes, their files. Never: moves processes of others, except
//! those that share the caller's group, into a leaf of it: a group that hands on controllers holds none.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::super::Usage;
use super::super::plan::{Limits, Wall};
use super::{Made, counted, number, pids, wanted, write};

pub(super) const ROOT: &str = "/sys/fs/cgroup";
/// Where node, nexlets and shims stay, beside the groups of the boxes.
const LEAF: &str = "nex";
const PERIOD_MICROS: u64 = 100_000;

#[derive(Debug)]
pub(crate) struct Group {
    pub(super) path: PathBuf,
    pub(super) folder: File,
}

/// Whether the controllers are here and not in hierarchies of version 1.
pub(super) fn is_here() -> bool {
    let controllers = fs::read_to_string(Path::new(ROOT).join("cgroup.controllers"));
    controllers.is_ok_and(|it| it.split_ascii_whitespace().any(|it| it == "pids"))
}

pub(super) fn make(name: &str, limits: &Limits) -> Made {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    make_in(&Path::new(ROOT).join(own), Path::new(ROOT), name, limits)
}

/// `own` is the caller's group, `root` the highest that it may touch.
fn make_in(own: &Path, root: &Path, name: &str, limits: &Limits) -> Made {
    let parent = match place(own, root) {
        Ok(parent) => parent,
        Err(error) => return refused(limits, &error),
    };
    let path = parent.join(name);
    let opened = fs::create_dir(&path).and_then(|()| File::open(&path));
    let folder = match opened {
        Ok(folder) => folder,
        Err(error) => return refused(limits, &error),
    };
    let mut made = Made::default();
    let mut settle = |wall: Option<Wall>, set: io::Result<()>| match (wall, set) {
        (Some(wall), Ok(())) => _ = made.walls.insert(wall),
        (Some(wall), Err(error)) => made.missing.push((wall, error.to_string())),
        (None, _) => {}
    };
    settle(limits.memory.map(|_| Wall::MemoryLimit), set_memory(&path, limits.memory));
    settle(
        limits.pids.map(|_| Wall::PidsLimit),
        // The box's first process is not the program's.
        limits.pids.map_or(Ok(()), |pids| write(&path, "pids.max", u64::from(pids) + 1)),
    );
    settle(
        limits.cpu_millis.map(|_| Wall::CpuLimit),
        limits.cpu_millis.map_or(Ok(()), |millis| {
            let quota = (u64::from(millis) * PERIOD_MICROS / 1000).max(1000);
            write(&path, "cpu.max", format!("{quota} {PERIOD_MICROS}"))
        }),
    );
    made.group = Some(super::Group::V2(Group { path, folder }));
    made
}

fn set_memory(path: &Path, memory: Option<u64>) -> io::Result<()> {
    let Some(memory) = memory else { return Ok(()) };
    write(path, "memory.max", memory)?;
    // Not there where the kernel has no swap.
    match write(path, "memory.swap.max", 0) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A program of which only a part was killed would go on broken.
    write(path, "memory.oom.group", 1)
}

fn refused(limits: &Limits, error: &io::Error) -> Made {
    let why = format!("{error}; as a service of systemd the node needs `Delegate=yes`");
    Made { missing: wanted(limits).map(|wall| (wall, why.clone())).collect(), ..Made::default() }
}

/// The group that boxes' groups are made in, with the controllers handed on to them.
fn place(own: &Path, root: &Path) -> io::Result<PathBuf> {
    // Already in a leaf: of this process's making, or of an earlier one's.
    if own.file_name().is_some_and(|it| it == LEAF)
        && let Some(parent) = own.parent().filter(|_| own != root)
    {
        hand_on(parent)?;
        return Ok(parent.to_owned());
    }
    // The root of all hierarchies may hold processes and hand on controllers.
    if hand_on(own).is_ok() {
        return Ok(own.to_owned());
    }
    let leaf = own.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for pid in pids(own) {
        match write(&leaf, "cgroup.procs", pid) {
            // It ended meanwhile.
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {}
            other => other?,
        }
    }
    hand_on(own)?;
    Ok(own.to_owned())
}

/// Hands on the controllers that there are.
fn hand_on(group: &Path) -> io::Result<()> {
    let there = fs::read_to_string(group.join("cgroup.controllers"))?;
    let on = fs::read_to_string(group.join("cgroup.subtree_control"))?;
    let has = |text: &str, name: &str| text.split_ascii_whitespace().any(|it| it == name);
    for controller in ["memory", "pids", "cpu"] {
        if has(&there, controller) && !has(&on, controller) {
            write(group, "cgroup.subtree_control", format!("+{controller}"))?;
        }
    }
    Ok(())
}

impl Group {
    pub(super) fn usage(&self) -> Usage {
        let path = &self.path;
        let events = |file, key| counted(path, file, key).is_some_and(|times| times > 0);
        Usage {
            memory: number(path, "memory.current"),
            memory_peak: number(path, "memory.peak"),
            cpu_micros: counted(path, "cpu.stat", "usage_usec"),
            pids: number(path, "pids.current"),
            out_of_memory: events("memory.events", "oom_kill"),
            out_of_pids: events("pids.events", "max"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a group to this file.
    fn group(at: &Path, on: &str) {
        fs::create_dir_all(at).unwrap();
        fs::write(at.join("cgroup.controllers"), "cpu io memory pids\n").unwrap();
        fs::write(at.join("cgroup.subtree_control"), on).unwrap();
        fs::write(at.join("cgroup.procs"), "").unwrap();
    }

    #[test]
    fn groups_of_boxes_lie_beside_the_leaf_that_their_keeper_is_in() {
        let root = tempfile::tempdir().unwrap();
        let service = root.path().join("nex.service");
        group(&service, "cpu memory pids");
        group(&service.join(LEAF), "");
        assert_eq!(place(&service.join(LEAF), root.path()).unwrap(), service);
        assert_eq!(place(&service, root.path()).unwrap(), service);
    }

    #[test]
    fn controllers_that_are_not_handed_on_yet_are() {
        let root = tempfile::tempdir().unwrap();
        group(root.path(), "cpu memory");
        hand_on(root.path()).unwrap();
        let on = fs::read_to_string(root.path().join("cgroup.subtree_control")).unwrap();
        assert!(on.starts_with("+pids"), "{on}");
    }

    #[test]
    fn a_limit_whose_file_is_missing_is_told_and_the_others_stand() {
        let root = tempfile::tempdir().unwrap();
        group(root.path(), "cpu memory pids");
        let limits = Limits { memory: Some(1 << 20), pids: Some(7), ..Limits::default() };
        // A plain folder has none of the kernel's files, so that every limit is missing.
        let made = make_in(root.path(), root.path(), "box", &limits);
        assert_eq!(made.walls.len(), 0);
        let missing: Vec<Wall> = made.missing.iter().map(|(wall, _)| *wall).collect();
        assert_eq!(missing, [Wall::MemoryLimit, Wall::PidsLimit]);
        assert!(made.group.is_some());
    }

    #[test]
    fn usage_is_read_from_the_kernels_files() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_owned();
        for (file, text) in [
            ("memory.current", "4096\n"),
            ("memory.events", "low 0\noom 1\noom_kill 2\noom_group_kill 1\n"),
            ("cpu.stat", "usage_usec 77\nuser_usec 70\n"),
            ("pids.events", "max 0\n"),
        ] {
            fs::write(path.join(file), text).unwrap();
        }
        let usage = Group { folder: File::open(&path).unwrap(), path }.usage();
        assert_eq!((usage.memory, usage.cpu_micros, usage.pids), (Some(4096), Some(77), None));
        assert!(usage.out_of_memory && !usage.out_of_pids);
    }
}
