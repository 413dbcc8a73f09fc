//! What Nex's tests stand on: a real nats-server, the real `nex` binary, and waiting without sleeping.
//!
//! Owns: starting and ending of servers and nodes for tests, and the check that nothing is left behind.
//! Never: part of the product; crates name it as a dev-dependency only (`xtask` for demo and bench).
//!
//! ```no_run
//! # async fn example() {
//! use nex_testkit::{NatsServer, Nex, example};
//!
//! let server = NatsServer::start().await;
//! let nex = Nex::up(&server).await;
//! nex.ok(&["run", &example("echo.js"), "--on", "js.echo"]).await;
//! let reply = server.client().await.request("js.echo", "heya".into()).await.unwrap();
//! assert_eq!(reply.payload, "heya");
//! nex.finish().await; // ends it, and asserts that nothing is left
//! server.assert_no_other_clients().await;
//! # }
//! ```
//!
//! Deadlines are multiplied by the environment variable `NEX_TEST_PATIENCE` on slow machines.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test harness starts plain processes and reads the environment; it has no nex-sandbox to test with"
)]

mod binaries;
mod compiled;
mod eventually;
mod failure;
mod family;
mod nats_server;
mod nex;
mod operator;
mod otlp;
mod process;
mod terminal;

pub use binaries::{
    OLDEST_NATS_SERVER, echo_service, example, find_nats_server, nats_server_version, nex_binary,
    python, root, ticker_nexlet, word_count,
};
pub use eventually::{eventually, patience, poll};
pub use failure::Failure;
pub use family::{Entry, Family};
pub use nats_server::{NatsServer, ServerOptions};
pub use nex::{Nex, NexOptions, Output};
pub use operator::{Account, Operator};
pub use otlp::{
    ExportMetricsServiceRequest, ExportTraceServiceRequest, OtlpReceiver, Point, Received, Span,
    texts,
};
pub use process::Process;
pub use terminal::Terminal;

pub use nix::sys::signal::Signal;
pub use vt100;
