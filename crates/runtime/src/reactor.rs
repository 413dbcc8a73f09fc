//! Core modules with the reactor ABI: `alloc(len)` and `handle(subject, payload)` in linear memory.
//!
//! Owns: the exchange of bytes and the reuse of instances. Never: offers an import; a reactor has none.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use nex_functions::runtime::{
    Call, CallError, ColdStarts, Guest, GuestLog, GuestSpec, Instances, Refusal, Reply,
};
use wasmtime::{InstancePre, Linker, Memory, Module, Store, TypedFunc};

use crate::compile::{self, Core};
use crate::failure;
use crate::idle::{self, IdleList};
use crate::limits::{self, Limits};
use crate::shape;

type Alloc = TypedFunc<u32, u32>;
type Handle = TypedFunc<(u32, u32, u32, u32), u64>;

#[derive(Debug)]
pub(crate) struct Reactor {
    core: Arc<Core>,
    ready: Ready,
    memory_limit: u64,
    instances: Instances,
    idle: IdleList<Instance>,
    logs: Arc<dyn GuestLog>,
    cold_starts: ColdStarts,
}

/// `InstancePre` has no `Debug`.
struct Ready(InstancePre<Limits>);

struct Instance {
    store: Store<Limits>,
    memory: Memory,
    alloc: Alloc,
    handle: Handle,
    n_calls: u32,
}

impl Reactor {
    pub(crate) fn deploy(
        core: &Arc<Core>,
        module: &Module,
        spec: &GuestSpec,
    ) -> Result<Self, Refusal> {
        shape::refuse_unknown_imports(module, |_, _| false)?;
        compile::refuse_large_memory(module, spec.memory)?;
        let ready = Linker::new(&core.wasmtime)
            .instantiate_pre(module)
            .map_err(|error| Refusal::new(error.to_string()))?;
        Ok(Self {
            core: Arc::clone(core),
            ready: Ready(ready),
            memory_limit: spec.memory,
            instances: spec.instances.unwrap_or(Instances::Reuse),
            idle: IdleList::new(),
            logs: Arc::clone(&spec.logs),
            cold_starts: spec.cold_starts.clone(),
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
        limits::begin_call(&mut instance.store, call.deadline);
        let payload = instance.call(call).await.map_err(|error| self.failed(&error))?;
        drop(running);
        self.keep(instance);
        Ok(Reply { payload, ..Reply::default() })
    }

    async fn start(&self, deadline: Instant) -> wasmtime::Result<Instance> {
        let limits = Limits::new(self.memory_limit, deadline);
        let mut store = limits::bounded_store(&self.core.wasmtime, limits);
        let instance = self.core.instantiate(&mut store, &self.ready.0).await?;
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(no_memory)?;
        let alloc = instance.get_typed_func(&mut store, "alloc")?;
        let handle = instance.get_typed_func(&mut store, "handle")?;
        self.cold_starts.add();
        Ok(Instance { store, memory, alloc, handle, n_calls: 0 })
    }

    fn keep(&self, instance: Instance) {
        let memory = instance.memory.data_size(&instance.store);
        if self.instances == Instances::Reuse
            && !idle::is_spent(instance.n_calls, memory, self.memory_limit)
        {
            self.idle.put(instance);
        }
    }

    fn failed(&self, error: &wasmtime::Error) -> CallError {
        failure::call_error(error, self.memory_limit, &*self.logs)
    }
}

#[async_trait]
impl Guest for Reactor {
    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        self.run(&call).await
    }

    fn release_idle(&self) {
        self.idle.clear();
    }

    fn shape(&self) -> &'static str {
        "reactor"
    }
}

impl Instance {
    async fn call(&mut self, call: &Call) -> wasmtime::Result<Bytes> {
        self.n_calls += 1;
        limits::until(call.deadline, async {
            let arguments = self.give(call.subject.as_bytes(), &call.payload).await?;
            let answer = self.handle.call_async(&mut self.store, arguments).await?;
            self.answer(answer)
        })
        .await
    }

    /// Copies both to where the guest wants them, side by side: each call into a guest has its price.
    async fn give(
        &mut self,
        subject: &[u8],
        payload: &[u8],
    ) -> wasmtime::Result<(u32, u32, u32, u32)> {
        let (subject_len, payload_len) =
            (u32::try_from(subject.len())?, u32::try_from(payload.len())?);
        let Some(len) = subject_len.checked_add(payload_len) else {
            wasmtime::bail!("the message has more bytes than a guest can address");
        };
        let address = self.alloc.call_async(&mut self.store, len).await?;
        let begin = usize::try_from(address)?;
        let end = begin.checked_add(usize::try_from(len)?);
        let memory = self.memory.data_mut(&mut self.store);
        let Some(target) = end.and_then(|end| memory.get_mut(begin..end)) else {
            wasmtime::bail!("alloc({len}) returned {address}: out of memory");
        };
        let (for_subject, for_payload) = target.split_at_mut(subject.len());
        for_subject.copy_from_slice(subject);
        for_payload.copy_from_slice(payload);
        Ok((address, subject_len, address.wrapping_add(subject_len), payload_len))
    }

    /// Copies the bytes that the guest points to: the address in the upper half, the length in the lower.
    fn answer(&self, answer: u64) -> wasmtime::Result<Bytes> {
        let address = usize::try_from(answer >> 32)?;
        let len = usize::try_from(answer & u64::from(u32::MAX))?;
        address
            .checked_add(len)
            .and_then(|end| self.memory.data(&self.store).get(address..end))
            .map(Bytes::copy_from_slice)
            .ok_or_else(|| {
                wasmtime::format_err!("handle returned {len} bytes at {address}: outside of memory")
            })
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("n_calls", &self.n_calls).finish_non_exhaustive()
    }
}

fn no_memory() -> wasmtime::Error {
    wasmtime::format_err!("the instance has no memory")
}
