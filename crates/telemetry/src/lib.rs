//! Metrics and traces leave for other people's tools: a Prometheus endpoint, and OTLP over HTTP.
//!
//! Owns: the names and labels under which things are told, exporters, and their bounds. Never: counts
//! anything, decides what a span covers, reads the environment.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod metrics;
pub mod otlp;
pub mod traces;

pub use otlp::OtlpSettings;
