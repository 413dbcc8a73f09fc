//! `cargo xtask dist`: what a machine without this repository needs, as one archive with its checksum.
//!
//! Owns: the archive's name, the order of work, and what is told about the binary. Never: uploads anything, or
//! packs what the tree's own version does not fit.
//!
//! The same commit is meant to give the same bytes: entries are sorted, belong to nobody, and have the commit's time
//! (`SOURCE_DATE_EPOCH`, if it is set); the build names no folder of the machine.

mod archive;
mod contents;
mod program;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::builds;
use archive::Compression;
use program::Program;

/// Options of the packing.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Pack this `nex` instead of building one for distribution
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where the archive goes; target/dist if left out
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// What was written.
#[derive(Debug)]
struct Packed {
    archive: PathBuf,
    checksum: PathBuf,
    bytes: u64,
}

/// Builds, packs and tells.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<()> {
    let time = source_time(root)?;
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => builds::dist(root)?,
    };
    let out = args.out.clone().unwrap_or_else(|| builds::target_dir(root).join("dist"));
    let program = Program::read(root, &binary)?;
    let packed = pack(root, &program, &out, time, Compression::BEST)?;
    print!("{}", program.told(root));
    println!("archive  {} ({:.1} MB)", packed.archive.display(), packed.bytes as f64 / 1e6);
    println!("checksum {}", packed.checksum.display());
    Ok(())
}

/// Writes `nex-<version>-<triple>.tar.gz` and its checksum, each whole or not at all.
fn pack(
    root: &Path,
    program: &Program,
    out: &Path,
    time: u64,
    compression: Compression,
) -> anyhow::Result<Packed> {
    let name = format!("nex-{}-{}", program.version, builds::host_triple(root)?);
    let entries = contents::entries(root, program, &name)?;
    let bytes = archive::compress(&archive::tar(entries, time)?, compression)?;
    let file = format!("{name}.tar.gz");
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let (archive, checksum) = (out.join(&file), out.join(format!("{file}.sha256")));
    let digest = Sha256::digest(&bytes);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    write(&archive, &bytes)?;
    // As `sha256sum --check` reads it, in the folder of the archive.
    write(&checksum, format!("{digest}  {file}\n").as_bytes())?;
    Ok(Packed { archive, checksum, bytes: bytes.len() as u64 })
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let unfinished = path.with_extension(std::process::id().to_string());
    fs::write(&unfinished, bytes)
        .with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}

/// The time that all entries get: the variable that other packers heed, else the commit's.
fn source_time(root: &Path) -> anyhow::Result<u64> {
    if let Some(given) = std::env::var_os("SOURCE_DATE_EPOCH") {
        let text = given.to_string_lossy();
        return text.parse().with_context(|| format!("SOURCE_DATE_EPOCH is no time: {text:?}"));
    }
    let mut git = Command::new("git");
    let output = git.args(["log", "-1", "--format=%ct"]).current_dir(root).output();
    let hint = "set SOURCE_DATE_EPOCH to the seconds since 1970 that the files shall have";
    let output = output.with_context(|| format!("git cannot tell the commit's time; {hint}"))?;
    if !output.status.success() {
        bail!("this is no checkout of git that could tell the commit's time; {hint}");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("git told {text:?} as the commit's time; {hint}"))
}

#[cfg(test)]
mod tests;
