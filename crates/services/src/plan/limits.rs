//! What a program may use, and which host paths it sees.
//!
//! Owns: the bounds of `limits` and the shape of `mounts`. Never: enforces a limit, or knows what the node
//! allows.

use std::path::{Component, Path, PathBuf};

use nex_api::start::{Cores, NativeLimits};
use nex_nexlet::StartFailure;
use nex_sandbox::jail::{Isolation, Limits, Mount};
use nex_types::ByteSize;

use super::bounds::{number, out_of_bounds, shown, size};
use super::invalid;

const MEMORY: [ByteSize; 2] = [ByteSize(1 << 20), ByteSize(1 << 40)];
const TMP: [ByteSize; 2] = [ByteSize(64 << 10), ByteSize(1 << 40)];
/// The kernel has no more pids.
const MOST_PIDS: u32 = 1 << 22;
const FILES: [u32; 2] = [16, 1 << 20];
const LEAST_CORES: f64 = 0.01;
const MOST_CORES: f64 = 1024.0;
const MOST_MOUNTS: usize = 64;

pub(super) fn read(request: &NativeLimits) -> Result<Limits, StartFailure> {
    Ok(Limits {
        memory: size("limits.memory", request.memory.as_deref(), MEMORY[0]..=MEMORY[1])?,
        cpu_millis: request.cpu.as_ref().map(cpu_millis).transpose()?,
        pids: number("limits.pids", request.pids, 1..=MOST_PIDS)?,
        files: number("limits.files", request.files, FILES[0]..=FILES[1])?,
        tmp: size("limits.tmp", request.tmp.as_deref(), TMP[0]..=TMP[1])?,
    })
}

pub(super) fn mounts(listed: &[String], isolation: Isolation) -> Result<Vec<Mount>, StartFailure> {
    if isolation == Isolation::None && !listed.is_empty() {
        return Err(invalid("mounts: with sandbox none the program sees every path as it is"));
    }
    if listed.len() > MOST_MOUNTS {
        return Err(invalid(format!("mounts: there are more than {MOST_MOUNTS}")));
    }
    let mut mounts: Vec<Mount> = Vec::with_capacity(listed.len());
    for text in listed {
        let mount = mount(text)?;
        if mounts.iter().any(|other| other.target == mount.target) {
            let target = shown(&mount.target.display().to_string());
            return Err(invalid(format!("mounts: {target} is there twice")));
        }
        mounts.push(mount);
    }
    Ok(mounts)
}

fn mount(text: &str) -> Result<Mount, StartFailure> {
    let (source, target) = text.split_once(':').unwrap_or((text, text));
    match (plain(source), plain(target)) {
        (Some(source), Some(target)) => Ok(Mount { source, target }),
        _ => Err(invalid(format!(
            "mounts: \"{}\" is not a mount; write an absolute path without \"..\", or SOURCE:TARGET",
            shown(text)
        ))),
    }
}

/// An absolute path below the root, by its names alone.
fn plain(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let mut parts = path.components();
    let is_plain = parts.next() == Some(Component::RootDir)
        && parts.clone().next().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !text.contains(['\0', ':']);
    // Put together anew: without `//`, `/./` and a slash at the end, which compare as different.
    is_plain.then(|| path.components().collect())
}

fn cpu_millis(cores: &Cores) -> Result<u32, StartFailure> {
    let (text, number) = match cores {
        Cores::Number(number) => (number.to_string(), number.as_f64()),
        Cores::Text(text) => (text.clone(), text.parse().ok()),
    };
    let Some(number) = number.filter(|number: &f64| number.is_finite()) else {
        let given = shown(&text);
        return Err(invalid(format!(
            "limits.cpu: \"{given}\" is not a number of processors; write for example 0.5"
        )));
    };
    if !(LEAST_CORES..=MOST_CORES).contains(&number) {
        return Err(out_of_bounds("limits.cpu", &text, LEAST_CORES, MOST_CORES));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was checked to be between the bounds"
    )]
    Ok((number * 1000.0).round() as u32)
}
