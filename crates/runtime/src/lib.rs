//! Runs functions in wasmtime: core modules, WASI commands, components, and JavaScript as a wasm guest.
//!
//! Owns: the one wasmtime engine of a nexlet, the code cache, instances and their limits.
//! Never: fetches artifacts, talks to NATS, or decides which call runs when (`nex-functions` does).
//!
//! Start at [`WasmEngine`], which implements the seam [`nex_functions::runtime::Engine`].
//! Each kind of guest is one module: [`reactor`], [`command`], [`component`], [`javascript`].
#![warn(missing_docs)]
#![deny(unsafe_code)]

mod cache;
mod clock;
mod command;
mod compile;
pub mod compiler;
mod component;
mod engine;
mod failure;
mod idle;
mod javascript;
mod limits;
mod reactor;
mod room;
mod settings;
mod shape;
mod stdio;
mod ticker;

pub use engine::{EngineConfig, EngineError, WasmEngine};
