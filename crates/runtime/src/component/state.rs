//! What the store of a component holds, and the bounds of all that a guest can make the host keep.
//!
//! Owns: the guest's view of WASI: its streams, its environment, no directory, no socket.
//! Never: inherits anything of the process.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use nex_functions::host::{Headers, Host};
use nex_functions::runtime::{Call, ColdStarts, GuestLog, GuestSpec, Level};
use nex_functions::{Scope, TRACEPARENT};
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::bindings::nex::host::types::Header;
use super::http::Hooks;
use super::message::headers_out;
use crate::limits::{self, Limited, Limits};
use crate::stdio::{Collected, Lines, Pipe};

/// Streams, buckets, requests and the like that an instance may hold at a time.
const MAX_HOST_RESOURCES: usize = 1024;

/// Handles in the tables of the components themselves, which may hand resources to one another.
const MAX_HANDLES: usize = 16 * 1024;

/// Bytes that one call of `wasi:random` may ask for.
const MAX_RANDOM: u64 = 1024 * 1024;

/// Bytes that one host call may take over from the guest, whatever its memory limit: lists may point to the
/// same bytes many times.
const MAX_TAKEN_OVER: u64 = 64 * 1024 * 1024;

pub(crate) struct State {
    limits: Limits,
    pub(super) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    pub(super) host: Arc<Host>,
    pub(super) logs: Arc<dyn GuestLog>,
    /// The reply subject of the call, which the guest may publish to.
    pub(super) own_reply: Option<String>,
    /// The W3C `traceparent` of the call, which goes on with what the guest publishes and fetches.
    trace: Option<String>,
    /// The call's span.
    pub(super) scope: Scope,
    pub(super) memory_limit: u64,
}

/// What the stores of one deployed component are made from.
pub(crate) struct Template {
    pub(super) host: Arc<Host>,
    pub(super) logs: Arc<dyn GuestLog>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) memory_limit: u64,
    pub(super) cold_starts: ColdStarts,
}

/// The standard streams of a command; a function's output goes to its log.
pub(crate) struct Streams {
    pub(super) arguments: Vec<String>,
    pub(super) stdin: Bytes,
    pub(super) stdout: Pipe<Collected>,
}

impl Template {
    pub(super) fn of(spec: &GuestSpec) -> Self {
        Self {
            host: Arc::clone(&spec.host),
            logs: Arc::clone(&spec.logs),
            environment: spec.environment.clone().into_iter().collect(),
            memory_limit: spec.memory,
            cold_starts: spec.cold_starts.clone(),
        }
    }

    /// A store whose guest is bounded in memory and time, and in what the host keeps for it.
    pub(super) fn store(&self, engine: &Engine, deadline: Instant, wasi: WasiCtx) -> Store<State> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HOST_RESOURCES);
        let state = State {
            limits: Limits::new(self.memory_limit, deadline),
            table,
            wasi,
            http: WasiHttpCtx::new(),
            hooks: Hooks::new(Arc::clone(&self.host)),
            host: Arc::clone(&self.host),
            logs: Arc::clone(&self.logs),
            own_reply: None,
            trace: None,
            scope: Scope::none(),
            memory_limit: self.memory_limit,
        };
        let mut store = limits::bounded_store(engine, state);
        let taken_over = self.memory_limit.min(MAX_TAKEN_OVER);
        store.set_hostcall_fuel(usize::try_from(taken_over).unwrap_or(usize::MAX));
        store.set_max_component_handles(MAX_HANDLES);
        store
    }

    pub(super) fn wasi_of_function(&self, output: &Pipe<Lines>) -> WasiCtx {
        let mut builder = self.wasi();
        builder.stdout(output.clone()).stderr(output.clone());
        builder.build()
    }

    pub(super) fn wasi_of_command(&self, streams: Streams) -> WasiCtx {
        let mut builder = self.wasi();
        builder
            .args(&streams.arguments)
            .stdin(MemoryInputPipe::new(streams.stdin))
            .stdout(streams.stdout)
            .stderr(Pipe::lines(Arc::clone(&self.logs)));
        builder.build()
    }

    fn wasi(&self) -> WasiCtxBuilder {
        let mut builder = WasiCtxBuilder::new();
        builder
            .envs(&self.environment)
            .max_random_size(MAX_RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        builder
    }
}

impl State {
    /// What follows is done for `call`.
    pub(super) fn begin(&mut self, call: &Call) {
        self.own_reply.clone_from(&call.reply);
        let trace = call.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
        self.trace = trace.map(|(_, value)| value.clone());
        self.hooks.trace.clone_from(&self.trace);
        self.scope = call.scope.clone();
        self.hooks.scope = call.scope.clone();
    }

    /// Headers of a message that the guest sends.
    pub(super) fn outgoing(&self, headers: Vec<Header>) -> Headers {
        with_trace(headers_out(headers), self.trace.as_deref())
    }

    /// Tells the function's author what its interface has no words for.
    pub(super) fn warn(&self, interface: &str, why: &str) {
        self.logs.line(Level::Warn, &format!("{interface}: {why}"));
    }

    /// Bytes of linear memory in use.
    pub(super) fn memory_used(&self) -> usize {
        self.limits.used()
    }
}

/// With the trace of the call, unless the guest set another.
pub(super) fn with_trace(mut headers: Headers, trace: Option<&str>) -> Headers {
    let is_set = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
    if let (Some(trace), false) = (trace, is_set) {
        headers.push((TRACEPARENT.to_owned(), trace.to_owned()));
    }
    headers
}

impl Limited for State {
    fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}
