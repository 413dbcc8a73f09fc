//! `cargo xtask tidy`: rules that no compiler checks. Also run as a test.
//!
//! Owns: which files are looked at, and how a violation is told. Never: mends anything.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

mod dependencies;
mod documentation;
mod manifests;
mod marks;
mod rust_sources;

/// Folders that hold nothing of ours: by their full name, or (`target`) by how it begins.
const SKIPPED: [&str; 3] = [".git", ".nex", "node_modules"];

/// A file of the repository, with its path from the root.
#[derive(Debug)]
struct Source {
    path: String,
    /// Text, or whatever of a binary file looks like it.
    text: String,
}

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Violation {
    path: String,
    line: usize,
    what: String,
    mend: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.what, self.mend)
    }
}

impl Source {
    fn violation(&self, line_idx: usize, what: impl Into<String>, mend: &'static str) -> Violation {
        Violation { path: self.path.clone(), line: line_idx + 1, what: what.into(), mend }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_manifest(&self) -> bool {
        self.path == "Cargo.toml" || self.path.ends_with("/Cargo.toml")
    }
}

/// Prints what is to be mended.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    Ok(if report(root)? == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what is to be mended, and tells how much it is.
pub(crate) fn report(root: &Path) -> anyhow::Result<usize> {
    let violations = check(root)?;
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy");
    }
    Ok(violations.len())
}

fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let sources = sources(root)?;
    let mut violations = Vec::new();
    for source in &sources {
        violations.extend(marks::check(source));
        if source.is_rust() {
            violations.extend(rust_sources::check(source));
        }
        if source.is_manifest() {
            violations.extend(manifests::check(source));
        }
    }
    violations.extend(documentation::check(&sources));
    violations.extend(dependencies::check(root)?);
    Ok(violations)
}

fn sources(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    collect(root, root, &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn collect(folder: &Path, root: &Path, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    let items =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for item in items {
        let path = item?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) || (path.is_dir() && name.starts_with("target")) {
            continue;
        }
        if path.is_dir() {
            collect(&path, root, sources)?;
        } else if path.is_file() {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            sources.push(Source { path: shown, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let violations = check(&nex_testkit::root()).unwrap();
        let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn a_violation_is_one_line_that_an_editor_can_jump_to() {
        let source = Source { path: "crates/x/src/lib.rs".to_owned(), text: String::new() };
        let violation = source.violation(6, "a thing", "do this");
        assert_eq!(violation.to_string(), "crates/x/src/lib.rs:7: a thing: do this");
    }
}
