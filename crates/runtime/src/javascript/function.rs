//! One deployed JavaScript function and its instances.
//!
//! Owns: restoring, calling and reusing instances. Never: lets an instance serve again that failed
//! or left something over.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use nex_functions::runtime::{Call, CallError, Guest, GuestSpec, Instances, Level, Refusal, Reply};
use wasmtime::{InstancePre, Memory, Store, TypedFunc};

use super::frames::Frames;
use super::host::{self, Outcome, State};
use super::image::Image;
use crate::compile::Core;
use crate::failure;
use crate::idle::{self, IdleList};
use crate::limits::{self, DeadlinePassed};
use crate::room;

/// Input up to this length stays where it is in the guest; a longer one is given back after the call.
const KEPT_INPUT: usize = 64 * 1024;

pub(crate) struct Function {
    core: Arc<Core>,
    ready: InstancePre<State>,
    image: Image,
    parsed: Parsed,
    spec: GuestSpec,
    environment: Box<[u8]>,
    idle: IdleList<Instance>,
}

/// What was found out of a function's file.
pub(crate) struct Parsed {
    pub(crate) shape: &'static str,
    pub(crate) frames: Option<Arc<Frames>>,
}

/// The exports of the guest, of one instance.
pub(crate) struct Instance {
    store: Store<State>,
    instance: wasmtime::Instance,
    memory: Memory,
    input: TypedFunc<u32, u32>,
    handle: TypedFunc<(u32, u32), u32>,
    /// Address and length of the guest's input buffer.
    buffer: Option<(usize, usize)>,
    n_calls: u32,
}

impl Function {
    pub(crate) fn new(
        core: &Arc<Core>,
        ready: &InstancePre<State>,
        image: Image,
        parsed: Parsed,
        mut spec: GuestSpec,
    ) -> Result<Self, Refusal> {
        let environment = serde_json::to_vec(&spec.environment)
            .map_err(|error| Refusal::new(format!("the environment is not text: {error}")))?;
        // The image replaces the source.
        spec.source = bytes::Bytes::new();
        Ok(Self {
            core: Arc::clone(core),
            ready: ready.clone(),
            image,
            parsed,
            spec,
            environment: environment.into(),
            idle: IdleList::new(),
        })
    }

    async fn run(&self, call: Call) -> Result<Reply, CallError> {
        let running = self.core.running();
        let mut instance = match self.idle.take() {
            Some(instance) => instance,
            None => {
                call.scope.note_cold_start();
                self.start(call.deadline).await.map_err(|error| self.failed(&error))?
            }
        };
        let ended = instance.call(call).await;
        drop(running);
        match (ended, instance.take_outcome()) {
            (Ok(is_clean), Some(outcome)) => {
                if is_clean {
                    self.keep(instance);
                }
                outcome.into_result()
            }
            (Ok(_), None) => Err(failure::failed("the guest gave no answer".to_owned(), None)),
            (Err(error), Some(outcome)) => {
                self.log_late_end(&error);
                outcome.into_result()
            }
            (Err(error), None) => Err(self.failed(&error)),
        }
    }

    async fn start(&self, deadline: Instant) -> wasmtime::Result<Instance> {
        let until = room::patience(deadline);
        loop {
            // A failed attempt's store is dropped before the wait, and gives its memory back.
            match self.try_start(deadline).await {
                Ok(instance) => return Ok(instance),
                Err(error) => self.core.wait_for_room(error, until).await?,
            }
        }
    }

    async fn try_start(&self, deadline: Instant) -> wasmtime::Result<Instance> {
        let mut state = State::serving(&self.spec, deadline);
        state.frames.clone_from(&self.parsed.frames);
        let mut instance = Instance::make(&self.core, &self.ready, state).await?;
        self.image.restore(instance.memory, &mut instance.store).await?;
        instance.start(rand::random(), &self.environment).await?;
        self.spec.cold_starts.add();
        Ok(instance)
    }

    fn keep(&self, instance: Instance) {
        let memory = instance.memory.data_size(&instance.store);
        let is_reused = self.spec.instances != Some(Instances::Fresh);
        if is_reused && !idle::is_spent(instance.n_calls, memory, self.spec.memory) {
            self.idle.put(instance);
        }
    }

    /// The call was answered; what it gave to `waitUntil` did not end well.
    fn log_late_end(&self, error: &wasmtime::Error) {
        if error.is::<DeadlinePassed>() {
            let line = "what waitUntil was given did not end before the deadline";
            self.spec.logs.line(Level::Warn, line);
        } else {
            // Logs by itself.
            drop(self.failed(error));
        }
    }

    fn failed(&self, error: &wasmtime::Error) -> CallError {
        failure::call_error(error, self.spec.memory, &*self.spec.logs)
    }
}

#[async_trait]
impl Guest for Function {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        self.run(call).await
    }

    fn release_idle(&self) {
        self.idle.clear();
    }

    fn shape(&self) -> &'static str {
        self.parsed.shape
    }
}

impl Outcome {
    fn into_result(self) -> Result<Reply, CallError> {
        match self {
            Self::Replied(reply) => Ok(reply),
            Self::Failed { message, detail } => Err(failure::failed(message, detail)),
        }
    }
}

impl Instance {
    pub(crate) async fn make(
        core: &Core,
        ready: &InstancePre<State>,
        state: State,
    ) -> wasmtime::Result<Self> {
        let mut store = limits::bounded_store(&core.wasmtime, state);
        let instance = core.instantiate(&mut store, ready).await?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::format_err!("the guest exports no memory"))?;
        store.data_mut().memory = Some(memory);
        let input = instance.get_typed_func(&mut store, "input")?;
        let handle = instance.get_typed_func(&mut store, "handle")?;
        Ok(Self { store, instance, memory, input, handle, buffer: None, n_calls: 0 })
    }

    /// Evaluates a script; the answer is its shape.
    pub(crate) async fn load(&mut self, file: &str, source: &[u8]) -> wasmtime::Result<u32> {
        self.give(&[file.as_bytes(), source]).await?;
        let load = self.instance.get_typed_func::<(u32, u32), u32>(&mut self.store, "load")?;
        load.call_async(&mut self.store, (length(file.as_bytes())?, length(source)?)).await
    }

    pub(crate) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    pub(crate) fn stack_pointer(&mut self) -> wasmtime::Result<usize> {
        host::stack_pointer(&self.instance, &mut self.store)
    }

    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        self.store.data_mut().outcome.take()
    }

    async fn start(&mut self, seed: u64, environment: &[u8]) -> wasmtime::Result<()> {
        self.give(&[environment]).await?;
        let start = self.instance.get_typed_func::<(u64, u32), ()>(&mut self.store, "start")?;
        start.call_async(&mut self.store, (seed, length(environment)?)).await
    }

    /// Runs one call; true if the instance is clean afterwards.
    async fn call(&mut self, mut call: Call) -> wasmtime::Result<bool> {
        self.n_calls += 1;
        let deadline = call.deadline;
        limits::begin_call(&mut self.store, deadline);
        let payload = std::mem::take(&mut call.payload);
        let lengths = (length(call.subject.as_bytes())?, length(&payload)?);
        let handled = limits::until(deadline, async {
            self.give(&[call.subject.as_bytes(), &payload]).await?;
            self.store.data_mut().begin(call);
            self.handle.call_async(&mut self.store, lengths).await
        });
        Ok(handled.await? != 0)
    }

    /// Writes `parts`, one after the other, to the guest's input.
    async fn give(&mut self, parts: &[&[u8]]) -> wasmtime::Result<()> {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut address = match self.buffer {
            Some((address, capacity)) if len <= capacity => address,
            _ => self.reserve(len).await?,
        };
        for part in parts {
            self.memory.write(&mut self.store, address, part)?;
            address += part.len();
        }
        Ok(())
    }

    async fn reserve(&mut self, len: usize) -> wasmtime::Result<usize> {
        let address = self.input.call_async(&mut self.store, u32::try_from(len)?).await?;
        let address = usize::try_from(address)?;
        self.buffer = (len <= KEPT_INPUT).then_some((address, len));
        Ok(address)
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the environment, which may hold secrets.
        f.debug_struct("Function")
            .field("name", &self.spec.name)
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("n_calls", &self.n_calls).finish_non_exhaustive()
    }
}

fn length(bytes: &[u8]) -> wasmtime::Result<u32> {
    Ok(u32::try_from(bytes.len())?)
}
