//! Version 1: a hierarchy per controller, and a folder of the same name in each.
//!
//! Owns: where they are, their files. Never: moves anything but a box's own processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::Usage;
use super::super::plan::{Limits, Wall};
use super::{Made, counted, number, write};

/// The period that a share of the processor is measured in.
const PERIOD_MICROS: u64 = 100_000;

/// A group: the folder in each hierarchy that is used.
#[derive(Debug, Default)]
pub(crate) struct Group {
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
    accounting: Option<PathBuf>,
}

pub(super) fn is_here() -> bool {
    !roots().is_empty()
}

/// Where the hierarchies that are used are mounted.
pub(super) fn roots() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    ["memory", "pids", "cpu", "cpuacct"]
        .into_iter()
        .filter_map(|controller| Some(mounted(&mounts, controller)?.0))
        .collect()
}

pub(super) fn make(name: &str, limits: &Limits) -> Made {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    make_in(|controller| place(&mounts, &own, controller), name, limits)
}

/// `places` tells for a controller which folder the group goes into.
fn make_in(places: impl Fn(&str) -> Option<PathBuf>, name: &str, limits: &Limits) -> Made {
    let mut made = Made::default();
    let mut group = Group::default();
    let mut settle =
        |controller: &str, wall: Option<Wall>, set: &dyn Fn(&Path) -> io::Result<()>| match folder(
            &places, controller, name,
        )
        .and_then(|folder| {
            set(&folder).inspect_err(|_| drop(fs::remove_dir(&folder)))?;
            Ok(folder)
        }) {
            Ok(folder) => {
                made.walls.extend(wall);
                Some(folder)
            }
            Err(error) => {
                made.missing.extend(wall.map(|wall| (wall, error.to_string())));
                None
            }
        };
    let wall = limits.memory.map(|_| Wall::MemoryLimit);
    group.memory = settle("memory", wall, &|folder| set_memory(folder, limits.memory));
    let wall = limits.pids.map(|_| Wall::PidsLimit);
    group.pids = settle("pids", wall, &|folder| {
        // The box's first process is not the program's.
        limits.pids.map_or(Ok(()), |pids| write(folder, "pids.max", u64::from(pids) + 1))
    });
    if let Some(millis) = limits.cpu_millis {
        group.cpu = settle("cpu", Some(Wall::CpuLimit), &|folder| {
            write(folder, "cpu.cfs_period_us", PERIOD_MICROS)?;
            // The kernel takes no less than a thousandth of a second.
            let quota = (u64::from(millis) * PERIOD_MICROS / 1000).max(1000);
            write(folder, "cpu.cfs_quota_us", quota)
        });
    }
    group.accounting = settle("cpuacct", None, &|_| Ok(()));
    made.group = (!group.folders().is_empty()).then_some(super::Group::V1(group));
    made
}

fn set_memory(folder: &Path, memory: Option<u64>) -> io::Result<()> {
    let Some(memory) = memory else { return Ok(()) };
    write(folder, "memory.limit_in_bytes", memory)?;
    // The sum with swap; not there where swap is not accounted.
    match write(folder, "memory.memsw.limit_in_bytes", memory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn folder(
    places: &impl Fn(&str) -> Option<PathBuf>,
    controller: &str,
    name: &str,
) -> io::Result<PathBuf> {
    let missing = || io::Error::other(format!("no {controller} control group is mounted"));
    let folder = places(controller).ok_or_else(missing)?.join(name);
    match fs::create_dir(&folder) {
        // Two controllers in one hierarchy.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(folder),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", folder.display()))),
        Ok(()) => Ok(folder),
    }
}

impl Group {
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let all = [&self.memory, &self.pids, &self.cpu, &self.accounting];
        let mut folders: Vec<PathBuf> = all.into_iter().flatten().cloned().collect();
        folders.dedup();
        folders
    }

    pub(super) fn usage(&self) -> Usage {
        let memory = self.memory.as_deref();
        let pids = self.pids.as_deref();
        let is_counted = |folder: Option<&Path>, file, key| {
            folder.and_then(|it| counted(it, file, key)).is_some_and(|times| times > 0)
        };
        Usage {
            memory: memory.and_then(|it| number(it, "memory.usage_in_bytes")),
            memory_peak: memory.and_then(|it| number(it, "memory.max_usage_in_bytes")),
            cpu_micros: self
                .accounting
                .as_deref()
                .and_then(|it| number(it, "cpuacct.usage"))
                .map(|nanos| nanos / 1000),
            pids: pids.and_then(|it| number(it, "pids.current")),
            out_of_memory: is_counted(memory, "memory.oom_control", "oom_kill"),
            out_of_pids: is_counted(pids, "pids.events", "max"),
        }
    }
}

/// The folder of this process in a controller's hierarchy: a box is bounded with what bounds its keeper.
fn place(mounts: &str, own: &str, controller: &str) -> Option<PathBuf> {
    let (mounted, root) = mounted(mounts, controller)?;
    let own = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let controllers = fields.nth(1)?;
        controllers.split(',').any(|it| it == controller).then(|| fields.next())?
    })?;
    // In a container the path may be the host's, and what is mounted only a part of it.
    let below = Path::new(own).strip_prefix(&root).ok();
    let place = below.map_or(mounted.clone(), |below| mounted.join(below));
    Some(if place.is_dir() { place } else { mounted })
}

/// Where a controller's hierarchy is mounted, and which part of it.
fn mounted(mounts: &str, controller: &str) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let is_v1 = right.next()? == "cgroup";
        let options = right.nth(1)?;
        if !is_v1 || !options.split(',').any(|it| it == controller) {
            return None;
        }
        let mut left = left.split(' ').skip(3);
        let (root, mounted) = (left.next()?, left.next()?);
        Some((mounted.into(), root.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/1 /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";

    #[test]
    fn hierarchies_are_found_where_they_are_mounted() {
        let found = mounted(MOUNTS, "cpuacct").map(|(at, _)| at);
        assert_eq!(found, Some("/sys/fs/cgroup/cpu".into()));
        let found = mounted(MOUNTS, "memory");
        assert_eq!(found, Some(("/sys/fs/cgroup/memory".into(), "/docker/1".into())));
        assert_eq!(mounted(MOUNTS, "pids"), None);
    }
}
