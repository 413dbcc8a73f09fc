//! The guest that every function begins with, and deploying one.
//!
//! Owns: the compiled guest and its memory as it was built. Never: writes to either.

use std::sync::Arc;
use std::time::Instant;

use nex_functions::runtime::{GuestSpec, Refusal};
use wasmtime::{InstancePre, Linker, Module};

use super::file::File;
use super::function::{Function, Instance, Parsed};
use super::host::{self, State};
use super::image::Image;
use crate::compile::{self, Core};
use crate::failure;
use crate::limits::{self, DeadlinePassed, MemoryLimitReached};

/// The guest, built from `guests/js` by `cargo xtask guests`.
static GUEST: &[u8] = include_bytes!("../../../../guests/js/nex_js_guest.wasm");

/// Answers of the guest's `load`; anything else is a refusal.
const CLASSIC: u32 = 1;
const MODULE: u32 = 2;

pub(crate) struct JavaScript {
    module: Module,
    ready: InstancePre<State>,
    base: Arc<Base>,
}

/// What an image is the difference to.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) memory: Box<[u8]>,
    /// Where the guest's stack begins; it grows downwards, and nothing below is alive between calls.
    pub(crate) stack_top: usize,
}

impl JavaScript {
    /// Compiles the guest, or loads it from the cache.
    pub(crate) fn prepare(core: &Core) -> wasmtime::Result<Self> {
        let module = core.compile_own(GUEST)?;
        let mut linker = Linker::new(&core.wasmtime);
        host::add_to_linker(&mut linker)?;
        let ready = linker.instantiate_pre(&module)?;
        let base = Arc::new(Base::read(core, &module)?);
        Ok(Self { module, ready, base })
    }

    /// Evaluates the script's top level and takes its image.
    pub(crate) async fn deploy(
        &self,
        core: &Arc<Core>,
        spec: GuestSpec,
    ) -> Result<Function, Refusal> {
        compile::refuse_large_memory(&self.module, spec.memory)?;
        let deadline = Instant::now() + spec.timeout;
        let file = File::prepare(&spec, deadline).await?;
        let running = core.running();
        let mut state = State::loading(&spec, deadline);
        state.frames.clone_from(&file.frames);
        let mut instance = Instance::make(core, &self.ready, state)
            .await
            .map_err(|error| refuse(&error, &spec))?;
        let loaded = limits::until(deadline, instance.load(&file.name, &file.code)).await;
        drop(running);
        let shape = match loaded.map_err(|error| refuse(&error, &spec))? {
            CLASSIC => "classic script",
            MODULE => "ES module",
            _ => return Err(file.refused(instance.take_outcome())),
        };
        let image = Image::of(&mut instance, &self.base)
            .map_err(|error| Refusal::new(error.to_string()))?;
        Function::new(core, &self.ready, image, Parsed { shape, frames: file.frames }, spec)
    }
}

impl Base {
    /// Reads the memory of an instance that has run nothing. The guest has no start function, so an
    /// instance outside of the pool, without any import, shows the same.
    fn read(core: &Core, module: &Module) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&core.wasmtime);
        linker.define_unknown_imports_as_traps(module)?;
        let mut store = wasmtime::Store::new(&core.wasmtime, ());
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::format_err!("the guest exports no memory"))?;
        let stack_top = host::stack_pointer(&instance, &mut store)?;
        Ok(Self { memory: memory.data(&store).into(), stack_top })
    }
}

impl std::fmt::Debug for JavaScript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JavaScript").finish_non_exhaustive()
    }
}

/// The guest was stopped while it loaded the script.
fn refuse(error: &wasmtime::Error, spec: &GuestSpec) -> Refusal {
    if error.is::<DeadlinePassed>() {
        return Refusal::new(format!("the top level did not end within {:?}", spec.timeout));
    }
    if error.is::<MemoryLimitReached>() {
        let limit = spec.memory;
        return Refusal::new(format!("the top level needs more memory than {limit} bytes"));
    }
    let (message, detail) = failure::describe(error);
    let refusal = Refusal::new(format!("the top level failed: {message}"));
    match detail {
        Some(detail) => refusal.with_detail(detail),
        None => refusal,
    }
}
