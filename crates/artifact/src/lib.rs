//! Artifacts: a reference becomes verified local bytes, a local file becomes a reference, and bytes tell
//! what they are.
//!
//! Owns: references, the content-addressed cache, uploads, and telling file types. Never: runs, compiles
//! or parses beyond what tells a type.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
mod cache;
pub mod detect;
pub mod elf;
mod error;
mod files;
mod flights;
#[doc(hidden)]
pub mod fuzz;
mod image;
mod intake;
pub mod options;
pub mod outbound;
mod outgoing;
mod prune;
pub mod reference;
mod registry;
mod remote;
pub mod store;
pub mod upload;

pub use address::HttpsUrl;
pub use detect::{Detected, Kind, Refusal, detect, detect_file};
pub use elf::{ElfFacts, ElfRefusal, check_static, check_static_file};
pub use error::FetchError;
pub use image::{Image, Version};
pub use intake::hash_file;
pub use options::Options;
pub use prune::{KEPT_PER_NAME, prune};
pub use reference::Reference;
pub use store::{Artifact, Store};
pub use upload::{
    UploadError, Uploaded, foresee, foresee_inline, upload, upload_file, upload_file_with,
};
