//! `nex init`: what it writes works as it is.
//!
//! 1. Each kind builds as its README says, is run from its folder by `nex run`, and answers. A kind whose
//!    toolchain is not there says why it is passed over.
//! 2. Nothing is overwritten.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nex_testkit::{Nex, Process};

use crate::world::{World, assert_refused};

/// A build waits for others on a small machine.
const BUILT: Duration = Duration::from_secs(540);

/// Writes the project, builds it as `build` says, and asks it.
async fn check(kind: &str, build: &[&str], expected: &str) {
    let world = World::up().await;
    let written = world.nex.ok(&["init", kind, "project", "--name", "greeter"]).await.text();
    assert!(written.contains("✓ project/Nexfile.yaml"), "{written}");
    if !build.is_empty() {
        ran(build, &world.nex.work_dir().join("project")).await.unwrap();
    }
    world.nex.ok(&["run", "project"]).await;
    // A program subscribes by itself, a moment after it was started.
    world.until_answered("greeter", "Ann", expected).await;
    let again = world.nex.ok(&["apply", "-f", "project"]).await.text();
    assert!(again.contains("✓ nothing to do"), "{again}");
    world.nex.ok(&["delete", "-f", "project"]).await;
    world.finish().await;
}

/// What a command prints, or why it failed.
async fn ran(arguments: &[&str], folder: &Path) -> Result<String, String> {
    let (program, arguments) = arguments.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    // What `cargo test` was told is not meant for a project of its own, which need not be fast either.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
    let mut process = Process::spawn(command).map_err(|failure| failure.to_string())?;
    let status = process.exit(BUILT).await.map_err(|failure| failure.to_string())?;
    let said = String::from_utf8_lossy(&process.stdout()).trim().to_owned();
    if status.success() { Ok(said) } else { Err(process.stderr()) }
}

#[tokio::test]
async fn a_javascript_project_works() {
    check("javascript", &[], r#"{"greeting":"Hello, Ann!"}"#).await;
}

#[tokio::test]
async fn a_typescript_project_works() {
    check("typescript", &[], r#"{"greeting":"Hello, Ann!"}"#).await;
}

#[tokio::test]
async fn a_wasm_project_in_rust_works() {
    let target = "wasm32-wasip1";
    let asked = ["rustc", "--print", "target-libdir", "--target", target];
    let library = ran(&asked, Path::new(".")).await;
    if !library.as_ref().is_ok_and(|folder| Path::new(folder).is_dir()) {
        println!("passed over: the target {target} is not installed: {library:?}");
        return;
    }
    let build = ["cargo", "build", "--release", "--offline", "--target", target];
    check("wasm-rust", &build, "Hello, Ann!").await;
}

#[tokio::test]
async fn a_wasm_project_in_c_works() {
    for tool in ["clang", "wasm-ld"] {
        if let Err(why) = ran(&[tool, "--version"], Path::new(".")).await {
            println!("passed over: {tool} is not there: {why}");
            return;
        }
    }
    let build = ["clang", "--target=wasm32", "-O2", "-nostdlib", "-o", "main.wasm", "main.c"];
    check("wasm-c", &build, "ANN").await;
}

/// Nothing is fetched for a test: its libraries are there, or it is passed over.
#[tokio::test]
async fn a_native_project_works() {
    let nex = Nex::managed().down();
    nex.ok(&["init", "native-rust", "probe"]).await;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let fetch = ["cargo", "fetch", "--offline", "--target", &target];
    let fetched = ran(&fetch, &nex.work_dir().join("probe")).await;

    if let Err(why) = fetched {
        println!("passed over: async-nats is not in Cargo's cache: {why}");
        return;
    }
    check("native-rust", &["cargo", "build", "--release", "--offline"], "Hello, Ann!").await;
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let nex = Nex::managed().down();
    nex.ok(&["init", "js", "a"]).await;
    let nexfile = nex.work_dir().join("a/Nexfile.yaml");
    assert!(std::fs::read_to_string(&nexfile).unwrap().starts_with("name: a\n"));
    std::fs::remove_file(nex.work_dir().join("a/README.md")).unwrap();
    let refused = nex.run(&["init", "wasm-c", "a"]).await;
    assert_refused(refused, 1, &["a/Nexfile.yaml is there already"], "nex init KIND DIR");
    assert!(!nex.work_dir().join("a/main.c").exists(), "nothing of it was written");
    // A link is not written through.
    std::fs::create_dir(nex.work_dir().join("b")).unwrap();
    let target = nex.work_dir().join("elsewhere");
    std::os::unix::fs::symlink(&target, nex.work_dir().join("b/main.js")).unwrap();
    let refused = nex.run(&["init", "js", "b"]).await;
    assert_refused(refused, 1, &["b/main.js is there already"], "nex init KIND DIR");
    assert!(!target.exists());
    let refused = nex.run(&["init", "js", "c", "--name", "a b"]).await.exits(2);
    assert!(refused.stderr.contains("a b"), "{refused}");
    let json = nex.ok(&["init", "js", "d", "--json"]).await.json();
    assert_eq!(json["files"][0], "d/Nexfile.yaml");
}
