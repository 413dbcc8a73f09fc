//! The root of a box: what it shows, and nothing else.
//!
//! Owns: the list of what is shown with the reason for each, and building it. Never: writes outside of
//! the mount namespace that it is called in.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::blueprint::{Blueprint, INSIDE_ID};
use super::kernel::{self, NO_DEVICES, NO_EXECUTION, NO_SUID, READ_ONLY};
use super::plan::{Isolation, Wall};
use super::step::{At, Failure, Step};

/// Where the new root is built; hidden by it in this namespace alone.
const SITE: &str = "/tmp";

/// Devices that programs expect; those that give or take nothing.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Shown read-only where the host has them.
const SHARED: [&str; 7] = [
    // Whom TLS trusts, in the places of the distributions. Not /etc/ssl whole: it holds private keys.
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/usr/share/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    // What time it is elsewhere.
    "/usr/share/zoneinfo",
];

/// A part of the host, attached nowhere yet.
pub(super) struct Tree {
    target: PathBuf,
    is_folder: bool,
    mount: OwnedFd,
}

/// No mount made here shows on the host, and none made there shows here.
pub(super) fn make_private() -> nix::Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
}

/// Takes hold of what the box will show, while paths of the host can still be walked.
pub(super) fn open_trees(blueprint: &Blueprint<'_>) -> Result<Vec<Tree>, Failure> {
    let plan = blueprint.plan;
    let locked = READ_ONLY | NO_SUID | NO_DEVICES;
    let mut trees = vec![tree(&plan.program, &Path::new("/app").join(&plan.name), locked)?];
    for path in DEVICES.map(|it| Path::new("/dev").join(it)) {
        trees.push(tree(&path, &path, NO_SUID | NO_EXECUTION)?);
    }
    for path in SHARED.map(PathBuf::from).into_iter().filter(|path| path.exists()) {
        trees.push(tree(&path, &path, locked | NO_EXECUTION)?);
    }
    if let Some(credentials) = &plan.credentials {
        trees.push(tree(credentials, Path::new("/run/nex"), locked | NO_EXECUTION)?);
    }
    for mount in &plan.mounts {
        trees.push(tree(&mount.source, &mount.target, locked)?);
    }
    Ok(trees)
}

fn tree(source: &Path, target: &Path, attributes: u64) -> Result<Tree, Failure> {
    let open = || {
        let is_folder = fs::metadata(source)?.is_dir();
        let mount = kernel::open_tree(&c_path(source)?)?;
        kernel::set_attributes(mount.as_fd(), attributes)?;
        io::Result::Ok(Tree { target: target.to_owned(), is_folder, mount })
    };
    open().on(Step::OpenTrees, &source.display().to_string())
}

/// What is written into the box, read while the host's files can still be.
pub(super) struct Texts(Vec<(&'static str, Vec<u8>)>);

impl Texts {
    pub(super) fn read(blueprint: &Blueprint<'_>) -> Self {
        let id = if blueprint.has(Wall::UserNamespace) { INSIDE_ID } else { blueprint.ids.uid };
        let strict = blueprint.plan.isolation == Isolation::Strict;
        // Under `strict` no name server can be reached, and no name of the host is of use.
        let host =
            |path: &str| if strict { Vec::new() } else { fs::read(path).unwrap_or_default() };
        let mut hosts = b"127.0.0.1 localhost\n::1 localhost\n".to_vec();
        hosts.extend(host("/etc/hosts"));
        Self(vec![
            ("etc/passwd", format!("app:x:{id}:{id}::/home:/\n").into_bytes()),
            ("etc/group", format!("app:x:{id}:\n").into_bytes()),
            ("etc/nsswitch.conf", b"hosts: files dns\n".to_vec()),
            ("etc/hosts", hosts),
            ("etc/resolv.conf", host("/etc/resolv.conf")),
            ("etc/localtime", fs::read("/etc/localtime").unwrap_or_default()),
        ])
    }
}

/// Builds the new root around the trees.
pub(super) fn build_root(
    blueprint: &Blueprint<'_>,
    trees: &[Tree],
    texts: &Texts,
) -> Result<(), Failure> {
    tmpfs(SITE, "size=2m,nr_inodes=2048,mode=0755").at(Step::Root)?;
    std::env::set_current_dir(SITE).at(Step::Root)?;
    make_folders(blueprint).at(Step::Root)?;
    for (path, text) in &texts.0 {
        fs::write(path, text).on(Step::Root, path)?;
    }
    for tree in trees {
        attach(tree).on(Step::Root, &tree.target.display().to_string())?;
    }
    Ok(())
}

/// `/proc` with the box's own processes, and nothing of the kernel's. Before the old root goes: a user
/// namespace may mount one only where it sees another that nothing covers.
pub(super) fn mount_proc() -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "proc", Some("proc"), flags, Some("hidepid=invisible,subset=pid"))
}

/// Makes what was built the root, and lets go of the old one.
pub(super) fn enter_root() -> io::Result<()> {
    kernel::pivot_here()?;
    // The old root lies over the new one now.
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")?;
    // Last, since the mount points had to be made.
    let flags = MsFlags::MS_REMOUNT
        | MsFlags::MS_BIND
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?;
    Ok(())
}

fn make_folders(blueprint: &Blueprint<'_>) -> io::Result<()> {
    for path in ["app", "dev", "dev/shm", "etc", "etc/ssl", "home", "proc", "run", "tmp"] {
        folder(Path::new(path))?;
    }
    // One file system for all that can be written, so that one size bounds it.
    let size = blueprint.tmp_bytes();
    let inodes = (size / 4096).clamp(64, 1 << 20);
    tmpfs("tmp", &format!("size={size},nr_inodes={inodes},mode=0755"))?;
    for (name, mode) in [("home", 0o700), ("dev/shm", 0o1777), ("tmp", 0o1777)] {
        let inner = Path::new("tmp").join(name.replace('/', "-"));
        folder(&inner)?;
        fs::set_permissions(&inner, fs::Permissions::from_mode(mode))?;
        if !blueprint.has(Wall::UserNamespace) && blueprint.has(Wall::OwnUid) {
            chown(&inner, Some(blueprint.ids.uid), Some(blueprint.ids.gid))?;
        }
        // The last one covers the whole, which then has no other name.
        mount(Some(&inner), name, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    }
    for (link, target) in
        [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]
    {
        symlink(target, Path::new("dev").join(link))?;
    }
    Ok(())
}

fn attach(tree: &Tree) -> io::Result<()> {
    // Relative: the new root is the working directory.
    let target = tree.target.strip_prefix("/").map_err(io::Error::other)?;
    if tree.is_folder {
        folder(target)?;
    } else {
        target.parent().map_or(Ok(()), folder)?;
        if !target.exists() {
            File::create(target)?;
        }
    }
    kernel::attach_tree(tree.mount.as_fd(), &c_path(target)?)
}

/// All of the path, whatever the caller's umask says.
fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn tmpfs(target: &str, options: &str) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}
