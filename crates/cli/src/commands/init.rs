//! `nex init`: a minimal project that works, with a Nexfile.
//!
//! Owns: the templates and what stands in their gaps. Never: overwrites a file, or runs a compiler.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use nex_types::WorkloadName;
use serde_json::json;

use crate::args::Globals;
use crate::error::CliError;
use crate::ui;

/// A file's name, and its text with gaps.
type Template = (&'static str, &'static str);

macro_rules! templates {
    ($kind:literal: $($file:literal),+) => {
        &[$(($file, include_str!(concat!("../templates/", $kind, "/", $file)))),+]
    };
}

/// Write a minimal project with a Nexfile
///
/// It builds and runs as it is; its README says how. Nothing is overwritten.
///
///   nex init
///   nex init wasm-rust ./filter --name filter
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct InitArgs {
    /// What it is written in
    #[arg(value_enum, default_value = "javascript")]
    kind: ProjectKind,
    /// Where it goes; made when it is not there
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Name of the workload, and its subject [default: the folder's name]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProjectKind {
    /// A function; nothing is to be built
    #[value(alias = "js")]
    Javascript,
    /// A function; nothing is to be built
    #[value(alias = "ts")]
    Typescript,
    /// A function in Rust, as a WASI command
    WasmRust,
    /// A function in C, without a C library
    WasmC,
    /// A service in Rust, as a static program
    NativeRust,
}

impl ProjectKind {
    fn files(self) -> &'static [Template] {
        match self {
            Self::Javascript => templates!("javascript": "Nexfile.yaml", "main.js", "README.md"),
            Self::Typescript => templates!("typescript": "Nexfile.yaml", "main.ts", "README.md"),
            Self::WasmRust => {
                templates!("wasm-rust": "Nexfile.yaml", "Cargo.toml", "src/main.rs", "README.md")
            }
            Self::WasmC => templates!("wasm-c": "Nexfile.yaml", "main.c", "README.md"),
            Self::NativeRust => templates!(
                "native-rust": "Nexfile.yaml", "Cargo.toml", ".cargo/config.toml", "src/main.rs", "README.md"
            ),
        }
    }

    /// What is to be typed in the folder, as its README says.
    fn to_run(self) -> &'static str {
        match self {
            Self::Javascript | Self::Typescript => "nex run",
            Self::WasmRust => "cargo build --release --target wasm32-wasip1 && nex run",
            Self::WasmC => "clang --target=wasm32 -O2 -nostdlib -o main.wasm main.c && nex run",
            Self::NativeRust => "cargo build --release && nex run",
        }
    }
}

pub(crate) fn run(globals: &Globals, args: &InitArgs) -> Result<(), CliError> {
    let name = name(args)?;
    let files = args.kind.files();
    if let Some((there, _)) =
        files.iter().find(|(file, _)| args.folder.join(file).symlink_metadata().is_ok())
    {
        let there = args.folder.join(there);
        return Err(CliError::other(format!("{} is there already", there.display()))
            .hint("name a folder for the project: nex init KIND DIR"));
    }
    for (file, text) in files {
        let path = args.folder.join(file);
        write(&path, &filled(text, &name)).map_err(|error| {
            CliError::other(format!("cannot write {}: {error}", path.display()))
                .hint("name a folder that can be written to: nex init KIND DIR")
        })?;
    }
    tell(globals, args, &name);
    Ok(())
}

fn tell(globals: &Globals, args: &InitArgs, name: &WorkloadName) {
    let paths = args.kind.files().iter().map(|(file, _)| args.folder.join(file));
    let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    if globals.json {
        ui::json(&json!({ "name": name.as_str(), "files": paths, "run": args.kind.to_run() }));
        return;
    }
    for path in &paths {
        ui::line(format_args!("✓ {path}"));
    }
    let folder = args.folder.display().to_string();
    let enter = if folder == "." { String::new() } else { format!("cd {folder} && ") };
    ui::line(format_args!("  run it:   {enter}{}", args.kind.to_run()));
    // `nex call` knows what functions listen on, and nothing of what a program does.
    let call = if args.kind == ProjectKind::NativeRust { "nats req" } else { "nex call" };
    ui::line(format_args!("  call it:  {call} {name} Ann"));
}

/// The name that was given, else the folder's.
fn name(args: &InitArgs) -> Result<WorkloadName, CliError> {
    if let Some(name) = &args.name {
        return Ok(WorkloadName::parse(name)?);
    }
    let whole = std::path::absolute(&args.folder).unwrap_or_else(|_| args.folder.clone());
    let last = whole.components().next_back();
    let stem = last.and_then(|last| last.as_os_str().to_str()).unwrap_or_default();
    Ok(WorkloadName::from_stem(stem))
}

fn filled(text: &str, name: &WorkloadName) -> String {
    text.replace("{{name}}", name.as_str())
        .replace("{{package}}", &package(name))
        .replace("{{arch}}", std::env::consts::ARCH)
}

/// As Cargo takes it: a package's name begins with a letter.
fn package(name: &WorkloadName) -> String {
    let name = name.as_str();
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name.to_owned(),
        false => format!("nex-{name}"),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // New, so that neither a file nor a link that came meanwhile is written through.
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_template_keeps_a_gap_and_each_has_a_short_readme() {
        for kind in ProjectKind::value_variants() {
            for name in ["greet", "9lives"] {
                let name = WorkloadName::parse(name).unwrap();
                for (file, text) in kind.files() {
                    let text = filled(text, &name);
                    assert!(
                        !text.contains("{{") && text.ends_with('\n'),
                        "{kind:?} {file}: {text}"
                    );
                    assert!(*file != "README.md" || text.lines().count() == 5, "{kind:?}: {text}");
                    assert!(
                        *file != "README.md" || text.contains(kind.to_run()),
                        "{kind:?}: {text}"
                    );
                }
            }
        }
        assert_eq!(package(&WorkloadName::parse("9lives").unwrap()), "nex-9lives");
    }
}
