//! Who the program is: its ids, and that it has no privileges.
//!
//! Owns: id maps, changing ids, capabilities, `no_new_privs`. Never: chooses a uid.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::blueprint::{Blueprint, INSIDE_ID};
use super::kernel;
use super::plan::Wall;

/// Maps the program's ids, from outside, into the user namespace of `pid`.
pub(super) fn map(pid: i32, blueprint: &Blueprint<'_>) -> io::Result<()> {
    let own = blueprint.has(Wall::OwnUid) || !blueprint.is_root;
    let (uid, gid) = if own { (blueprint.ids.uid, blueprint.ids.gid) } else { (0, 0) };
    // Without this an ordinary user may not map a gid: groups can also take rights away.
    fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    fs::write(format!("/proc/{pid}/uid_map"), format!("{INSIDE_ID} {uid} 1"))?;
    fs::write(format!("/proc/{pid}/gid_map"), format!("{INSIDE_ID} {gid} 1"))
}

/// Becomes the one user that the map of the namespace knows. The capabilities in it stay.
pub(super) fn become_mapped() -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(INSIDE_ID), Gid::from_raw(INSIDE_ID));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

/// Gives up everything that the steps before needed; for ever.
pub(super) fn give_up_privileges(blueprint: &Blueprint<'_>) -> io::Result<()> {
    if blueprint.has(Wall::NoNewPrivileges) {
        // While there is still the capability to do so.
        drop_bounding_set()?;
        // Being uid 0 by any way gives nothing back.
        let bits = libc::SECBIT_NOROOT | libc::SECBIT_NOROOT_LOCKED;
        let bits = bits | libc::SECBIT_NO_CAP_AMBIENT_RAISE;
        let bits = bits | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
        kernel::control(libc::PR_SET_SECUREBITS, u64::from(bits.cast_unsigned()))?;
    }
    if !blueprint.has(Wall::UserNamespace) && blueprint.has(Wall::OwnUid) {
        become_user(blueprint.ids.uid, blueprint.ids.gid)?;
    }
    if blueprint.has(Wall::NoNewPrivileges) {
        kernel::clear_capabilities()?;
        nix::sys::prctl::set_no_new_privs()?;
    }
    Ok(())
}

/// Becomes a user of the host, in no group.
pub(super) fn become_user(uid: u32, gid: u32) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

fn drop_bounding_set() -> io::Result<()> {
    for capability in 0..64 {
        match kernel::control(libc::PR_CAPBSET_DROP, capability) {
            Ok(_) => {}
            // Past the last one that this kernel knows.
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => break,
            // As an ordinary user without a namespace there is nothing in it that could be gained.
            Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
