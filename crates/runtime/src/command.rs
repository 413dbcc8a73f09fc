//! WASI preview 1 commands: arguments and stdin in, stdout out, a fresh instance per call.
//!
//! Owns: what a command sees of the world, which is its arguments, its environment and its streams.
//! Never: opens a directory or a socket for it, or lets it see the nexlet's own environment.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use nex_functions::runtime::{
    Call, CallError, ColdStarts, Guest, GuestLog, GuestSpec, Refusal, Reply,
};
use wasmtime::{InstancePre, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use crate::compile::{self, Core};
use crate::failure;
use crate::limits::{self, Limited, Limits};
use crate::shape;
use crate::stdio::{self, Collected, Pipe};

pub(crate) struct Command {
    core: Arc<Core>,
    ready: InstancePre<State>,
    name: String,
    argv: Vec<String>,
    environment: Vec<(String, String)>,
    memory_limit: u64,
    logs: Arc<dyn GuestLog>,
    cold_starts: ColdStarts,
}

struct State {
    limits: Limits,
    wasi: WasiP1Ctx,
}

impl Limited for State {
    fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }
}

impl Command {
    pub(crate) fn deploy(
        core: &Arc<Core>,
        module: &Module,
        spec: &GuestSpec,
    ) -> Result<Self, Refusal> {
        compile::refuse_large_memory(module, spec.memory)?;
        let linker = linker(core).map_err(|error| Refusal::new(error.to_string()))?;
        refuse_unknown_imports(&linker, core, module)?;
        let ready = linker
            .instantiate_pre(module)
            .map_err(|error| Refusal::new(error.root_cause().to_string()))?;
        Ok(Self {
            core: Arc::clone(core),
            ready,
            name: spec.name.clone(),
            argv: spec.argv.clone(),
            environment: spec.environment.clone().into_iter().collect(),
            memory_limit: spec.memory,
            logs: Arc::clone(&spec.logs),
            cold_starts: spec.cold_starts.clone(),
        })
    }

    async fn run(&self, call: &Call) -> wasmtime::Result<Reply> {
        let stdout = Pipe::collect(stdio::max_stdout(self.memory_limit));
        let state = State {
            limits: Limits::new(self.memory_limit, call.deadline),
            wasi: self.wasi(call, &stdout),
        };
        let mut store = limits::bounded_store(&self.core.wasmtime, state);
        let ended = limits::until(call.deadline, self.start(&mut store)).await;
        match ended {
            Err(error) if !matches!(error.downcast_ref(), Some(I32Exit(0))) => Err(error),
            _ => Ok(Reply { payload: stdout.take(), ..Reply::default() }),
        }
    }

    async fn start(&self, store: &mut Store<State>) -> wasmtime::Result<()> {
        let instance = self.core.instantiate(store, &self.ready).await?;
        self.cold_starts.add();
        let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
        start.call_async(store, ()).await
    }

    fn wasi(&self, call: &Call, stdout: &Pipe<Collected>) -> WasiP1Ctx {
        WasiCtxBuilder::new()
            .arg(&self.name)
            .arg(&call.subject)
            .args(&self.argv)
            .envs(&self.environment)
            .stdin(MemoryInputPipe::new(call.payload.clone()))
            .stdout(stdout.clone())
            .stderr(Pipe::lines(Arc::clone(&self.logs)))
            .build_p1()
    }
}

#[async_trait]
impl Guest for Command {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        call.scope.note_cold_start();
        let running = self.core.running();
        let result = self.run(&call).await;
        drop(running);
        result.map_err(|error| failure::call_error(&error, self.memory_limit, &*self.logs))
    }

    fn release_idle(&self) {}

    fn shape(&self) -> &'static str {
        "WASI p1 command"
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither arguments nor environment: both may hold secrets.
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

fn linker(core: &Core) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(&core.wasmtime);
    p1::add_to_linker_async(&mut linker, |state: &mut State| &mut state.wasi)?;
    Ok(linker)
}

fn refuse_unknown_imports(
    linker: &Linker<State>,
    core: &Core,
    module: &Module,
) -> Result<(), Refusal> {
    let state = State {
        limits: Limits::new(0, std::time::Instant::now()),
        wasi: WasiCtxBuilder::new().build_p1(),
    };
    let mut store = Store::new(&core.wasmtime, state);
    shape::refuse_unknown_imports(module, |from, name| {
        from == shape::WASI_P1 && linker.get(&mut store, from, name).is_ok()
    })
}
