//! Components of our own world: `handle` with a message in and a reply out.
//!
//! Owns: instances, fresh for each call or reused. Never: gives an instance that failed a second call.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use nex_functions::runtime::{Call, CallError, Guest, GuestSpec, Instances, Refusal, Reply};
use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::bindings::{Guest as Bound, GuestPre, exports::nex::function::handler};
use super::message;
use super::state::{State, Template};
use crate::compile::{Core, Ready};
use crate::failure;
use crate::idle::{self, IdleList};
use crate::limits;
use crate::stdio::{Lines, Pipe};

pub(crate) struct Function {
    core: Arc<Core>,
    ready: GuestPre<State>,
    template: Template,
    instances: Instances,
    idle: IdleList<Instance>,
}

struct Instance {
    store: Store<State>,
    bound: Bound,
    /// Its stdout and stderr.
    output: Pipe<Lines>,
    n_calls: u32,
}

type Outcome = Result<handler::Reply, handler::Error>;

impl Function {
    pub(super) fn deploy(
        core: &Arc<Core>,
        ready: InstancePre<State>,
        spec: &GuestSpec,
    ) -> Result<Self, Refusal> {
        let unfit = |error: wasmtime::Error| {
            Refusal::new(format!("the component's handle is not that of wit/nex.wit: {error:#}"))
        };
        Ok(Self {
            core: Arc::clone(core),
            ready: GuestPre::new(ready).map_err(unfit)?,
            template: Template::of(spec),
            instances: spec.instances.unwrap_or(Instances::Fresh),
            idle: IdleList::new(),
        })
    }

    async fn run(&self, call: &Call) -> Result<Reply, CallError> {
        let running = self.core.running();
        let mut instance = match self.idle.take() {
            Some(instance) => instance,
            None => {
                call.scope.note_cold_start();
                self.start(call.deadline).await.map_err(|error| self.failed(&error))?
            }
        };
        let outcome = instance.call(call).await.map_err(|error| self.failed(&error))?;
        drop(running);
        self.keep(instance);
        message::outcome(outcome)
    }

    async fn start(&self, deadline: Instant) -> wasmtime::Result<Instance> {
        let output = Pipe::lines(Arc::clone(&self.template.logs));
        let wasi = self.template.wasi_of_function(&output);
        let mut store = self.template.store(&self.core.wasmtime, deadline, wasi);
        // Start functions and initialisers run here, so it is bounded as a call is.
        let making = self.core.instantiate(&mut store, &self.ready);
        let bound = limits::until(deadline, making).await?;
        self.template.cold_starts.add();
        Ok(Instance { store, bound, output, n_calls: 0 })
    }

    fn keep(&self, instance: Instance) {
        if self.instances == Instances::Fresh {
            return;
        }
        let memory = instance.store.data().memory_used();
        if !idle::is_spent(instance.n_calls, memory, self.template.memory_limit) {
            self.idle.put(instance);
        }
    }

    fn failed(&self, error: &wasmtime::Error) -> CallError {
        failure::call_error(error, self.template.memory_limit, &*self.template.logs)
    }
}

impl Instance {
    async fn call(&mut self, call: &Call) -> wasmtime::Result<Outcome> {
        self.n_calls += 1;
        limits::begin_call(&mut self.store, call.deadline);
        self.store.data_mut().begin(call);
        let message = message::message(call);
        let handled = self.bound.nex_function_handler().call_handle(&mut self.store, &message);
        let outcome = limits::until(call.deadline, handled).await;
        self.output.flush_line();
        outcome
    }
}

#[async_trait]
impl Guest for Function {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        self.run(&call).await
    }

    fn release_idle(&self) {
        self.idle.clear();
    }

    fn shape(&self) -> &'static str {
        "component"
    }
}

impl Ready<State> for GuestPre<State> {
    type Made = Bound;

    fn make(
        &self,
        store: &mut Store<State>,
    ) -> impl Future<Output = wasmtime::Result<Bound>> + Send {
        self.instantiate_async(store)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not its environment, which may hold secrets.
        f.debug_struct("Function").field("instances", &self.instances).finish_non_exhaustive()
    }
}
