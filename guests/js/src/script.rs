//! Loads a function: classic script or ES module, found out by parsing.
//!
//! Owns: the accepted shapes, and refusals that name file, line and column.
//! Never: runs a call.

use std::ffi::CString;

use rquickjs::context::Ctx;
use rquickjs::promise::PromiseState;
use rquickjs::{Function, Module, Value, qjs};

use crate::guest::Guest;
use crate::{host, native, pump};

/// What a function's source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Classic,
    Module,
}

/// Evaluates `source` and keeps the function that it results in. The host is told why, if there is none.
pub fn load(guest: &Guest, ctx: &Ctx<'_>, name: &str, source: &[u8]) -> Option<Shape> {
    let file = File { name, source };
    let loaded = match std::str::from_utf8(source) {
        Ok(_) => evaluate(guest, ctx, &file),
        Err(_) => Err(Refused::plain(format!("{name} is not UTF-8"))),
    };
    match loaded.and_then(|shape| refuse_rejections(guest, ctx, &file).map(|()| shape)) {
        Ok(shape) => Some(shape),
        Err(refused) => {
            host::fail_with(&refused.message, &refused.detail);
            None
        }
    }
}

struct File<'a> {
    name: &'a str,
    source: &'a [u8],
}

struct Refused {
    message: String,
    detail: String,
}

impl Refused {
    fn plain(message: String) -> Self {
        Self { message, detail: String::new() }
    }
}

/// Tries a script first, since every script but few modules parse as one.
fn evaluate(guest: &Guest, ctx: &Ctx<'_>, file: &File<'_>) -> Result<Shape, Refused> {
    let as_script = match compile_script(ctx, file) {
        Ok(script) => {
            evaluate_script(guest, ctx, file, script)?;
            return Ok(Shape::Classic);
        }
        Err(()) => refuse_thrown(guest, ctx, file),
    };
    match Module::declare(ctx.clone(), file.name, file.source) {
        Ok(module) => evaluate_module(guest, ctx, file, module).map(|()| Shape::Module),
        Err(_) => {
            let as_module = refuse_thrown(guest, ctx, file);
            Err(if looks_like_module(file.source) { as_module } else { as_script })
        }
    }
}

/// Parses without running anything, which the safe interface has for modules only.
fn compile_script<'js>(ctx: &Ctx<'js>, file: &File<'_>) -> Result<Value<'js>, ()> {
    // A zero byte ends the source early, as it does for C; such a script does not parse further.
    let (Ok(name), Ok(source)) = (CString::new(file.name), CString::new(file.source)) else {
        rquickjs::Exception::throw_syntax(ctx, "the source contains a zero byte");
        return Err(());
    };
    let flags = qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    // SAFETY: both strings end with a zero byte, which QuickJS needs beyond `len`, and outlive the
    // call; the result is either the exception marker or a value that is owned by us.
    unsafe {
        let raw = ctx.as_raw().as_ptr();
        let len = source.as_bytes().len() as qjs::size_t;
        let value = qjs::JS_Eval(raw, source.as_ptr(), len, name.as_ptr(), flags as i32);
        own(ctx, value)
    }
}

fn run_script<'js>(ctx: &Ctx<'js>, script: Value<'js>) -> Result<Value<'js>, ()> {
    // SAFETY: the script was made by `compile_script`; JS_EvalFunction takes it over, so it is given
    // a reference of its own.
    unsafe {
        let raw = ctx.as_raw().as_ptr();
        let value = qjs::JS_EvalFunction(raw, qjs::JS_DupValue(raw, script.as_raw()));
        own(ctx, value)
    }
}

/// # Safety
/// `value` must be owned by the caller, which gives it away.
unsafe fn own<'js>(ctx: &Ctx<'js>, value: qjs::JSValue) -> Result<Value<'js>, ()> {
    if unsafe { qjs::JS_IsException(value) } {
        return Err(());
    }
    Ok(unsafe { Value::from_raw(ctx.clone(), value) })
}

fn evaluate_script<'js>(
    guest: &Guest,
    ctx: &Ctx<'js>,
    file: &File<'_>,
    script: Value<'js>,
) -> Result<(), Refused> {
    let result = run_script(ctx, script).map_err(|()| refuse_thrown(guest, ctx, file))?;
    pump::run_jobs(ctx);
    adopt(&guest.hook(ctx, &guest.adopt_script), file, result)
}

fn evaluate_module<'js>(
    guest: &Guest,
    ctx: &Ctx<'js>,
    file: &File<'_>,
    module: Module<'js>,
) -> Result<(), Refused> {
    let thrown = |_| refuse_thrown(guest, ctx, file);
    let (module, done) = module.eval().map_err(thrown)?;
    pump::run_jobs(ctx);
    if done.state() == PromiseState::Pending {
        let name = file.name;
        return Err(Refused::plain(format!("{name} awaits at its top level what never comes")));
    }
    done.result::<()>().unwrap_or(Ok(())).map_err(thrown)?;
    let exports = module.namespace().map_err(thrown)?;
    adopt(&guest.hook(ctx, &guest.adopt_module), file, exports.into_value())
}

/// A promise that failed unheard would otherwise be the first thing that every instance logs.
fn refuse_rejections(guest: &Guest, ctx: &Ctx<'_>, file: &File<'_>) -> Result<(), Refused> {
    match native::take_rejections(ctx).into_iter().next() {
        Some(reason) => Err(refused(guest, ctx, file, reason)),
        None => Ok(()),
    }
}

fn adopt<'js>(adopt: &Function<'js>, file: &File<'_>, value: Value<'js>) -> Result<(), Refused> {
    let name = file.name;
    match adopt.call::<_, Option<String>>((value,)) {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(Refused::plain(format!("{name} is not callable: {reason}"))),
        Err(error) => Err(Refused::plain(format!("{name} is not callable: {error}"))),
    }
}

/// Turns the pending exception into a refusal with its place and, where known, the line itself.
fn refuse_thrown(guest: &Guest, ctx: &Ctx<'_>, file: &File<'_>) -> Refused {
    let thrown = ctx.catch();
    native::take_rejections(ctx);
    refused(guest, ctx, file, thrown)
}

fn refused<'js>(guest: &Guest, ctx: &Ctx<'js>, file: &File<'_>, thrown: Value<'js>) -> Refused {
    let (message, detail) = native::report(guest, ctx, thrown);
    let Some((line, column)) = place(&detail, file.name) else {
        return Refused { message: format!("{}: {message}", file.name), detail };
    };
    Refused { message: format!("{}:{line}:{column}: {message}", file.name), detail }
}

/// Line and column of the first frame in `file`.
fn place(stack: &str, file: &str) -> Option<(usize, usize)> {
    let (_, rest) = stack.split_once(&format!("{file}:"))?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit());
    let line = numbers.next()?.parse().ok()?;
    Some((line, numbers.next().and_then(|column| column.parse().ok()).unwrap_or(1)))
}

/// Whether a line begins as only those of modules do.
fn looks_like_module(source: &[u8]) -> bool {
    String::from_utf8_lossy(source).lines().any(|line| {
        let line = line.trim_start();
        ["export", "import"].iter().any(|word| {
            line.strip_prefix(word)
                .is_some_and(|rest| rest.starts_with([' ', '{', '*', '"', '\'', '\t']))
        })
    })
}
