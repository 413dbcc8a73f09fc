//! `cargo xtask guests`: rebuilds the guests that are committed, and records what they were built from.
//!
//! Owns: the steps from source to `.wasm`. Never: runs as part of a build; only who changes a guest
//! needs its toolchain, which is clang, lld and three targets of rustup, and for components `wasm-tools`,
//! `wit-bindgen` and `zig` in the path (docs/guide/webassembly.md says where they come from).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest, Sha256};

/// Rebuilds every guest below `root`, the directory of the workspace.
pub(crate) fn run(root: &Path) -> Result<()> {
    // Compilers write resolved paths, so what is to be removed must be resolved too.
    let root = root.canonicalize()?;
    javascript(&root)?;
    wasm_echo(&root)?;
    component_rust(&root, "component-rust")?;
    component_rust(&root, "component-counter")?;
    component_rust(&root, "component-services")?;
    component_command(&root)?;
    component_c(&root)
}

/// QuickJS and our layer around it: compile, initialise once, keep the memory as it is then.
fn javascript(root: &Path) -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let sources = root.join("guests/js");
    add_target(root, TARGET)?;
    let mut build = cargo_build(root, &sources, TARGET)?;
    // QuickJS is C: the system's clang knows the target, and the crate brings the libc.
    let flags = format!("-ffile-prefix-map={}=", root.display());
    build
        .env("CC_wasm32_unknown_unknown", "clang")
        .env("AR_wasm32_unknown_unknown", "llvm-ar")
        .env("CFLAGS_wasm32_unknown_unknown", flags);
    finish(build)?;
    // The whole workspace, so that its dependencies are built with the features that everything else has.
    let mut build = command(root, "cargo");
    build.args(["build", "--release", "--workspace", "--example", "snapshot"]);
    finish(build)?;
    let program = root.join("target/release/examples/snapshot");
    let mut snapshot = Command::new(program);
    snapshot
        .arg(sources.join("target").join(TARGET).join("release/nex_js_guest.wasm"))
        .arg(sources.join("nex_js_guest.wasm"));
    finish(snapshot)?;
    record(&sources, &sources.join("nex_js_guest.sources.sha256"))
}

/// The smallest useful WASI command.
fn wasm_echo(root: &Path) -> Result<()> {
    const TARGET: &str = "wasm32-wasip1";
    let sources = root.join("examples/wasm-echo");
    add_target(root, TARGET)?;
    finish(cargo_build(root, &sources, TARGET)?)?;
    let built = sources.join("target").join(TARGET).join("release/wasm-echo.wasm");
    let committed = root.join("examples/wasm-echo.wasm");
    let wasm = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    fs::write(committed, wasm)?;
    record(&sources, &root.join("examples/wasm-echo.sources.sha256"))
}

/// A core module for a world of `wit/`, made into a component.
fn component_rust(root: &Path, name: &str) -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let sources = root.join("examples").join(name);
    add_target(root, TARGET)?;
    finish(cargo_build(root, &sources, TARGET)?)?;
    let file = format!("{}.wasm", name.replace('-', "_"));
    component_new(root, &sources.join("target").join(TARGET).join("release").join(file), name)
}

/// This target of rustc gives a component at once.
fn component_command(root: &Path) -> Result<()> {
    const TARGET: &str = "wasm32-wasip2";
    let sources = root.join("examples/component-command");
    add_target(root, TARGET)?;
    finish(cargo_build(root, &sources, TARGET)?)?;
    let built = sources.join("target").join(TARGET).join("release/component-command.wasm");
    let wasm = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    fs::write(root.join("examples/component-command.wasm"), wasm)?;
    record(&sources, &root.join("examples/component-command.sources.sha256"))
}

fn component_c(root: &Path) -> Result<()> {
    let sources = root.join("examples/component-c");
    let generated = sources.join("target");
    fs::create_dir_all(&generated)?;
    let mut bindings = command(&generated, "wit-bindgen");
    bindings.args(["c", "--world", "nex:function/pure"]).arg(root.join("wit"));
    finish(bindings)?;
    let mut compile = command(&generated, "zig");
    compile.args(["cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-Oz", "-s", "-I."]);
    compile.args(["../src/component.c", "pure.c", "pure_component_type.o", "-o", "core.wasm"]);
    finish(compile)?;
    component_new(root, &generated.join("core.wasm"), "component-c")
}

/// Wraps a core module that carries its world, and records what it was built from.
fn component_new(root: &Path, module: &Path, name: &str) -> Result<()> {
    let examples = root.join("examples");
    let mut new = command(root, "wasm-tools");
    new.args(["component", "new"]).arg(module);
    new.arg("-o").arg(examples.join(format!("{name}.wasm")));
    finish(new)?;
    record(&examples.join(name), &examples.join(format!("{name}.sources.sha256")))
}

fn add_target(root: &Path, target: &str) -> Result<()> {
    let installed = command(root, "rustup").args(["target", "list", "--installed"]).output()?;
    if String::from_utf8_lossy(&installed.stdout).lines().any(|line| line == target) {
        return Ok(());
    }
    let mut add = command(root, "rustup");
    add.args(["target", "add", target]);
    finish(add)
}

/// A build whose result does not name the machine that it was built on.
fn cargo_build(root: &Path, sources: &Path, target: &str) -> Result<Command> {
    let registry = cargo_home()?.join("registry/src");
    let flags = format!(
        "target.{target}.rustflags=[\"--remap-path-prefix={}=\", \"--remap-path-prefix={}=\"]",
        registry.display(),
        root.display(),
    );
    let mut build = command(sources, "cargo");
    build.args(["build", "--release", "--locked", "--target", target, "--config", &flags]);
    build.arg("--target-dir").arg(sources.join("target"));
    // These would replace the flags above and those of the guest's own configuration.
    build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(build)
}

/// Where cargo keeps its registry: beside its own binary, as rustup installs it.
fn cargo_home() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::home_dir().map(|home| home.join(".cargo"));
    cargo.or(home).context("neither CARGO_HOME nor a home directory is known")
}

/// Writes the digest of the sources: path and content of each file, sorted by path. The test
/// `guest_binary_matches_its_sources` computes the same.
fn record(sources: &Path, target: &Path) -> Result<()> {
    let mut files = Vec::new();
    for start in ["Cargo.toml", "Cargo.lock", ".cargo", "src"] {
        collect(&sources.join(start), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let name = file.strip_prefix(sources)?.to_string_lossy().into_owned();
        let content = fs::read(&file)?;
        digest.update(format!("{name}\0{}\0", content.len()));
        digest.update(content);
    }
    fs::write(target, format!("{:x}\n", digest.finalize()))?;
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    }
    Ok(())
}

fn command(directory: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    command
}

fn finish(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
