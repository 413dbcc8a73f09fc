//! What the guest imports, and the state that these functions work on.
//!
//! Owns: the `nex` module and the clock of QuickJS. Never: trusts an address or a length that the
//! guest gives.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use nex_functions::runtime::{Call, GuestLog, GuestSpec, Level, Reply, Stimulus};
use serde::Serialize;
use wasmtime::{AsContextMut, Caller, Linker, Memory};

use super::frames::Frames;
use super::operations::Operations;
use crate::clock;
use crate::failure;
use crate::limits::{Limited, Limits};

/// First status of a Web `Response` that makes it an error reply.
const FIRST_ERROR_STATUS: u32 = 400;

/// Random bytes of one request, as the web platform bounds them.
const MAX_RANDOM: u32 = 65_536;

/// Bytes of a reply's headers as JSON; as values they take several times as many.
const MOST_HEADERS: u32 = 512 * 1024;

#[derive(Debug)]
pub(crate) struct State {
    limits: Limits,
    logs: Arc<dyn GuestLog>,
    /// Failures are refusals then, and nobody's log lines.
    is_loading: bool,
    /// Set before the guest runs.
    pub(crate) memory: Option<Memory>,
    pub(crate) outcome: Option<Outcome>,
    operations: Operations,
    /// The call that runs, and what the guest asked of it until it has taken it.
    call: Option<Call>,
    meta: Vec<u8>,
    /// Leads from the lines that the engine runs to those of the author, where they differ.
    pub(crate) frames: Option<Arc<Frames>>,
    /// The time of day that the top level sees.
    day_micros: Option<f64>,
}

/// What the guest's `ctx` is made from, when the function looks at it.
#[derive(Serialize)]
struct Meta<'a> {
    headers: &'a [(String, String)],
    reply: Option<&'a str>,
    /// Milliseconds since the Unix epoch.
    deadline: f64,
    trigger: &'a Stimulus,
    subject: &'a str,
}

/// What the guest said of a call, or of a script that it refused.
#[derive(Debug)]
pub(crate) enum Outcome {
    Replied(Reply),
    Failed { message: String, detail: Option<String> },
}

impl State {
    pub(crate) fn loading(spec: &GuestSpec, deadline: Instant) -> Self {
        let day_micros = Some(clock::day_micros());
        Self { is_loading: true, day_micros, ..Self::serving(spec, deadline) }
    }

    pub(crate) fn serving(spec: &GuestSpec, deadline: Instant) -> Self {
        Self {
            limits: Limits::new(spec.memory, deadline),
            logs: Arc::clone(&spec.logs),
            is_loading: false,
            memory: None,
            outcome: None,
            operations: Operations::new(Arc::clone(&spec.host), spec.memory),
            call: None,
            meta: Vec::new(),
            frames: None,
            day_micros: None,
        }
    }

    /// `call` begins; its payload is with the guest already.
    pub(crate) fn begin(&mut self, call: Call) {
        self.operations.begin_call(&call);
        self.call = Some(call);
    }

    /// The guest waits for something; if it has answered before, its caller need not.
    fn reply_early(&mut self) {
        if let Some(Outcome::Replied(reply)) = &mut self.outcome
            && let Some(early) = self.call.as_mut().and_then(|call| call.early.take())
        {
            let _nobody_waits = early.send(std::mem::take(reply));
        }
    }

    /// As the author's file has them.
    fn rewrite<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.frames {
            Some(frames) => frames.rewrite(text),
            None => Cow::Borrowed(text),
        }
    }

    /// The time of day; while the top level runs, that of the deploy.
    fn now_micros(&self) -> f64 {
        self.day_micros.unwrap_or_else(clock::day_micros)
    }

    fn fail(&mut self, message: &str, detail: &str) {
        let message = self.rewrite(message).into_owned();
        let detail = self.rewrite(detail).into_owned();
        if !self.is_loading {
            let logged = if detail.is_empty() { &message } else { &detail };
            failure::log_lines(&*self.logs, Level::Error, logged);
        }
        let detail = (!detail.is_empty()).then_some(detail);
        self.outcome = Some(Outcome::Failed { message, detail });
    }
}

impl Limited for State {
    fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "__rquickjs_host_now_us", |caller: Caller<'_, State>| {
        caller.data().now_micros()
    })?;
    linker.func_wrap("nex", "now", clock::steady_millis)?;
    linker.func_wrap("nex", "log", log)?;
    linker.func_wrap("nex", "reply", reply)?;
    linker.func_wrap("nex", "fail", fail)?;
    linker.func_wrap("nex", "random", random)?;
    linker.func_wrap("nex", "host_call", host_call)?;
    linker.func_wrap("nex", "host_take", host_take)?;
    linker.func_wrap("nex", "call_meta", call_meta)?;
    linker.func_wrap("nex", "call_meta_take", call_meta_take)?;
    linker.func_wrap_async(
        "nex",
        "host_wait",
        |mut caller: Caller<'_, State>, (until,): (f64,)| {
            Box::new(async move {
                let state = caller.data_mut();
                state.reply_early();
                let done = state.operations.wait(until).await;
                match done {
                    Some((id, len)) => Ok(u64::from(id) << 32 | u64::from(u32::try_from(len)?)),
                    None => Ok::<u64, wasmtime::Error>(0),
                }
            })
        },
    )?;
    linker.func_wrap_async(
        "nex",
        "host_run",
        |mut caller: Caller<'_, State>, (operation, argument, len): (u32, u32, u32)| {
            Box::new(async move {
                let (memory, state) = split(&mut caller)?;
                let argument = slice(memory, argument, len)?.to_vec();
                let length = state.operations.run(operation, &argument).await;
                Ok::<u32, wasmtime::Error>(u32::try_from(length)?)
            })
        },
    )?;
    Ok(())
}

/// Where the stack of an instance is.
pub(crate) fn stack_pointer(
    instance: &wasmtime::Instance,
    mut store: impl AsContextMut,
) -> wasmtime::Result<usize> {
    let global = instance.get_global(&mut store, "__stack_pointer");
    let value = global.and_then(|global| global.get(&mut store).i32());
    let Some(value) = value else {
        wasmtime::bail!("the guest exports no stack pointer");
    };
    Ok(usize::try_from(value)?)
}

/// Fills a range with random bytes that nobody can foresee. They must not become part of an image.
fn random(mut caller: Caller<'_, State>, target: u32, len: u32) -> wasmtime::Result<()> {
    let (memory, state) = split(&mut caller)?;
    if state.is_loading {
        wasmtime::bail!("the guest drew random bytes while it loaded a script");
    }
    let address = usize::try_from(target)?;
    let end = address.checked_add(usize::try_from(len.min(MAX_RANDOM))?);
    let Some(target) = end.and_then(|end| memory.get_mut(address..end)) else {
        wasmtime::bail!("the guest pointed outside of its memory");
    };
    rand::fill(target);
    Ok(())
}

fn log(mut caller: Caller<'_, State>, level: u32, text: u32, len: u32) -> wasmtime::Result<()> {
    let (memory, state) = split(&mut caller)?;
    let level = match level {
        0 => Level::Debug,
        1 => Level::Info,
        2 => Level::Warn,
        _ => Level::Error,
    };
    let text = String::from_utf8_lossy(slice(memory, text, len)?);
    if text.is_empty() {
        state.logs.line(level, "");
    }
    failure::log_lines(&*state.logs, level, &state.rewrite(&text));
    Ok(())
}

fn reply(
    mut caller: Caller<'_, State>,
    body: u32,
    len: u32,
    headers: u32,
    headers_len: u32,
    status: u32,
) -> wasmtime::Result<()> {
    let (memory, state) = split(&mut caller)?;
    let payload = Bytes::copy_from_slice(slice(memory, body, len)?);
    wasmtime::ensure!(headers_len <= MOST_HEADERS, "the reply's headers are too large");
    let headers = match slice(memory, headers, headers_len)? {
        [] => Vec::new(),
        json => serde_json::from_slice(json)?,
    };
    let error_status =
        if status >= FIRST_ERROR_STATUS { Some(u16::try_from(status)?) } else { None };
    state.outcome = Some(Outcome::Replied(Reply { payload, headers, error_status }));
    Ok(())
}

fn fail(
    mut caller: Caller<'_, State>,
    message: u32,
    len: u32,
    detail: u32,
    detail_len: u32,
) -> wasmtime::Result<()> {
    let (memory, state) = split(&mut caller)?;
    let message = String::from_utf8_lossy(slice(memory, message, len)?);
    let detail = String::from_utf8_lossy(slice(memory, detail, detail_len)?);
    state.fail(&message, &detail);
    Ok(())
}

/// Zero if too many operations are pending.
fn host_call(
    mut caller: Caller<'_, State>,
    operation: u32,
    argument: u32,
    len: u32,
) -> wasmtime::Result<u32> {
    let (memory, state) = split(&mut caller)?;
    let argument = slice(memory, argument, len)?;
    Ok(state.operations.start(operation, argument).unwrap_or(0))
}

/// Writes the result that `host_wait` announced; 1 if it is an error message.
fn host_take(mut caller: Caller<'_, State>, target: u32) -> wasmtime::Result<u32> {
    let (memory, state) = split(&mut caller)?;
    let Some(done) = state.operations.take() else {
        wasmtime::bail!("the guest took a result that was not announced");
    };
    let (is_error, bytes) = done.into_parts();
    write(memory, target, &bytes)?;
    Ok(u32::from(is_error))
}

/// Prepares what is known of the running call; the length of it as JSON.
fn call_meta(mut caller: Caller<'_, State>) -> wasmtime::Result<u32> {
    let state = caller.data_mut();
    let Some(call) = &state.call else {
        wasmtime::bail!("the guest asked for a call while there was none");
    };
    state.meta = serde_json::to_vec(&Meta {
        headers: &call.headers,
        reply: call.reply.as_deref(),
        deadline: clock::day_millis_at(call.deadline),
        trigger: &call.stimulus,
        subject: &call.subject,
    })?;
    Ok(u32::try_from(state.meta.len())?)
}

/// Writes what `call_meta` prepared.
fn call_meta_take(mut caller: Caller<'_, State>, target: u32) -> wasmtime::Result<()> {
    let (memory, state) = split(&mut caller)?;
    write(memory, target, &std::mem::take(&mut state.meta))
}

fn write(memory: &mut [u8], target: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let address = usize::try_from(target)?;
    let end = address.checked_add(bytes.len());
    let Some(target) = end.and_then(|end| memory.get_mut(address..end)) else {
        wasmtime::bail!("the guest pointed outside of its memory");
    };
    target.copy_from_slice(bytes);
    Ok(())
}

fn split<'a>(caller: &'a mut Caller<'_, State>) -> wasmtime::Result<(&'a mut [u8], &'a mut State)> {
    let Some(memory) = caller.data().memory else {
        wasmtime::bail!("the guest ran before its memory was known");
    };
    Ok(memory.data_and_store_mut(caller))
}

fn slice(memory: &[u8], address: u32, len: u32) -> wasmtime::Result<&[u8]> {
    let address = usize::try_from(address)?;
    let end = address.checked_add(usize::try_from(len)?);
    end.and_then(|end| memory.get(address..end))
        .ok_or_else(|| wasmtime::format_err!("the guest pointed outside of its memory"))
}
