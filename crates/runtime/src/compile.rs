//! The shared parts of the engine: wasmtime, its ticker, the code cache, and every deployed guest.
//!
//! Owns: compiling off the guest threads, and making instances.
//! Never: knows a shape of guest.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use nex_functions::runtime::{Guest, Refusal};
use wasmtime::{Engine, Instance, InstancePre, Module, ResourcesRequired, Store};

use crate::cache::{Code, CodeCache};
use crate::compiler::{NotCompiled, Origin};
use crate::limits::Limited;
use crate::room::{self, Room};
use crate::settings;
use crate::shape;
use crate::ticker::{Running, Ticker};

/// Bytes of a wasm page.
const WASM_PAGE: u64 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) wasmtime: Engine,
    ticker: Ticker,
    cache: CodeCache,
    room: Arc<Room>,
}

/// What instances can be made of without further checks.
pub(crate) trait Ready<T>: Sync {
    type Made;

    fn make(
        &self,
        store: &mut Store<T>,
    ) -> impl Future<Output = wasmtime::Result<Self::Made>> + Send;
}

impl<T: Limited> Ready<T> for InstancePre<T> {
    type Made = Instance;

    fn make(
        &self,
        store: &mut Store<T>,
    ) -> impl Future<Output = wasmtime::Result<Instance>> + Send {
        self.instantiate_async(store)
    }
}

impl Core {
    pub(crate) fn new(
        max_instances: u32,
        max_memory: u64,
        cache: CodeCache,
    ) -> wasmtime::Result<Self> {
        let wasmtime = Engine::new(&settings::wasmtime_config(max_instances))?;
        let ticker = Ticker::start(&wasmtime)?;
        let room = Arc::new(Room::new(max_memory, max_instances));
        Ok(Self { wasmtime, ticker, cache, room })
    }

    /// Keeps the epoch advancing, and with it every deadline, while the value lives.
    pub(crate) fn running(&self) -> Running {
        self.ticker.running()
    }

    /// Compiles a core module that is part of this binary, or loads it from the cache.
    pub(crate) fn compile_own(&self, wasm: &[u8]) -> wasmtime::Result<Module> {
        let code = match self.cache.find(&self.wasmtime, wasm) {
            Some(code) => code,
            None => self.cache.compile(&self.wasmtime, wasm, Origin::Own)?,
        };
        match code {
            Code::Module(module) => Ok(module),
            Code::Component(_) => Err(wasmtime::format_err!("a component is no core module")),
        }
    }

    /// Compiles an artifact on a blocking thread: the caller's thread has guests to run. Text is
    /// translated first.
    pub(crate) async fn compile(self: &Arc<Self>, source: Bytes) -> Result<Code, Refusal> {
        let what = shape::name_of(&source);
        let core = Arc::clone(self);
        let (wasm, found) = blocking(move || {
            let wasm = Bytes::from(shape::to_binary(&source)?.into_owned());
            let found = core.cache.find(&core.wasmtime, &wasm);
            Ok::<_, Refusal>((wasm, found))
        })
        .await??;
        if let Some(code) = found {
            return Ok(code);
        }
        // Whoever waits here waits without a thread, and stops when its deploy is given up.
        let turn = match self.cache.compiler() {
            Some(compiler) => {
                Some(compiler.turn().await.map_err(|error| refusal(what, &error.into()))?)
            }
            None => None,
        };
        let core = Arc::clone(self);
        let compiled = blocking(move || {
            let compiled = core.cache.compile(&core.wasmtime, &wasm, Origin::Stranger);
            drop(turn);
            compiled
        });
        compiled.await?.map_err(|error| refusal(what, &error))
    }

    pub(crate) fn remember(&self, guest: &Arc<dyn Guest>) {
        self.room.remember(guest);
    }

    /// Makes an instance. Without room for one, idle instances go; if that is not enough, the call
    /// waits a while for others to end.
    pub(crate) async fn instantiate<T: Limited, R: Ready<T>>(
        &self,
        store: &mut Store<T>,
        ready: &R,
    ) -> wasmtime::Result<R::Made> {
        let until = room::patience(store.data_mut().limits().deadline());
        loop {
            // The memory of what the store will hold is taken from the budget.
            store.data_mut().limits().enter(&self.room);
            match ready.make(store).await {
                Ok(made) => return Ok(made),
                Err(error) => self.wait_for_room(error, until).await?,
            }
        }
    }

    /// After an instantiation failed with `error`: waits for room, where that was missing, until `until`.
    pub(crate) async fn wait_for_room(
        &self,
        error: wasmtime::Error,
        until: Instant,
    ) -> wasmtime::Result<()> {
        let Some(shortage) = self.room.shortage(&error) else { return Err(error) };
        if self.room.wait(until).await { Ok(()) } else { Err(shortage.into()) }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refusal::new(format!("compiler died: {error}")))
}

fn refusal(what: &str, error: &wasmtime::Error) -> Refusal {
    match error.downcast_ref::<NotCompiled>() {
        Some(NotCompiled { sentence, detail: Some(detail) }) => {
            Refusal::new(sentence).with_detail(detail)
        }
        Some(NotCompiled { sentence, detail: None }) => Refusal::new(sentence),
        None => Refusal::new(format!("the {what} does not compile: {}", error.root_cause()))
            .with_detail(format!("{error:?}")),
    }
}

/// Refuses a module whose memory is over the limit before it has run at all.
pub(crate) fn refuse_large_memory(module: &Module, limit: u64) -> Result<(), Refusal> {
    refuse_memory_over("module", &module.resources_required(), limit)
}

pub(crate) fn refuse_memory_over(
    what: &str,
    required: &ResourcesRequired,
    limit: u64,
) -> Result<(), Refusal> {
    let needed = required.max_initial_memory_size.unwrap_or(0).saturating_mul(WASM_PAGE);
    if needed <= limit {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "the {what} begins with {needed} bytes of memory, more than its limit of {limit} bytes"
    )))
}
