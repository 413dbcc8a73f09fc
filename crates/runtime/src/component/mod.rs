//! Components: functions of our own world, and commands of WASI 0.2.
//!
//! Owns: the one linker that all components of an engine are linked with, and which guest a shape becomes.
//! Never: does what a host service does; each interface translates to [`nex_functions::host`].
//!
//! Guests are [`function`] and [`command`]; the interfaces of the world, one file each, are implemented on
//! [`state::State`], which a store holds.

mod bindings;
mod command;
mod errors;
mod function;
mod http;
mod key_value;
mod message;
mod messaging;
mod objects;
mod shape;
mod small;
mod state;

use std::fmt;
use std::sync::Arc;

use nex_functions::runtime::{Guest, GuestSpec, Refusal};
use wasmtime::component::{Component, HasSelf, Linker};

use crate::compile::{self, Core};
use command::Command;
use function::Function;
use shape::Shape;
use state::State;

/// What the components of one engine share.
pub(crate) struct Components {
    core: Arc<Core>,
    linker: Linker<State>,
}

impl Components {
    pub(crate) fn prepare(core: &Arc<Core>) -> wasmtime::Result<Self> {
        Ok(Self { core: Arc::clone(core), linker: linker(core)? })
    }

    /// Links `component` to what Nex offers, once for all its calls.
    pub(crate) fn deploy(
        &self,
        component: &Component,
        spec: &GuestSpec,
    ) -> Result<Arc<dyn Guest>, Refusal> {
        let shape = shape::of(component)?;
        shape::refuse_unknown_imports(component)?;
        if let Some(required) = component.resources_required() {
            compile::refuse_memory_over("component", &required, spec.memory)?;
        }
        let ready = self.linker.instantiate_pre(component).map_err(|error| {
            // The chain goes from the interface to the function in it that does not fit.
            Refusal::new(format!("the component does not fit what Nex offers: {error:#}"))
        })?;
        Ok(match shape {
            Shape::Function => Arc::new(Function::deploy(&self.core, ready, spec)?),
            Shape::Command => Arc::new(Command::deploy(&self.core, ready, spec)?),
        })
    }
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Components").finish_non_exhaustive()
    }
}

fn linker(core: &Core) -> wasmtime::Result<Linker<State>> {
    use bindings::{nex, wasi};

    let mut linker = Linker::new(&core.wasmtime);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasi::keyvalue::store::add_to_linker::<_, HasSelf<State>>(&mut linker, itself)?;
    wasi::keyvalue::atomics::add_to_linker::<_, HasSelf<State>>(&mut linker, itself)?;
    wasi::keyvalue::batch::add_to_linker::<_, HasSelf<State>>(&mut linker, itself)?;
    wasi::config::store::add_to_linker::<_, HasSelf<State>>(&mut linker, itself)?;
    wasi::logging::logging::add_to_linker::<_, HasSelf<State>>(&mut linker, itself)?;
    nex::host::messaging::add_to_linker::<_, HasSelf<State>>(&mut linker, itself)?;
    nex::host::object_store::add_to_linker::<_, HasSelf<State>>(&mut linker, itself)?;
    Ok(linker)
}

fn itself(state: &mut State) -> &mut State {
    state
}
