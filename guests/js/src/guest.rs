//! The engine, and the functions of the JavaScript layer that Rust calls.
//!
//! Owns: making both, once. Never: evaluates a function's own code (see `script`).

use std::cell::OnceCell;

use rquickjs::context::EvalOptions;
use rquickjs::{Context, Ctx, Function, Object, Persistent, Runtime};

use crate::native;

/// Half of what the linker sets aside for the stack (see `.cargo/config.toml`), so that scripts meet
/// their own limit, which they can catch, before the guest meets its.
const STACK: usize = 512 * 1024;

/// The JavaScript layer, in the order in which its files build on each other.
const FILES: [(&str, &str); 14] = [
    ("nex:core.js", include_str!("js/core.js")),
    ("nex:inspect.js", include_str!("js/inspect.js")),
    ("nex:console.js", include_str!("js/console.js")),
    ("nex:timers.js", include_str!("js/timers.js")),
    ("nex:encoding.js", include_str!("js/encoding.js")),
    ("nex:url.js", include_str!("js/url.js")),
    ("nex:events.js", include_str!("js/events.js")),
    ("nex:clone.js", include_str!("js/clone.js")),
    ("nex:http.js", include_str!("js/http.js")),
    ("nex:crypto.js", include_str!("js/crypto.js")),
    ("nex:services.js", include_str!("js/services.js")),
    ("nex:classic.js", include_str!("js/classic.js")),
    ("nex:fetch.js", include_str!("js/fetch.js")),
    ("nex:dispatch.js", include_str!("js/dispatch.js")),
];

type Hook = Persistent<Function<'static>>;

pub struct Guest {
    context: Context,
    pub invoke: Hook,
    pub fire: Hook,
    pub settle: Hook,
    pub report: Hook,
    pub adopt_script: Hook,
    pub adopt_module: Hook,
}

thread_local! {
    static GUEST: OnceCell<Guest> = const { OnceCell::new() };
}

/// # Panics
/// Where the layer itself is broken, which fails the build of the guest.
pub fn initialize() {
    let guest = make().expect("the JavaScript layer evaluates");
    GUEST.with(|cell| cell.set(guest).ok().expect("initialize runs once"));
}

/// Calls `work` with the engine.
pub fn with<T>(work: impl FnOnce(&Guest, &Ctx<'_>) -> T) -> T {
    GUEST.with(|cell| {
        let guest = cell.get().expect("the snapshot holds an initialised guest");
        guest.context.with(|ctx| work(guest, &ctx))
    })
}

impl Guest {
    /// A function of the layer, for use in `ctx`.
    pub fn hook<'js>(&self, ctx: &Ctx<'js>, hook: &Hook) -> Function<'js> {
        hook.clone().restore(ctx).expect("there is one runtime")
    }
}

fn make() -> rquickjs::Result<Guest> {
    let runtime = Runtime::new()?;
    runtime.set_max_stack_size(STACK);
    let context = Context::full(&runtime)?;
    runtime.set_host_promise_rejection_tracker(Some(Box::new(native::track_rejection)));
    context.clone().with(|ctx| {
        let internals = evaluate_layer(&ctx)?;
        let hook = |name: &str| -> rquickjs::Result<Hook> {
            Ok(Persistent::save(&ctx, internals.get::<_, Function<'_>>(name)?))
        };
        let guest = Guest {
            invoke: hook("invoke")?,
            fire: hook("fire")?,
            settle: hook("settle")?,
            report: hook("report")?,
            adopt_script: hook("adoptScript")?,
            adopt_module: hook("adoptModule")?,
            context,
        };
        ctx.run_gc();
        Ok(guest)
    })
}

fn evaluate_layer<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let native = native::functions(ctx)?;
    let internals = Object::new(ctx.clone())?;
    for (name, source) in FILES {
        let mut options = EvalOptions::default();
        options.filename = Some(name.to_owned());
        let file: Function<'js> = ctx.eval_with_options(source, options)?;
        file.call::<_, ()>((native.clone(), internals.clone()))?;
    }
    Ok(internals)
}
