//! Command components: `wasi:cli/run`, with the contract of WASI preview 1 commands.
//!
//! Owns: arguments and stdin in, stdout out, a fresh instance per call. Never: reuses one; `run` may be
//! called once.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use nex_functions::runtime::{Call, CallError, Guest, GuestSpec, Refusal, Reply};
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::{Command as Linked, CommandPre};

use super::state::{State, Streams, Template};
use crate::compile::{Core, Ready};
use crate::failure;
use crate::limits;
use crate::stdio::{self, Pipe};

pub(crate) struct Command {
    core: Arc<Core>,
    ready: CommandPre<State>,
    name: String,
    argv: Vec<String>,
    template: Template,
}

impl Command {
    pub(super) fn deploy(
        core: &Arc<Core>,
        ready: InstancePre<State>,
        spec: &GuestSpec,
    ) -> Result<Self, Refusal> {
        let unfit = |error: wasmtime::Error| {
            Refusal::new(format!("the component's wasi:cli/run is not that of WASI 0.2: {error:#}"))
        };
        Ok(Self {
            core: Arc::clone(core),
            ready: CommandPre::new(ready).map_err(unfit)?,
            name: spec.name.clone(),
            argv: spec.argv.clone(),
            template: Template::of(spec),
        })
    }

    async fn run(&self, call: &Call) -> wasmtime::Result<Reply> {
        let stdout = Pipe::collect(stdio::max_stdout(self.template.memory_limit));
        let mut arguments = vec![self.name.clone(), call.subject.clone()];
        arguments.extend_from_slice(&self.argv);
        let stdin = call.payload.clone();
        let wasi =
            self.template.wasi_of_command(Streams { arguments, stdin, stdout: stdout.clone() });
        let mut store = self.template.store(&self.core.wasmtime, call.deadline, wasi);
        store.data_mut().begin(call);
        match limits::until(call.deadline, self.start(&mut store)).await {
            Err(error) if !matches!(error.downcast_ref(), Some(I32Exit(0))) => Err(error),
            _ => Ok(Reply { payload: stdout.take(), ..Reply::default() }),
        }
    }

    async fn start(&self, store: &mut Store<State>) -> wasmtime::Result<()> {
        let command = self.core.instantiate(store, &self.ready).await?;
        self.template.cold_starts.add();
        // What `run` returns has no number: an error is what a program's exit code 1 is.
        command.wasi_cli_run().call_run(store).await?.map_err(|()| I32Exit(1).into())
    }
}

#[async_trait]
impl Guest for Command {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        call.scope.note_cold_start();
        let running = self.core.running();
        let result = self.run(&call).await;
        drop(running);
        result.map_err(|error| {
            failure::call_error(&error, self.template.memory_limit, &*self.template.logs)
        })
    }

    fn release_idle(&self) {}

    fn shape(&self) -> &'static str {
        "WASI command component"
    }
}

impl Ready<State> for CommandPre<State> {
    type Made = Linked;

    fn make(
        &self,
        store: &mut Store<State>,
    ) -> impl Future<Output = wasmtime::Result<Linked>> + Send {
        self.instantiate_async(store)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither arguments nor environment: both may hold secrets.
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}
