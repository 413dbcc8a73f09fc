//! Words that every part of Nex shares: ids, names, subjects, digests, sizes, durations, tags, addresses.
//!
//! Owns: parsing, printing and comparing them. Never: does I/O, reads a clock, knows a message.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod addresses;
mod buckets;
mod digest;
mod duration;
#[doc(hidden)]
pub mod fuzz;
mod id;
mod name;
mod reserved;
mod size;
mod subject;
mod tags;
mod text;

pub use addresses::is_public;
pub use buckets::{host_bucket_prefix, is_bucket_name, own_kv_bucket, own_object_bucket};
pub use digest::{Digest, DigestError};
pub use duration::{DurationError, format_go, parse_go};
pub use id::{Id, IdError};
pub use name::{NameError, Namespace, WorkloadName, invent};
pub use reserved::{denied_bucket, denied_by, denied_stream, is_order_to_server, may_answer};
pub use size::{ByteSize, SizeError};
pub use subject::{SubjectError, SubjectPattern};
pub use tags::{Tags, matches_tags};
pub use text::unfinished_character;
