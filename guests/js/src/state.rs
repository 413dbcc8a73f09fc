//! What the guest remembers outside of JavaScript.
//!
//! Owns: the input buffer, the random generator, and the counters by which the pump knows what is
//! left to do. Never: holds a JavaScript value.

use std::cell::{Cell, RefCell};

use crate::host;

thread_local! {
    pub static STATE: State = const { State::new() };
}

/// An input buffer above this size is given back after the call.
const KEPT_INPUT: usize = 64 * 1024;

pub struct State {
    pub input: RefCell<Input>,
    pub environment: RefCell<Vec<u8>>,
    /// False while the top level runs, where nothing may be drawn, started or waited for.
    pub is_serving: Cell<bool>,
    /// The steady clock when the instance began.
    pub origin: Cell<f64>,
    /// The steady clock at which the first timer is due.
    pub next_due: Cell<f64>,
    /// Timers that the function set and that are not done; those of signals do not count.
    pub n_timers: Cell<u32>,
    /// Host operations that are not done.
    pub n_operations: Cell<u32>,
    /// Promises given to `waitUntil` that are not settled.
    pub n_holds: Cell<u32>,
    /// Whether the call was answered, well or badly.
    pub is_answered: Cell<bool>,
    random: Cell<u64>,
}

impl State {
    const fn new() -> Self {
        Self {
            input: RefCell::new(Input { bytes: Vec::new() }),
            environment: RefCell::new(Vec::new()),
            is_serving: Cell::new(false),
            origin: Cell::new(0.0),
            next_due: Cell::new(f64::INFINITY),
            n_timers: Cell::new(0),
            n_operations: Cell::new(0),
            n_holds: Cell::new(0),
            is_answered: Cell::new(false),
            random: Cell::new(0),
        }
    }

    pub fn start(&self, seed: u64, environment: Vec<u8>) {
        self.random.set(seed);
        self.environment.replace(environment);
        self.origin.set(host::steady_millis());
        self.is_serving.set(true);
    }

    /// What the host wrote last, in place.
    pub fn with_input<T>(&self, len: usize, work: impl FnOnce(&[u8]) -> T) -> T {
        work(&self.input.borrow().bytes[..len])
    }

    /// Uniform in `0..1`, with 53 random bits. This is the generator `SplitMix64`, which has a period of 2^64 and is not
    /// meant to keep secrets.
    pub fn random(&self) -> f64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Where the host writes. Its address stays the same until it has to grow.
pub struct Input {
    bytes: Vec<u8>,
}

impl Input {
    pub fn reserve(&mut self, len: usize) -> *mut u8 {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        self.bytes.as_mut_ptr()
    }
}

/// The first `len` bytes of what the host wrote, as a copy.
pub fn take_input(len: usize) -> Vec<u8> {
    STATE.with(|state| state.input.borrow().bytes[..len].to_vec())
}

/// Lets go of an input that was large, so that one large payload does not stay forever.
pub fn give_back(len: usize) {
    if len > KEPT_INPUT {
        STATE.with(|state| state.input.borrow_mut().bytes = Vec::new());
    }
}

/// Erases an input and the buffer that it came from: what is zero takes no room in an image.
pub fn forget(mut input: Vec<u8>) {
    input.fill(0);
    std::hint::black_box(&mut input);
    STATE.with(|state| {
        let mut buffer = std::mem::take(&mut state.input.borrow_mut().bytes);
        buffer.fill(0);
        std::hint::black_box(&mut buffer);
    });
}
