//! The engine as the nexlet sees it: what it is made with, and which module deploys which guest.
//!
//! Owns: the choice by language and shape. Never: runs a call (each guest does that itself).

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use nex_functions::runtime::{Engine, Guest, GuestSpec, Language, Refusal};

use crate::cache::{Code, CodeCache};
use crate::command::Command;
use crate::compile::Core;
use crate::compiler::Compiler;
use crate::component::Components;
use crate::javascript::JavaScript;
use crate::reactor::Reactor;
use crate::shape::{self, Shape};

/// What an engine is made with.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where compiled code is kept between starts; made if it is missing. `None` compiles each time.
    pub cache_dir: Option<PathBuf>,
    /// Instances that can exist at a time, running and idle. Each reserves 4 GiB of address space.
    pub max_instances: u32,
    /// Bytes of memory that all of them may have together.
    pub max_memory: u64,
    /// Whether the JavaScript guest is prepared; a nexlet for WebAssembly alone has no use for it.
    pub javascript: bool,
    /// Compiles what is not in the cache, which the engine then only reads. Without one, or without
    /// a cache, code is compiled in this process.
    pub compiler: Option<Arc<Compiler>>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            max_instances: 1000,
            max_memory: u64::MAX,
            javascript: true,
            compiler: None,
        }
    }
}

/// Why an engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The directory for compiled code cannot be made.
    #[error("cannot make the code cache {path}")]
    Cache {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// wasmtime refused its settings, mostly for lack of address space.
    #[error("cannot set up wasmtime: {0}")]
    Wasmtime(String),
    /// The JavaScript guest that is part of this binary did not start.
    #[error("cannot prepare the JavaScript guest: {0}")]
    JavaScript(String),
}

/// Runs every function of a nexlet in wasmtime. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WasmEngine {
    core: Arc<Core>,
    components: Arc<Components>,
    javascript: Option<Arc<JavaScript>>,
}

impl WasmEngine {
    /// Makes an engine, and with it the JavaScript guest: a few milliseconds with a filled code
    /// cache, a second or two without.
    ///
    /// # Errors
    /// Where the cache directory cannot be made, or wasmtime cannot reserve its address space.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let path = config.cache_dir.clone().unwrap_or_default();
        let compiler = config.compiler.filter(|_| config.cache_dir.is_some());
        let cache = CodeCache::open(config.cache_dir, compiler)
            .map_err(|source| EngineError::Cache { path, source })?;
        let core = Core::new(config.max_instances, config.max_memory, cache)
            .map_err(|error| EngineError::Wasmtime(format!("{error:#}")))?;
        let core = Arc::new(core);
        let prepare = || JavaScript::prepare(&core).map(Arc::new);
        let javascript = config
            .javascript
            .then(prepare)
            .transpose()
            .map_err(|error| EngineError::JavaScript(format!("{error:#}")))?;
        let components = Components::prepare(&core)
            .map_err(|error| EngineError::Wasmtime(format!("{error:#}")))?;
        Ok(Self { core, components: Arc::new(components), javascript })
    }

    async fn deploy_javascript(&self, spec: GuestSpec) -> Result<Arc<dyn Guest>, Refusal> {
        let without = || Refusal::new("this engine was made without JavaScript");
        let javascript = self.javascript.as_ref().ok_or_else(without)?;
        Ok(Arc::new(javascript.deploy(&self.core, spec).await?))
    }

    async fn deploy_wasm(&self, spec: &GuestSpec) -> Result<Arc<dyn Guest>, Refusal> {
        let module = match self.core.compile(spec.source.clone()).await? {
            Code::Component(component) => return self.components.deploy(&component, spec),
            Code::Module(module) => module,
        };
        Ok(match shape::of(&module)? {
            Shape::Command => Arc::new(Command::deploy(&self.core, &module, spec)?),
            Shape::Reactor => Arc::new(Reactor::deploy(&self.core, &module, spec)?),
        })
    }
}

#[async_trait]
impl Engine for WasmEngine {
    async fn deploy(&self, spec: GuestSpec) -> Result<Arc<dyn Guest>, Refusal> {
        let guest: Arc<dyn Guest> = match spec.language {
            Language::Wasm => self.deploy_wasm(&spec).await?,
            Language::JavaScript => self.deploy_javascript(spec).await?,
        };
        self.core.remember(&guest);
        Ok(guest)
    }
}
