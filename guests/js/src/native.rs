//! The functions that the JavaScript layer is given.
//!
//! Owns: their names and types. Never: decides; the layer does.

use std::cell::RefCell;

use rquickjs::function::Func;
use rquickjs::promise::PromiseState;
use rquickjs::{Array, Ctx, Exception, IntoJs, Object, Persistent, Promise, TypedArray, Value};

use crate::state::STATE;
use crate::{crypto, guest, host, urls};

type Kept = Persistent<Value<'static>>;

thread_local! {
    /// Promises that were rejected before anybody listened, with the reason.
    static REJECTIONS: RefCell<Vec<(Kept, Kept)>> = const { RefCell::new(Vec::new()) };
}

/// Collects them in an object.
pub fn functions<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    native.set("log", Func::from(|level: u32, text: String| host::log_lines(level, &text)))?;
    native.set("now", Func::from(host::steady_millis))?;
    native.set("random", Func::from(|| STATE.with(|state| state.random())))?;
    native.set("origin", Func::from(|| STATE.with(|state| state.origin.get())))?;
    native.set("isServing", Func::from(|| STATE.with(|state| state.is_serving.get())))?;
    native.set("environment", Func::from(environment))?;
    native.set("meta", Func::from(|| String::from_utf8_lossy(&host::meta()).into_owned()))?;
    native.set("setNextDue", Func::from(set_next_due))?;
    native.set("digest", Func::from(crypto::digest))?;
    native.set("hmac", Func::from(crypto::hmac))?;
    native.set("randomBytes", Func::from(crypto::random_bytes))?;
    native.set("hold", Func::from(|| count_holds(1)))?;
    native.set("letGo", Func::from(|| count_holds(-1)))?;
    native.set("startOperation", Func::from(start_operation))?;
    native.set("runOperation", Func::from(run_operation))?;
    native.set("reply", Func::from(reply))?;
    native.set("fail", Func::from(fail))?;
    native.set("promiseState", Func::from(promise_state))?;
    native.set("encode", Func::from(encode))?;
    native.set("decode", Func::from(decode))?;
    native.set("decodeUtf16", Func::from(decode_utf16))?;
    native.set("parseUrl", Func::from(urls::parse))?;
    native.set("setUrlPart", Func::from(urls::set_part))?;
    native.set("parseForm", Func::from(urls::parse_form))?;
    native.set("serializeForm", Func::from(urls::serialize_form))?;
    Ok(native)
}

/// Remembers a rejected promise until somebody listens to it.
pub fn track_rejection<'js>(
    ctx: Ctx<'js>,
    promise: Value<'js>,
    reason: Value<'js>,
    is_handled: bool,
) {
    REJECTIONS.with_borrow_mut(|rejections| {
        if is_handled {
            rejections
                .retain(|(kept, _)| kept.clone().restore(&ctx).is_ok_and(|kept| kept != promise));
        } else {
            rejections.push((Persistent::save(&ctx, promise), Persistent::save(&ctx, reason)));
        }
    });
}

/// The reasons of the promises that nobody listens to, which are forgotten by this.
pub fn take_rejections<'js>(ctx: &Ctx<'js>) -> Vec<Value<'js>> {
    let rejections = REJECTIONS.with_borrow_mut(std::mem::take);
    rejections.into_iter().filter_map(|(_, reason)| reason.restore(ctx).ok()).collect()
}

/// Message and detail of something thrown.
pub fn report<'js>(guest: &guest::Guest, ctx: &Ctx<'js>, thrown: Value<'js>) -> (String, String) {
    let reported = guest.hook(ctx, &guest.report).call::<_, Vec<String>>((thrown,));
    match reported.as_deref() {
        Ok([message, detail]) => (message.clone(), detail.clone()),
        _ => {
            // A getter of the error threw as well.
            ctx.catch();
            ("uncaught exception".to_owned(), "uncaught exception".to_owned())
        }
    }
}

fn environment() -> String {
    STATE.with(|state| String::from_utf8_lossy(&state.environment.borrow()).into_owned())
}

fn set_next_due(due: f64, n_timers: u32) {
    STATE.with(|state| {
        state.next_due.set(due);
        state.n_timers.set(n_timers);
    });
}

fn count_holds(change: i32) {
    STATE.with(|state| state.n_holds.set(state.n_holds.get().saturating_add_signed(change)));
}

fn start_operation<'js>(
    ctx: Ctx<'js>,
    operation: u32,
    argument: TypedArray<'js, u8>,
) -> rquickjs::Result<u32> {
    let id = host::start(operation, bytes_of(&argument));
    if id == 0 {
        return Err(Exception::throw_range(&ctx, "too many operations are pending"));
    }
    STATE.with(|state| state.n_operations.set(state.n_operations.get() + 1));
    Ok(id)
}

/// Whether the operation failed, and the bytes of its result or message.
fn run_operation<'js>(
    ctx: Ctx<'js>,
    operation: u32,
    argument: TypedArray<'js, u8>,
) -> rquickjs::Result<Array<'js>> {
    let done = host::run(operation, bytes_of(&argument));
    let pair = Array::new(ctx.clone())?;
    pair.set(0, done.is_error)?;
    pair.set(1, TypedArray::<u8>::new(ctx, done.result)?)?;
    Ok(pair)
}

fn reply(body: Value<'_>, headers: Option<String>, status: u32) -> rquickjs::Result<()> {
    let headers = headers.unwrap_or_default();
    if let Some(text) = body.as_string() {
        host::reply_with(text.to_string()?.as_bytes(), &headers, status);
    } else if let Ok(bytes) = TypedArray::<u8>::from_value(body) {
        host::reply_with(bytes_of(&bytes), &headers, status);
    } else {
        host::reply_with(&[], &headers, status);
    }
    STATE.with(|state| state.is_answered.set(true));
    Ok(())
}

fn fail(message: String, detail: String) {
    host::fail_with(&message, &detail);
    STATE.with(|state| state.is_answered.set(true));
}

fn promise_state<'js>(ctx: Ctx<'js>, promise: Promise<'js>) -> rquickjs::Result<Array<'js>> {
    let state = Array::new(ctx.clone())?;
    let name = match promise.state() {
        PromiseState::Pending => "pending",
        PromiseState::Resolved => "fulfilled",
        PromiseState::Rejected => "rejected",
    };
    state.set(0, name)?;
    match promise.result::<Value<'js>>() {
        Some(Ok(value)) => state.set(1, value)?,
        Some(Err(_)) => state.set(1, ctx.catch())?,
        None => {}
    }
    Ok(state)
}

fn encode<'js>(ctx: Ctx<'js>, text: String) -> rquickjs::Result<TypedArray<'js, u8>> {
    TypedArray::new_copy(ctx, text.as_bytes())
}

/// Text, and how many bytes at the end are the beginning of a character (only in a stream).
fn decode<'js>(
    ctx: Ctx<'js>,
    bytes: TypedArray<'js, u8>,
    is_fatal: bool,
    is_stream: bool,
) -> rquickjs::Result<Array<'js>> {
    let bytes = bytes_of(&bytes);
    let (whole, n_rest) = if is_stream { without_partial_character(bytes) } else { (bytes, 0) };
    if is_fatal && std::str::from_utf8(whole).is_err() {
        return Err(Exception::throw_type(&ctx, "the bytes are not valid UTF-8"));
    }
    text_and_rest(&ctx, &String::from_utf8_lossy(whole), n_rest)
}

fn decode_utf16<'js>(
    ctx: Ctx<'js>,
    bytes: TypedArray<'js, u8>,
    is_fatal: bool,
    is_stream: bool,
    is_big_endian: bool,
) -> rquickjs::Result<Array<'js>> {
    let bytes = bytes_of(&bytes);
    let unit = if is_big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
    let mut units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    let n_odd = bytes.len() % 2;
    let mut n_rest = if is_stream { n_odd } else { 0 };
    // The second half of the last character may be in the bytes to come.
    if is_stream && units.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
        units.pop();
        n_rest += 2;
    }
    let is_cut = n_odd > 0 && !is_stream;
    if is_fatal && (is_cut || String::from_utf16(&units).is_err()) {
        return Err(Exception::throw_type(&ctx, "the bytes are not valid UTF-16"));
    }
    let mut text = String::from_utf16_lossy(&units);
    if is_cut {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text_and_rest(&ctx, &text, n_rest)
}

fn text_and_rest<'js>(ctx: &Ctx<'js>, text: &str, n_rest: usize) -> rquickjs::Result<Array<'js>> {
    let pair = Array::new(ctx.clone())?;
    pair.set(0, text.into_js(ctx)?)?;
    pair.set(1, n_rest)?;
    Ok(pair)
}

/// Cuts off a character whose last bytes are still to come.
fn without_partial_character(bytes: &[u8]) -> (&[u8], usize) {
    for n_rest in 1..=bytes.len().min(3) {
        let (whole, rest) = bytes.split_at(bytes.len() - n_rest);
        let is_partial = std::str::from_utf8(rest)
            .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none());
        if is_partial {
            return (whole, n_rest);
        }
    }
    (bytes, 0)
}

pub fn bytes_of<'a>(array: &'a TypedArray<'_, u8>) -> &'a [u8] {
    // SAFETY: every caller is done with the bytes before it calls back into JavaScript.
    unsafe { array.as_bytes() }.unwrap_or_default()
}
