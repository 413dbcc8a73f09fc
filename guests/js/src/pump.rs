//! Runs a call to its end: jobs, timers and host operations, by turns.
//!
//! Owns: the order of these, and whether the instance is clean afterwards. Never: looks at the
//! deadline; the host stops the whole guest.

use rquickjs::{Ctx, TypedArray};

use crate::guest::Guest;
use crate::state::{STATE, State};
use crate::{host, native};

const WARN: u32 = 2;
const ERROR: u32 = 3;

/// True if nothing is left over: the instance may serve another call.
pub fn handle(guest: &Guest, ctx: &Ctx<'_>, subject_len: usize, payload_len: usize) -> bool {
    STATE.with(|state| {
        state.is_answered.set(false);
        state.n_holds.set(0);
        let arguments = state.with_input(subject_len + payload_len, |input| {
            let (subject, payload) = input.split_at(subject_len);
            let subject = rquickjs::String::from_str(ctx.clone(), &String::from_utf8_lossy(subject))?;
            Ok((subject, TypedArray::<u8>::new_copy(ctx.clone(), payload)?))
        });
        let invoked = arguments
            .and_then(|arguments| guest.hook(ctx, &guest.invoke).call::<_, ()>(arguments));
        if let Err(error) = invoked {
            throw_away(guest, ctx, &error);
        }
        run(guest, ctx, state)
    })
}

/// Runs promise jobs until there is none.
pub fn run_jobs(ctx: &Ctx<'_>) {
    while ctx.execute_pending_job() {}
}

/// Logs the promises that were rejected while nobody listened.
pub fn log_rejections(guest: &Guest, ctx: &Ctx<'_>) {
    for reason in native::take_rejections(ctx) {
        let (_, detail) = native::report(guest, ctx, reason);
        host::log_lines(ERROR, &format!("unhandled rejection: {detail}"));
    }
}

fn run(guest: &Guest, ctx: &Ctx<'_>, state: &State) -> bool {
    loop {
        run_jobs(ctx);
        log_rejections(guest, ctx);
        if state.is_answered.get() && state.n_holds.get() == 0 {
            return state.n_timers.get() == 0 && state.n_operations.get() == 0;
        }
        let due = state.next_due.get();
        if due <= host::steady_millis() {
            if let Err(error) = guest.hook(ctx, &guest.fire).call::<_, ()>(()) {
                throw_away(guest, ctx, &error);
            }
        } else if due.is_infinite() && state.n_operations.get() == 0 {
            end_stuck(state);
            return false;
        } else if let Some(done) = host::wait(due) {
            state.n_operations.set(state.n_operations.get().saturating_sub(1));
            settle(guest, ctx, done);
        }
    }
}

fn settle(guest: &Guest, ctx: &Ctx<'_>, done: host::Done) {
    let settled = TypedArray::<u8>::new(ctx.clone(), done.result).and_then(|result| {
        guest.hook(ctx, &guest.settle).call::<_, ()>((done.id, done.is_error, result))
    });
    if let Err(error) = settled {
        throw_away(guest, ctx, &error);
    }
}

/// Nothing can happen any more, and something is still waited for.
fn end_stuck(state: &State) {
    if state.is_answered.get() {
        host::log_lines(WARN, "a promise given to waitUntil can never settle: nothing is pending");
    } else {
        let message = "the function's promise can never settle: no timer or operation is pending";
        host::fail_with(message, "");
    }
}

/// An exception that no code of the function can catch: it fails the call, or is logged after the reply.
fn throw_away(guest: &Guest, ctx: &Ctx<'_>, error: &rquickjs::Error) {
    let (message, detail) = if error.is_exception() {
        native::report(guest, ctx, ctx.catch())
    } else {
        (error.to_string(), String::new())
    };
    STATE.with(|state| {
        if state.is_answered.replace(true) {
            host::log_lines(ERROR, &detail);
        } else {
            host::fail_with(&message, &detail);
        }
    });
}
