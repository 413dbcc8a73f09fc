//! Initialises the JavaScript guest and writes it with its memory as it is then: one step of
//! `cargo xtask guests`.
//!
//! Usage: `snapshot IN.wasm OUT.wasm`. Owns: what the guest sees while it initialises, which is no
//! clock and no host. Never: part of a nexlet; those run the result.

use std::path::PathBuf;

use wasmtime::error::Context;
use wasmtime::{Engine, Instance, Linker, Module, Result, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        wasmtime::bail!("usage: snapshot IN.wasm OUT.wasm");
    };
    let wasm = std::fs::read(&input).with_context(|| format!("cannot read {}", input.display()))?;
    let snapshot = snapshot(&wasm).await?;
    std::fs::write(&output, snapshot)
        .with_context(|| format!("cannot write {}", output.display()))?;
    Ok(())
}

async fn snapshot(wasm: &[u8]) -> Result<Vec<u8>> {
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument(wasm)?;
    let engine = Engine::default();
    let module = Module::new(&engine, &instrumented)?;
    let mut linker = Linker::<()>::new(&engine);
    // A clock that stands still makes the same snapshot each time.
    linker.func_wrap("env", "__rquickjs_host_now_us", || 0.0_f64)?;
    linker.func_wrap("nex", "now", || 0.0_f64)?;
    linker.define_unknown_imports_as_traps(&module)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, wizer.get_init_func())?.call(&mut store, ())?;
    wizer.snapshot(&context, &mut Initialised { store, instance }).await
}

struct Initialised {
    store: Store<()>,
    instance: Instance,
}

impl InstanceState for Initialised {
    async fn global_get(&mut self, name: &str, _type: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name).expect("wizer exports it");
        match global.get(&mut self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(value) => SnapshotVal::F32(value),
            Val::F64(value) => SnapshotVal::F64(value),
            other => panic!("global {name} holds {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name).expect("wizer exports it");
        contents(memory.data(&self.store));
    }
}
