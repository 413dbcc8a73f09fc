//! The nexlet of one of the two function types.
//!
//! Owns: what the type is called, and what its functions share. Never: knows how one comes up
//! (`start`) or ends (`owner`).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nex_api::start::{FunctionRequest, schema_text};
use nex_api::workload::Lifecycle;
use nex_bus::Pool;
use nex_nexlet::{Description, Nexlet, Start, StartFailure, Started};
use nex_sandbox::Tasks;
use nex_telemetry::traces::Tracer;
use nex_types::SubjectPattern;

use crate::GuestThreads;
use crate::host::DeniedService;
use crate::runtime::{Engine, Language};
use crate::start;

/// Functions are stopped within this, however long their timeout is.
pub const LONGEST_DRAIN: Duration = Duration::from_secs(30);

/// What the functions of one nexlet share.
#[derive(Debug)]
pub struct Options {
    /// Which of the two types.
    pub language: Language,
    /// SemVer.
    pub version: String,
    /// Runs the guests.
    pub engine: Arc<dyn Engine>,
    /// Fetches artifacts.
    pub store: nex_artifact::Store,
    /// Subjects that functions may neither listen on nor answer to, besides those of every node.
    pub deny: Arc<[SubjectPattern]>,
    /// Host services that this node does not offer.
    pub deny_services: Vec<DeniedService>,
    /// Makes spans of calls and starts.
    pub tracer: Tracer,
    /// Connections of workloads, one per distinct credentials.
    pub pool: Pool,
    /// Where tasks are kept. Cancelling it stops all functions.
    pub tasks: Tasks,
    /// Where guests run.
    pub guests: GuestThreads,
    /// The longest drain; [`LONGEST_DRAIN`] outside tests.
    pub drain: Duration,
}

impl Options {
    /// The workload type, which is also the nexlet's name.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.language {
            Language::JavaScript => "javascript",
            Language::Wasm => "wasm",
        }
    }
}

/// Runs functions of one type.
#[derive(Debug)]
pub struct FunctionNexlet {
    options: Options,
}

impl FunctionNexlet {
    /// A nexlet without functions.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }
}

#[async_trait]
impl Nexlet for FunctionNexlet {
    fn describe(&self) -> Description {
        let name = self.options.type_name();
        let language = match self.options.language {
            Language::JavaScript => "JavaScript and TypeScript",
            Language::Wasm => "WebAssembly",
        };
        Description {
            name: name.to_owned(),
            register_type: name.to_owned(),
            version: self.options.version.clone(),
            description: format!("{language} functions, triggered by NATS subjects"),
            lifecycles: vec![Lifecycle::Function],
            schema: schema_text::<FunctionRequest>(),
        }
    }

    async fn start(&self, start: Start) -> Result<Started, StartFailure> {
        // Boxed, since a start holds much and is rare.
        Box::pin(start::start(&self.options, start)).await
    }

    async fn shutdown(&self) {
        self.options.pool.drain().await;
    }
}
