//! `wasi:config` and `wasi:logging`: the environment as configuration, and lines with a level.
//!
//! Owns: which level becomes which. Never: shows more than the request's environment.

use nex_functions::runtime::Level;

use super::bindings::wasi::config::store;
use super::bindings::wasi::logging::logging;
use super::state::State;
use crate::failure;

impl store::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        Ok(Ok(self.host.config.get(&key).cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        Ok(Ok(self.host.config.clone().into_iter().collect()))
    }
}

impl logging::Host for State {
    fn log(
        &mut self,
        level: logging::Level,
        context: String,
        message: String,
    ) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Trace | logging::Level::Debug => Level::Debug,
            logging::Level::Info => Level::Info,
            logging::Level::Warn => Level::Warn,
            logging::Level::Error | logging::Level::Critical => Level::Error,
        };
        let text = if context.is_empty() { message } else { format!("{context}: {message}") };
        failure::log_lines(&*self.logs, level, &text);
        Ok(())
    }
}
