//! Builds the shim that `nex` carries: static, fixed in memory, and small.
//!
//! Owns: the nested build and where its result is. Never: downloads anything: the shim's crates are this
//! crate's too, so that the outer build has fetched them.
//!
//! Static, since the shim outlives upgrades of the host; not position independent, since relocation costs
//! each of hundreds of shims a copy of the same tables.
#![expect(
    clippy::disallowed_methods,
    reason = "a build script runs cargo, and is told by the environment what to do"
)]

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the shim is made of, from the workspace's root.
const SOURCES: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "crates/sandbox/Cargo.toml",
    "crates/sandbox/src",
    "crates/shim/Cargo.toml",
    "crates/shim/src",
    "crates/types/Cargo.toml",
    "crates/types/src",
];

/// For size, whatever the outer build is made for.
const PROFILE: [(&str, &str); 7] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_INCREMENTAL", "0"),
];

/// What the outer cargo, or a wrapper such as clippy, says to this build alone.
const NOT_FOR_THE_SHIM: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "RUSTC_WORKSPACE_WRAPPER",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let target = variable("TARGET")?;
    let folder = PathBuf::from(variable("OUT_DIR")?).join("shim");
    build(&root, &target, &folder)?;
    let binary = folder.join(target).join("release/nex-shim");
    println!("cargo::rustc-env=NEX_SHIM_BINARY={}", binary.display());
    Ok(())
}

fn build(root: &Path, target: &OsString, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(root);
    cargo.args(["build", "--release", "--locked", "--package", "nex-shim", "--bin", "nex-shim"]);
    // With an explicit target the flags reach the shim alone, and not its own build scripts.
    cargo.arg("--target").arg(target).arg("--target-dir").arg(folder);
    for name in NOT_FOR_THE_SHIM {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags().join("\x1f"));
    let status = cargo.envs(PROFILE).status()?;
    if !status.success() {
        let hint = "it is static, so that it needs the C library's archive, libc.a, installed";
        return Err(format!("the build of the shim failed ({status}), see above; {hint}").into());
    }
    Ok(())
}

/// What the shim needs, and of the outer build's flags those that keep this machine's paths out of a binary.
fn flags() -> Vec<String> {
    let own = ["-C", "target-feature=+crt-static", "-C", "relocation-model=static"];
    let outer = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let remaps = outer.split('\x1f').filter(|flag| flag.starts_with("--remap-path-prefix="));
    own.into_iter().chain(remaps).map(str::to_owned).collect()
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set: this runs under cargo only"))
}
