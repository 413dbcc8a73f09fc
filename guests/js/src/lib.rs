//! The JavaScript runtime of Nex, as a WebAssembly guest: QuickJS-ng with a thin layer around it.
//!
//! Owns: the exports that the host calls, in the order of an instance's life:
//!
//! ```text
//! wizer-initialize   once, when this guest is built; its memory becomes part of the module
//! load               once per function, at deploy; the pages that it changed are the function's image
//! start              once per instance made from the image: random seed and environment
//! handle             once per call
//! ```
//!
//! Never: keeps anything of one function for another; a call for every function begins with its image.
//! The host's side is `crates/runtime/src/javascript`.

mod crypto;
mod guest;
mod host;
mod native;
mod pump;
mod script;
mod state;
mod urls;

use state::STATE;

/// Answers of [`load`].
const REFUSED: u32 = 0;
const CLASSIC: u32 = 1;
const MODULE: u32 = 2;

/// Makes the engine and evaluates the web APIs. What is in memory afterwards is part of the module.
#[unsafe(export_name = "wizer-initialize")]
extern "C" fn initialize() {
    guest::initialize();
}

/// Makes room for `len` bytes of input and tells where; what the host writes there is read by the
/// next export that it calls.
#[unsafe(no_mangle)]
extern "C" fn input(len: usize) -> *mut u8 {
    STATE.with(|state| state.input.borrow_mut().reserve(len))
}

/// Evaluates a function. The input is its file name and its source.
#[unsafe(no_mangle)]
extern "C" fn load(name_len: usize, source_len: usize) -> u32 {
    let input = state::take_input(name_len + source_len);
    let (name, source) = input.split_at(name_len);
    let name = String::from_utf8_lossy(name).into_owned();
    let loaded = guest::with(|guest, ctx| script::load(guest, ctx, &name, source));
    state::forget(input);
    match loaded {
        Some(script::Shape::Classic) => CLASSIC,
        Some(script::Shape::Module) => MODULE,
        None => REFUSED,
    }
}

/// Begins the life of an instance. The input is the environment as JSON.
#[unsafe(no_mangle)]
extern "C" fn start(seed: u64, environment_len: usize) {
    let environment = state::take_input(environment_len);
    STATE.with(|state| state.start(seed, environment));
}

/// Runs one call. The input is the subject and the payload; the host tells the rest when it is asked.
/// Answers 1 if the instance may serve another call, 0 if something was left over.
#[unsafe(no_mangle)]
extern "C" fn handle(subject_len: usize, payload_len: usize) -> u32 {
    let is_clean = guest::with(|guest, ctx| pump::handle(guest, ctx, subject_len, payload_len));
    state::give_back(subject_len + payload_len);
    u32::from(is_clean)
}
