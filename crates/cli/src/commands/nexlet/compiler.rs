//! `nex nexlet compiler` and `nex nexlet compile`: what a function nexlet does not do itself.
//!
//! Owns: the helper, which starts a bounded child per module, and that child. Never: runs code that it
//! compiled; has an environment, a network connection or a second purpose.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use clap::Args;
use nex_runtime::compiler::{
    self, COMPILE_MEMORY, COMPILE_TIME, Compiler, Line, N_LINES, Origin, Outcome, Request,
};
use nex_sandbox::{Bounds, Ended, Helper, Lockdown, run_bounded};

use crate::error::CliError;

/// This very binary, also when another stands at its path by now.
const SELF: &str = "/proc/self/exe";
/// Strangers' modules are compiled when nobody else needs the processor.
const BEHIND: i32 = 15;

/// What helper and child are told.
#[derive(Debug, Args)]
pub(crate) struct CompilerArgs {
    /// Folder of modules to compile
    #[arg(long)]
    inputs: PathBuf,
    /// Folder for compiled code
    #[arg(long)]
    cache: PathBuf,
    /// The module to compile, in the folder; only for the child
    #[arg(long)]
    input: Option<String>,
}

/// Starts the helper; it ends with this thread, which must be the first one.
pub(super) fn start(inputs: PathBuf, cache: PathBuf) -> Result<Compiler, CliError> {
    let failed = |error: io::Error| CliError::other(format!("no compile helper: {error}"));
    let pairs = [Line::pair().map_err(failed)?, Line::pair().map_err(failed)?];
    let [(one, its_one), (other, its_other)] = pairs;
    let args = CompilerArgs { inputs, cache, input: None };
    let ends = [its_one.into_fd(), its_other.into_fd()];
    let helper =
        Helper::start(&PathBuf::from(SELF), &args.words("compiler"), ends).map_err(failed)?;
    tracing::debug!(pid = helper.pid(), "compile helper started");
    let lines: [Line; N_LINES] = [one, other];
    Compiler::new(lines, &args.inputs).map_err(failed)
}

/// The helper: a thread per line, each with one child at a time.
pub(super) fn help(args: &CompilerArgs) -> Result<(), CliError> {
    let failed = |error: io::Error| CliError::other(format!("the compile helper ends: {error}"));
    let first = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let second = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
    let serve = |end| compiler::serve(Line::inherited(end), |request| answer(args, request));
    std::thread::scope(|scope| {
        let second = scope.spawn(|| serve(second));
        let first = serve(first);
        let second = second.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")));
        first.and(second)
    })
    .map_err(failed)
}

/// The child: alone, without a way out but the code that it writes.
pub(super) fn compile(args: &CompilerArgs) -> Result<(), CliError> {
    let Some(input) = &args.input else { return Err(CliError::usage("--input is missing")) };
    let input = args.inputs.join(input);
    let walls =
        Lockdown { read: vec![input.clone()], write: vec![args.cache.clone()], network: false };
    let compiled = match walls.apply() {
        Ok(_) => compiler::compile_file(&input, &args.cache),
        Err(error) => Err(format!("the compiler cannot be locked down: {error}")),
    };
    // The parent reads the reason from standard output, whole.
    compiled.map_err(|said| {
        crate::ui::line(format_args!("{said}"));
        CliError::other("not compiled")
    })
}

fn answer(args: &CompilerArgs, request: &Request) -> Outcome {
    let nice = if request.origin == Origin::Own { 0 } else { BEHIND };
    let bounds = Bounds { memory: COMPILE_MEMORY, time: COMPILE_TIME, nice };
    let words = CompilerArgs {
        inputs: args.inputs.clone(),
        cache: args.cache.clone(),
        input: Some(request.input.clone()),
    }
    .words("compile");
    match run_bounded(&PathBuf::from(SELF), &words, bounds) {
        Ok(Ended::Done) => Outcome::Compiled,
        Ok(Ended::Failed(said)) => Outcome::Invalid(said.trim_end().to_owned()),
        Ok(Ended::TooSlow) => Outcome::Refused(format!(
            "the module takes more than {} s to compile, which is the limit",
            bounds.time.as_secs()
        )),
        Ok(Ended::TooLarge) => Outcome::Refused(format!(
            "the module needs more than {} MiB of memory to compile, which is the limit",
            bounds.memory >> 20
        )),
        Ok(Ended::Killed(signal)) => Outcome::Refused(format!(
            "compiling the module was ended by signal {signal}; its limits are {bounds}"
        )),
        Err(error) => Outcome::Refused(format!("the compiler cannot be started: {error}")),
    }
}

impl CompilerArgs {
    fn words(&self, command: &str) -> Vec<String> {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let mut words = vec!["nexlet".to_owned(), command.to_owned()];
        words.extend(["--inputs".to_owned(), text(&self.inputs)]);
        words.extend(["--cache".to_owned(), text(&self.cache)]);
        if let Some(input) = &self.input {
            words.extend(["--input".to_owned(), input.clone()]);
        }
        words
    }
}
