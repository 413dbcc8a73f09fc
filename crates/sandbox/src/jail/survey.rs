//! Which walls this host offers to this user: tried, not guessed.
//!
//! Owns: trying. Never: leaves a process, a mount or a group; the box is built to its last step, and ends.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, pipe2};

use super::blueprint::Purpose;
use super::plan::{Isolation, Limits, Plan, Wall};
use super::step::Failure;
use super::{CgroupVersion, UID_BASE, error, group, kernel, start};

/// What this host offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The walls that a box has here.
    pub walls: Vec<Wall>,
    /// Those that it has not: why, and what to do.
    pub missing: Vec<(Wall, String)>,
    /// The version of landlock; 0 for none.
    pub landlock: u32,
    /// Whose control groups.
    pub cgroups: CgroupVersion,
}

/// All walls, in the order in which they are told.
const ALL: [Wall; 13] = [
    Wall::UserNamespace,
    Wall::MountNamespace,
    Wall::PidNamespace,
    Wall::NetworkNamespace,
    Wall::Proc,
    Wall::OwnUid,
    Wall::NoNewPrivileges,
    Wall::Seccomp,
    Wall::Landlock,
    Wall::Ports,
    Wall::MemoryLimit,
    Wall::CpuLimit,
    Wall::PidsLimit,
];

/// Builds a box around nothing, in a child that ends with it.
#[must_use]
pub fn survey() -> Survey {
    let (landlock, cgroups) = (kernel::landlock_version(), group::version());
    let (walls, missing) = tried().unwrap_or_else(|error| {
        let why = format!("could not be tried: {error}");
        (Vec::new(), ALL.map(|wall| (wall, why.clone())).into())
    });
    Survey { walls, missing, landlock, cgroups }
}

type Found = (Vec<Wall>, Vec<(Wall, String)>);

fn tried() -> io::Result<Found> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the C library readies its memory for the child of a process with threads; the child takes
    // no lock of anything else, and ends without running what belongs to its parent.
    match unsafe { fork()? } {
        ForkResult::Child => {
            drop(read);
            let answer = try_all();
            let told = std::fs::File::from(write).write_all(&to_bytes(&answer));
            kernel::leave(i32::from(told.is_err()));
        }
        ForkResult::Parent { child } => {
            drop(write);
            let found = read_all(read);
            waitpid(child, None)?;
            found
        }
    }
}

fn read_all(read: OwnedFd) -> io::Result<Found> {
    let mut bytes = Vec::new();
    std::fs::File::from(read).read_to_end(&mut bytes)?;
    from_bytes(&bytes).ok_or_else(|| io::Error::other("the child ended without an answer"))
}

fn try_all() -> Found {
    let plan = plan();
    match start::build(&plan, Purpose::Try, &[]) {
        Ok((mut jail, missing)) => {
            let ended = jail.reap();
            let walls = jail.walls().to_vec();
            let missing = missing
                .into_iter()
                .filter(|(wall, _)| !walls.contains(wall))
                .map(|(wall, why)| (wall, format!("{why}; {}", error::advice(wall))))
                .collect();
            if jail.close().and(ended).is_err() {
                return (Vec::new(), missing);
            }
            (walls, missing)
        }
        Err(Failure { step, what }) => {
            let why = format!("cannot {}: {what}", step.name());
            (Vec::new(), ALL.map(|wall| (wall, why.clone())).into())
        }
    }
}

fn plan() -> Plan {
    Plan {
        // Never executed; any file will do, and this one everybody has.
        program: "/dev/null".into(),
        name: "survey".to_owned(),
        args: Vec::new(),
        environment: [].into(),
        directory: "/".into(),
        isolation: Isolation::Strict,
        allow_weak: true,
        // The last of the range: no workload gets that far.
        uid: Some(UID_BASE + 0x00ff_ffff),
        limits: Limits {
            memory: Some(256 << 20),
            cpu_millis: Some(1000),
            pids: Some(16),
            ..Limits::default()
        },
        group: format!("nex-survey-{}", std::process::id()),
        ports: Some(Vec::new()),
        mounts: Vec::new(),
        credentials: None,
    }
}

/// The walls as numbers of their places, and behind each missing one its sentence.
fn to_bytes((walls, missing): &Found) -> Vec<u8> {
    let place = |wall: &Wall| ALL.iter().position(|it| it == wall).unwrap_or_default();
    let mut text: String = walls.iter().map(|wall| format!("+{}\n", place(wall))).collect();
    for (wall, why) in missing {
        text.push_str(&format!("-{} {}\n", place(wall), why.replace('\n', " ")));
    }
    text.push_str(".\n");
    text.into_bytes()
}

fn from_bytes(bytes: &[u8]) -> Option<Found> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_suffix(".\n")?;
    let mut found = Found::default();
    for line in text.lines() {
        if let Some(place) = line.strip_prefix('+') {
            found.0.push(*ALL.get(place.parse::<usize>().ok()?)?);
        } else {
            let (place, why) = line.strip_prefix('-')?.split_once(' ')?;
            found.1.push((*ALL.get(place.parse::<usize>().ok()?)?, why.to_owned()));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_child_found_is_what_its_parent_reads() {
        let found = (vec![Wall::Proc], vec![(Wall::Ports, "too old; use\nanother".to_owned())]);
        let read = from_bytes(&to_bytes(&found)).unwrap();
        assert_eq!(read.0, found.0);
        assert_eq!(read.1, [(Wall::Ports, "too old; use another".to_owned())]);
        assert_eq!(from_bytes(b"+1\n"), None);
    }
}
