//! What a node counts and measures, on its way to Prometheus and to OTLP collectors.
//!
//! Owns: the table of names, the two forms, the endpoint that is asked and the exporter that sends. Never:
//! counts, adds up, or decides when.
//!
//! ```text
//! whoever counts ─► Snapshot ─┬─► text ────► endpoint, when somebody asks
//!                             └─► message ─► pusher, every few seconds
//! ```

mod endpoint;
mod message;
pub mod names;
mod pusher;
mod snapshot;
mod text;

pub use endpoint::{Endpoint, serve};
pub use message::message;
pub use pusher::{Outcome, Pusher};
pub use snapshot::{Family, Point, Resource, SERVICE_NAME, Snapshot, Value, label};
pub use text::{Format, text};
