//! Artifacts: a reference becomes verified local bytes, a local file becomes a reference, and bytes tell
//! what they are.
//!
//! Owns: references, the content-addressed cache, uploads, and telling file types. Never: runs, compiles
//! or parses beyond what tells a type.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cache;
pub mod detect;
pub mod elf;
mod files;
#[doc(hidden)]
pub mod fuzz;
mod intake;
pub mod reference;
pub mod store;
pub mod upload;

pub use detect::{Detected, Kind, Refusal, detect};
pub use elf::{ElfFacts, ElfRefusal, check_static, check_static_file};
pub use reference::Reference;
pub use store::{Artifact, FetchError, Store};
pub use upload::{UploadError, Uploaded, upload, upload_file};
