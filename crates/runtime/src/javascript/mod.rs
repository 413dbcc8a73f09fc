//! JavaScript: QuickJS as a wasm guest (`guests/js`), restored from an image per function.
//!
//! Owns: the life of a function, which is
//!
//! ```text
//! deploy   fresh instance of the guest ── load(script) ──> image: the pages that changed
//! call     idle instance, or fresh instance + image + start(seed, environment) ── handle ──> reply
//! ```
//!
//! Never: interprets JavaScript, or keeps an instance that is not clean.

mod base;
mod file;
mod frames;
mod framing;
mod function;
mod host;
mod image;
mod operations;
mod place;
mod services;
mod typescript;

pub(crate) use base::JavaScript;
