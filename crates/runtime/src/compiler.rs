//! Compiling outside of the process that runs guests.
//!
//! Owns: the exchange between a nexlet and its compile helper, what one compilation may take, and the
//! compilation itself. Never: starts a process (its caller is given how), or compiles in the nexlet.
//!
//! ```text
//! nexlet ── line (a socket pair), one request at a time ──▶ helper ── starts ──▶ child, bounded
//!    ▲                                                         ▲                   │ compiles
//!    └── reads the code, whose digest stands in front of it ── cache ◀── renames ──┘
//! ```

mod input;
mod line;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;

use crate::cache;
use crate::settings;
use crate::shape;
use input::Inputs;

pub use line::{Line, Outcome, Request};

/// What one compilation may take. Ordinary modules take a second and a tenth of the memory.
pub const COMPILE_MEMORY: u64 = 1 << 30;
/// Likewise; the node waits longer than that for the answer to a deploy.
pub const COMPILE_TIME: Duration = Duration::from_secs(30);
/// Compilations at a time; further ones wait for their turn.
pub const N_LINES: usize = 2;

/// Whose module it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Part of this binary: compiled without delay, since no function runs before it.
    Own,
    /// A stranger's: others' calls go before it.
    Stranger,
}

/// A module that was not compiled; the sentence is the refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub(crate) struct NotCompiled {
    pub(crate) sentence: String,
    pub(crate) detail: Option<String>,
}

/// The nexlet's end of the lines to its helper.
#[derive(Debug)]
pub struct Compiler {
    lines: Mutex<Vec<Line>>,
    free: Arc<Semaphore>,
    inputs: Inputs,
}

impl Compiler {
    /// Speaks to a helper over `lines`, and gives it modules in the folder `inputs`, which both know.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(lines: [Line; N_LINES], inputs: &Path) -> io::Result<Self> {
        let inputs = Inputs::open(inputs)?;
        Ok(Self {
            lines: Mutex::new(lines.into()),
            free: Arc::new(Semaphore::new(N_LINES)),
            inputs,
        })
    }

    /// A turn; whoever has one finds a line that nobody uses, or none that works.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, NotCompiled> {
        Arc::clone(&self.free).acquire_owned().await.map_err(|_| helper_is_gone())
    }

    /// Has `wasm` compiled into the cache; waits, so call it where that is allowed.
    pub(crate) fn compile(&self, wasm: &[u8], origin: Origin) -> Result<(), NotCompiled> {
        let input = self.inputs.put(wasm).map_err(|error| {
            failed(format!("the module cannot be given to the compile helper: {error}"))
        })?;
        let Some(mut line) = self.lines().pop() else { return Err(helper_is_gone()) };
        let asked = line.ask(&Request { origin, input: input.name().to_owned() });
        // A line that failed once is out of step, and is closed.
        let outcome = asked.map_err(|error| {
            tracing::error!(%error, "the compile helper does not answer");
            helper_is_gone()
        })?;
        self.lines().push(line);
        outcome.into_result(shape::name_of(wasm))
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the requests of one line until its other end is closed.
///
/// # Errors
/// When the line breaks in the midst of a request.
pub fn serve(mut line: Line, mut compile: impl FnMut(&Request) -> Outcome) -> io::Result<()> {
    while let Some(request) = line.next()? {
        line.answer(&compile(&request))?;
    }
    Ok(())
}

/// Compiles the module in the file `input` and writes the code into the folder `cache`: this is what
/// the bounded child does.
///
/// # Errors
/// With the reason in its first line, and what it is made of in further ones.
pub fn compile_file(input: &Path, cache: &Path) -> Result<(), String> {
    let wasm = fs::read(input).map_err(|error| format!("the module cannot be read: {error}"))?;
    let said = |error: wasmtime::Error| format!("{}\n{error:?}", error.root_cause());
    let engine = Engine::new(&settings::compiler_config()).map_err(said)?;
    let code = match shape::is_component(&wasm) {
        true => engine.precompile_component(&wasm),
        false => engine.precompile_module(&wasm),
    };
    let code = code.map_err(said)?;
    cache::write(&cache.join(cache::file_name(&engine, &wasm)), &code)
        .map_err(|error| format!("the compiled code cannot be written: {error}"))
}

impl Outcome {
    fn into_result(self, what: &str) -> Result<(), NotCompiled> {
        match self {
            Self::Compiled => Ok(()),
            Self::Invalid(said) => {
                let (message, detail) = said.split_once('\n').unwrap_or((&said, ""));
                let detail = (!detail.is_empty()).then(|| detail.to_owned());
                let sentence = format!("the {what} does not compile: {message}");
                Err(NotCompiled { sentence, detail })
            }
            Self::Refused(sentence) => Err(failed(sentence)),
        }
    }
}

fn failed(sentence: String) -> NotCompiled {
    NotCompiled { sentence, detail: None }
}

fn helper_is_gone() -> NotCompiled {
    failed(
        "the compile helper of this nexlet has ended; the nexlet must be started again".to_owned(),
    )
}
