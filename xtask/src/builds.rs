//! The binaries that demo, test and bench start and dist packs: `nex`, and the static programs of the examples.
//!
//! Owns: how they are built and where they are then. Never: builds anything of its own accord.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Cargo as we were started by it.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Builds the release binary of `nex`.
pub(crate) fn nex(root: &Path) -> anyhow::Result<PathBuf> {
    let mut build = cargo(root);
    build.args(["build", "--release", "--package", "nex-cli", "--bin", "nex"]);
    succeed(build)?;
    Ok(nex_path(root))
}

/// Builds the `nex` that is given away: the profile for distribution, the locked dependencies, and no folder of
/// this machine in it, so that others get the same bytes.
pub(crate) fn dist(root: &Path) -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let mut flags = vec![format!("--remap-path-prefix={}=/nex", root.display())];
    flags.extend(cargo_home.map(|folder| {
        format!("--remap-path-prefix={}=/registry", folder.join("registry/src").display())
    }));
    let mut build = cargo(root);
    build.args(["build", "--profile", "dist", "--locked", "--package", "nex-cli", "--bin", "nex"]);
    // Instead of the user's own flags, which may be for this processor only.
    build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    // What is linked as a whole cannot be compiled in pieces.
    build.env("CARGO_INCREMENTAL", "0");
    succeed(build)?;
    Ok(target_dir(root).join("dist/nex"))
}

/// Where the release binary of `nex` is, once it is built.
pub(crate) fn nex_path(root: &Path) -> PathBuf {
    target_dir(root).join("release/nex")
}

/// Builds the echo service, and the other program of its crate beside it, statically linked; the command is
/// the one that its own documentation tells.
pub(crate) fn echo_service(root: &Path) -> anyhow::Result<PathBuf> {
    let examples = target_dir(root).join("examples");
    let triple = host_triple(root)?;
    let mut build = cargo(root);
    // With an explicit target the flag reaches the program alone, and not the build's own tools.
    build.args(["build", "--release", "--locked", "--target", &triple]);
    build.args(["--manifest-path", "examples/echo-service/Cargo.toml", "--target-dir"]);
    build.arg(&examples).env("RUSTFLAGS", "-C target-feature=+crt-static");
    build.env_remove("CARGO_ENCODED_RUSTFLAGS");
    succeed(build)?;
    let built = examples.join(&triple).join("release");
    for name in ["word-count", "echo-service"] {
        place(&built.join(name), &examples.join(name))?;
    }
    Ok(examples.join("echo-service"))
}

/// A copy that is whole whenever somebody looks.
fn place(built: &Path, target: &Path) -> anyhow::Result<()> {
    let copy = target.with_extension(std::process::id().to_string());
    fs::copy(built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::rename(&copy, target).with_context(|| format!("cannot write {}", target.display()))
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty());
    given.map_or_else(|| root.join("target"), |path| root.join(path))
}

/// The target that this machine builds for.
pub(crate) fn host_triple(root: &Path) -> anyhow::Result<String> {
    let output =
        Command::new("rustc").arg("-vV").current_dir(root).output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

fn succeed(mut command: Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("the build failed ({status})");
    }
    Ok(())
}
