//! Compiled code on disk.
//!
//! Owns: file names (digest of the wasm, and everything of the engine that code depends on), writing
//! whole files only, and the proof that a file is what was written. Never: trusts a file that does
//! not carry the digest of its content; such a file is compiled anew. With a compile helper it only
//! reads.
//!
//! The directory belongs to the nexlet (mode 0700, files 0600): whoever can write there can run code
//! in the nexlet, exactly as whoever can replace its binary can.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::compiler::{Compiler, Origin};
use crate::shape;

/// Length of the digest that stands in front of the code.
const DIGEST: usize = 32;

/// Compiled code.
pub(crate) enum Code {
    Module(Module),
    Component(Component),
}

impl Code {
    fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Self> {
        if shape::is_component(wasm) {
            Component::from_binary(engine, wasm).map(Self::Component)
        } else {
            Module::from_binary(engine, wasm).map(Self::Module)
        }
    }

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Module(module) => module.serialize(),
            Self::Component(component) => component.serialize(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct CodeCache {
    directory: Option<PathBuf>,
    compiler: Option<Arc<Compiler>>,
}

impl CodeCache {
    /// A cache in `directory`, which is made if it is missing; without one, nothing is kept. What is
    /// missing is compiled by `compiler`, which writes there, or without one in this process.
    pub(crate) fn open(
        directory: Option<PathBuf>,
        compiler: Option<Arc<Compiler>>,
    ) -> io::Result<Self> {
        if let Some(directory) = &directory {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        Ok(Self { directory, compiler })
    }

    pub(crate) fn compiler(&self) -> Option<&Arc<Compiler>> {
        self.compiler.as_ref()
    }

    /// What an earlier run compiled.
    pub(crate) fn find(&self, engine: &Engine, wasm: &[u8]) -> Option<Code> {
        let path = self.directory.as_ref()?.join(file_name(engine, wasm));
        read(engine, &path, shape::is_component(wasm))
    }

    /// Compiles `wasm`. With a compiler, the caller has a turn at it.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        wasm: &[u8],
        origin: Origin,
    ) -> wasmtime::Result<Code> {
        if let Some(compiler) = &self.compiler {
            compiler.compile(wasm, origin)?;
            let missing = || wasmtime::format_err!("the compile helper wrote no code that is ours");
            return self.find(engine, wasm).ok_or_else(missing);
        }
        let code = Code::compile(engine, wasm)?;
        let Some(directory) = &self.directory else { return Ok(code) };
        let path = directory.join(file_name(engine, wasm));
        if let Err(error) = write(&path, &code.serialize()?) {
            // The code works; the next start compiles it again.
            tracing::warn!(path = %path.display(), %error, "compiled code not cached");
        }
        Ok(code)
    }
}

pub(crate) fn file_name(engine: &Engine, wasm: &[u8]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let digest = Sha256::digest(wasm);
    format!("{digest:x}-{:016x}.cwasm", compatibility.finish())
}

/// `None` for a file that is missing, damaged, or of another engine.
fn read(engine: &Engine, path: &Path, is_component: bool) -> Option<Code> {
    let file = fs::read(path).ok()?;
    let (digest, code) = file.split_at_checked(DIGEST)?;
    if Sha256::digest(code).as_slice() != digest {
        tracing::warn!(path = %path.display(), "compiled code is damaged, compiling anew");
        return None;
    }
    match deserialize(engine, code, is_component) {
        Ok(code) => Some(code),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "compiled code not usable, compiling anew");
            None
        }
    }
}

#[expect(unsafe_code, reason = "loading our own compiled code has no safe form in wasmtime")]
fn deserialize(engine: &Engine, code: &[u8], is_component: bool) -> wasmtime::Result<Code> {
    // SAFETY: `code` must come from `Module::serialize` or `Component::serialize`. It was written by `write` below into a
    // directory that only this user can write to, and its digest was just checked on the very bytes
    // that are loaded; wasmtime itself refuses code of another version, other settings or the other kind.
    unsafe {
        if is_component {
            Component::deserialize(engine, code).map(Code::Component)
        } else {
            Module::deserialize(engine, code).map(Code::Module)
        }
    }
}

/// Writes beside the target and renames, so that readers see a whole file or none.
pub(crate) fn write(path: &Path, code: &[u8]) -> io::Result<()> {
    static N_WRITES: AtomicU64 = AtomicU64::new(0);
    let n_write = N_WRITES.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{n_write}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file
        .write_all(&Sha256::digest(code))
        .and_then(|()| file.write_all(code))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Best effort: the error that matters is the first one.
        drop(fs::remove_file(&temporary));
    }
    written
}
