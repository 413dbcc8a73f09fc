//! The code cache: only the owner reads it, and damage is noticed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nex_runtime::{EngineConfig, WasmEngine};

use crate::support::{Deployed, wasm};

const ECHO: &str = include_str!("../../../../examples/reactor.wat");

fn engine(cache_dir: &Path) -> WasmEngine {
    let cache_dir = Some(cache_dir.to_owned());
    WasmEngine::new(EngineConfig { cache_dir, max_instances: 10, ..EngineConfig::default() })
        .unwrap()
}

async fn deploy(engine: &WasmEngine) -> Deployed {
    wasm(ECHO).try_deploy_to(engine).await.unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn damaged_code_is_compiled_anew() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("damaged-code");
    // Left over from a run before, or not there.
    drop(fs::remove_dir_all(&directory));
    deploy(&engine(&directory)).await;
    let written = files(&directory);
    assert_eq!(written.len(), 2, "the JavaScript guest and the echo: {written:?}");
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    for file in &written {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let smallest = written.iter().min_by_key(|file| fs::metadata(file).unwrap().len()).unwrap();
    let good = fs::read(smallest).unwrap();
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for content in [&damaged[..], &good[..20], b""] {
        fs::write(smallest, content).unwrap();
        let guest = deploy(&engine(&directory)).await;
        assert_eq!(guest.text("still here").await, "still here");
        assert_eq!(files(&directory), written);
        assert_eq!(fs::metadata(smallest).unwrap().len(), good.len() as u64);
    }
}
