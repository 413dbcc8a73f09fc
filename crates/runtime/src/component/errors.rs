//! From the services' errors to those of the interfaces.
//!
//! Owns: which error of a service is which error of a guest. Never: lets a guest's mistake end the nexlet;
//! a handle that is none of its own is a trap.

use nex_functions::host::HostError;
use wasmtime::component::ResourceTableError;

use super::bindings::nex::host::types;
use super::bindings::wasi::keyvalue::store;
use super::state::State;

/// An error of `nex:host`.
#[derive(Debug)]
pub(crate) enum ServiceError {
    Host(HostError),
    Trap(wasmtime::Error),
}

/// An error of `wasi:keyvalue`.
#[derive(Debug)]
pub(crate) enum KeyValueError {
    NoSuchStore,
    Host(HostError),
    Trap(wasmtime::Error),
}

impl From<HostError> for ServiceError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<ResourceTableError> for ServiceError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<HostError> for KeyValueError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<ResourceTableError> for KeyValueError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl types::Host for State {
    fn convert_error(&mut self, error: ServiceError) -> wasmtime::Result<types::Error> {
        let error = match error {
            ServiceError::Host(error) => error,
            ServiceError::Trap(error) => return Err(error),
        };
        Ok(match error {
            HostError::Denied(why) => types::Error::Denied(why),
            HostError::Invalid(why) => types::Error::Invalid(why),
            HostError::Conflict(why) => types::Error::Conflict(why),
            HostError::Full(why) => types::Error::Full(why),
            HostError::NoAnswer(why) => types::Error::NoAnswer(why),
            HostError::Failed(why) => types::Error::Failed(why),
        })
    }
}

impl State {
    pub(super) fn convert_key_value(
        &mut self,
        error: KeyValueError,
    ) -> wasmtime::Result<store::Error> {
        Ok(match error {
            KeyValueError::NoSuchStore => store::Error::NoSuchStore,
            KeyValueError::Host(HostError::Denied(why)) => {
                // The interface has no place for the reason, and the author needs it.
                self.warn("wasi:keyvalue", &why);
                store::Error::AccessDenied
            }
            KeyValueError::Host(error) => store::Error::Other(error.to_string()),
            KeyValueError::Trap(error) => return Err(error),
        })
    }
}

/// What a service that is switched off answers.
pub(crate) fn switched_off(service: &str) -> HostError {
    HostError::Denied(format!("{service} is switched off for this workload (host_services)"))
}
