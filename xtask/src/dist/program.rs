//! The `nex` that is packed: its version, what it can, and what it says about the machine that built it.
//!
//! Owns: asking it, and looking into its bytes. Never: changes them.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::size;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A program whose version is the tree's.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    pub(super) version: String,
    pub(super) bytes: Vec<u8>,
    /// What it was built without; nothing in what is given away.
    lacks: Vec<&'static str>,
}

impl Program {
    pub(super) fn read(root: &Path, path: &Path) -> anyhow::Result<Self> {
        let path = root.join(path);
        let bytes = std::fs::read(&path)
            .with_context(|| format!("cannot read the binary {}", path.display()))?;
        let mut program = Self { path, version: VERSION.to_owned(), bytes, lacks: Vec::new() };
        let told: serde_json::Value = serde_json::from_slice(&program.ask(&["version", "--json"])?)
            .context("it does not tell its version as JSON")?;
        let version = told["version"].as_str().unwrap_or_default();
        if version != VERSION {
            let path = program.path.display();
            bail!("{path} is version {version:?} and this tree is {VERSION}: build it again");
        }
        let lacks = |name: &&'static str| told[*name] != serde_json::Value::Bool(true);
        program.lacks = ["functions", "services"].into_iter().filter(lacks).collect();
        Ok(program)
    }

    /// What a command prints, in an empty environment.
    pub(super) fn ask(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        let mut command = Command::new(&self.path);
        // By its name alone, so that a script which repeats it finds the program on PATH.
        let output = command.arg0("nex").args(arguments).env_clear().output();
        let output = output.with_context(|| format!("cannot run {}", self.path.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("{} {} failed: {said}", self.path.display(), arguments.join(" "));
        }
        Ok(output.stdout)
    }

    /// A few lines for whoever packs it.
    pub(super) fn told(&self, root: &Path) -> String {
        let mut told = String::new();
        let mb = self.bytes.len() as f64 / 1e6;
        let mut line = |name: &str, text: &str| {
            // A string takes whatever is written.
            let _never = writeln!(told, "{name:<8} {text}");
        };
        line("binary", &format!("nex {} ({mb:.1} MB)", self.version));
        for name in &self.lacks {
            line("warning", &format!("it was built without {name}"));
        }
        if let Some((major, minor)) = self.oldest_c_library() {
            line("needs", &format!("glibc {major}.{minor} or newer"));
        }
        let n_paths = self.paths_of_this_machine(root);
        if n_paths > 0 {
            line("warning", &format!("it names folders of this machine {n_paths} times"));
        }
        match size::sections(&self.bytes) {
            Ok(sections) => line("sections", &sections.brief()),
            Err(error) => line("warning", &format!("its sections cannot be read: {error}")),
        }
        told
    }

    /// The newest version of a symbol that it asks of the C library.
    fn oldest_c_library(&self) -> Option<(u32, u32)> {
        let places = positions(&self.bytes, b"GLIBC_");
        let versions = places.filter_map(|at| {
            let rest = self.bytes.get(at + b"GLIBC_".len()..)?;
            let rest = rest.get(..16).unwrap_or(rest);
            let text: String = rest
                .iter()
                .map(|byte| char::from(*byte))
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            let mut numbers = text.split('.').map(|number| number.parse::<u32>().ok());
            Some((numbers.next()??, numbers.next()??))
        });
        versions.max()
    }

    fn paths_of_this_machine(&self, root: &Path) -> usize {
        let home = std::env::var_os("HOME").filter(|home| home.len() > 1);
        let folders = [Some(root.as_os_str().to_owned()), home];
        let folders = folders.into_iter().flatten();
        folders
            .map(|folder| {
                positions(&self.bytes, &[folder.as_encoded_bytes(), b"/"].concat()).count()
            })
            .sum()
    }
}

fn positions<'a>(bytes: &'a [u8], part: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = part.first().copied();
    bytes
        .iter()
        .enumerate()
        .filter(move |(_, byte)| Some(**byte) == first)
        .filter(move |(at, _)| bytes[*at..].starts_with(part))
        .map(|(at, _)| at)
}
