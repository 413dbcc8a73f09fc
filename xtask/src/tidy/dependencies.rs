//! Who may depend on whom: the table of ARCHITECTURE.md, checked against `cargo metadata`.
//!
//! Owns: the arrows between our crates, and which crate alone may name a heavy or dangerous dependency.
//! Never: looks at sources.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Violation;
use crate::builds;

/// Our crates, and what each may depend on. A dev-dependency on the testkit is everybody's.
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("api", &["types"]),
    ("policy", &["types", "api"]),
    ("sandbox", &["types"]),
    ("shim", &["types", "sandbox"]),
    ("bus", &["types", "api", "policy", "sandbox"]),
    ("telemetry", &["api"]),
    ("client", &["types", "api", "policy", "bus", "telemetry"]),
    ("artifact", &["types", "bus"]),
    ("nexlet", &["types", "api", "bus", "sandbox", "telemetry"]),
    ("functions", &["types", "api", "policy", "sandbox", "bus", "artifact", "nexlet", "telemetry"]),
    ("runtime", &["types", "sandbox", "functions"]),
    ("services", &["types", "api", "policy", "sandbox", "shim", "bus", "artifact", "nexlet"]),
    ("node", &["types", "api", "policy", "sandbox", "bus", "telemetry"]),
    (
        "cli",
        &[
            "types",
            "api",
            "policy",
            "client",
            "artifact",
            "bus",
            "node",
            "functions",
            "runtime",
            "services",
            "nexlet",
            "sandbox",
            "telemetry",
        ],
    ),
    ("testkit", &["types", "api", "bus", "client"]),
    ("xtask", &["types", "api", "sandbox", "client"]),
];

/// External crates that only some of ours may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("anyhow", &["cli", "xtask"]),
    ("async-nats", &["bus", "testkit", "xtask", "cli (dev)", "functions (dev)"]),
    ("clap", &["cli", "xtask"]),
    ("comfy-table", &["cli"]),
    ("crossterm", &["cli"]),
    ("figment", &["cli"]),
    ("jsonschema", &["node"]),
    ("landlock", &["sandbox"]),
    ("libc", &["sandbox"]),
    ("notify", &["cli"]),
    ("nix", &["sandbox", "testkit", "xtask"]),
    ("nkeys", &["bus", "node", "cli (dev)"]),
    ("oci-client", &["artifact"]),
    ("opentelemetry-proto", &["telemetry", "testkit"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("prometheus-client", &["telemetry"]),
    ("ratatui", &["cli"]),
    ("rustix", &["sandbox", "shim"]),
    ("rquickjs", &[]),
    ("schemars", &["api"]),
    ("seccompiler", &["sandbox"]),
    ("wasmtime", &["runtime"]),
    ("wasmtime-wasi", &["runtime"]),
    ("wasmtime-wizer", &["runtime"]),
];

const ARROW_MEND: &str = "turn the arrow round, or change the table in ARCHITECTURE.md and in tidy";
const RESERVED_MEND: &str = "go through the crate that owns it";

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dependency {
    from: String,
    to: String,
    is_dev: bool,
}

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for (manifest, dependency) in dependencies(root)? {
        let Some((what, mend)) = judge(&dependency) else { continue };
        let text = std::fs::read_to_string(root.join(&manifest)).unwrap_or_default();
        let line = text.lines().position(|line| names(line, &dependency.to)).unwrap_or(0) + 1;
        violations.push(Violation { path: manifest, line, what, mend });
    }
    Ok(violations)
}

/// `None` when the tables allow it.
fn judge(dependency: &Dependency) -> Option<(String, &'static str)> {
    let Dependency { from, to, is_dev } = dependency;
    let from = short(from);
    if to.starts_with("nex-") {
        let to = short(to);
        let arrows = ARROWS.iter().find(|(name, _)| *name == from).map(|(_, allowed)| *allowed);
        let allowed = match from {
            "xtask" if to == "testkit" => true,
            _ => arrows.is_some_and(|allowed| allowed.contains(&to)),
        };
        let is_test_harness = *is_dev && to == "testkit";
        let told = || (format!("`{from}` may not depend on `{to}`"), ARROW_MEND);
        return (!allowed && !is_test_harness).then(told);
    }
    let (_, owners) = RESERVED.iter().find(|(name, _)| name == to)?;
    let dev = format!("{from} (dev)");
    let allowed = owners.contains(&from) || (*is_dev && owners.contains(&dev.as_str()));
    (!allowed).then(|| (format!("`{from}` may not name `{to}`"), RESERVED_MEND))
}

fn short(name: &str) -> &str {
    name.strip_prefix("nex-").unwrap_or(name)
}

fn names(line: &str, dependency: &str) -> bool {
    let rest = line.strip_prefix(dependency);
    rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
}

/// All dependencies of workspace members, with the manifest that they stand in.
fn dependencies(root: &Path) -> anyhow::Result<Vec<(String, Dependency)>> {
    let mut metadata = builds::cargo(root);
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = metadata.output().context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut all = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = Path::new(text(&package["manifest_path"]));
        let manifest = manifest.strip_prefix(root).unwrap_or(manifest).display().to_string();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let dependency = Dependency {
                from: text(&package["name"]).to_owned(),
                to: text(&dependency["name"]).to_owned(),
                is_dev: dependency["kind"] == "dev",
            };
            all.push((manifest.clone(), dependency));
        }
    }
    Ok(all)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(from: &str, to: &str, is_dev: bool) -> bool {
        let (from, to) = (from.to_owned(), to.to_owned());
        judge(&Dependency { from, to, is_dev }).is_none()
    }

    #[test]
    fn arrows_point_up_the_table_only() {
        assert!(is_allowed("nex-bus", "nex-api", false));
        assert!(!is_allowed("nex-api", "nex-bus", false));
        assert!(!is_allowed("nex-node", "nex-runtime", false));
        assert!(is_allowed("nex-node", "nex-testkit", true));
        assert!(!is_allowed("nex-node", "nex-testkit", false));
    }

    #[test]
    fn heavy_dependencies_have_owners() {
        assert!(is_allowed("nex-runtime", "wasmtime", false));
        assert!(!is_allowed("nex-functions", "wasmtime", false));
        assert!(is_allowed("nex-cli", "async-nats", true));
        assert!(!is_allowed("nex-cli", "async-nats", false));
        assert!(is_allowed("nex-policy", "thiserror", false));
    }
}
