//! What a wasm artifact is, found out from its bytes.
//!
//! Owns: text to binary, component or core module, the shapes of core modules, and refusals that name what is missing.
//! Never: runs anything, or knows the shapes of components (see `component::shape`).

use std::borrow::Cow;

use nex_functions::runtime::Refusal;
use wasmtime::{ExternType, FuncType, Module, ValType};

/// The shapes that this engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// WASI preview 1: `_start`, stdin to stdout.
    Command,
    /// Exports `memory`, `alloc` and `handle`.
    Reactor,
}

/// The module that WASI preview 1 functions are imported from.
pub(crate) const WASI_P1: &str = "wasi_snapshot_preview1";

const MAGIC: &[u8] = b"\0asm";
/// Version and layer of a component (a core module has version 1, layer 0).
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];

/// Binary wasm of a module or component; text is translated.
pub(crate) fn to_binary(source: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    let binary = if source.starts_with(MAGIC) {
        Cow::Borrowed(source)
    } else if std::str::from_utf8(source).is_ok_and(looks_like_text) {
        wat::parse_bytes(source).map_err(|error| text_refusal(&error.to_string()))?
    } else {
        return Err(Refusal::new("the artifact is neither WebAssembly nor its text format"));
    };
    Ok(binary)
}

/// What people call `wasm`.
pub(crate) fn name_of(wasm: &[u8]) -> &'static str {
    if is_component(wasm) { "component" } else { "module" }
}

/// Whether binary wasm is a component; everything else is taken for a core module.
pub(crate) fn is_component(binary: &[u8]) -> bool {
    binary.strip_prefix(MAGIC).is_some_and(|rest| rest.starts_with(COMPONENT))
}

/// Which shape `module` has, with every reason why it has none.
pub(crate) fn of(module: &Module) -> Result<Shape, Refusal> {
    if has_function(module, "_start", &[], &[]) {
        let missing = missing(module, &[]);
        return if missing.is_empty() { Ok(Shape::Command) } else { Err(lacks(&missing)) };
    }
    let missing = missing(module, &REACTOR);
    if missing.is_empty() { Ok(Shape::Reactor) } else { Err(lacks(&missing)) }
}

/// Names every import of `module` that `is_known` does not know.
pub(crate) fn refuse_unknown_imports(
    module: &Module,
    mut is_known: impl FnMut(&str, &str) -> bool,
) -> Result<(), Refusal> {
    let unknown: Vec<String> = module
        .imports()
        .filter(|import| !is_known(import.module(), import.name()))
        .map(|import| format!("{}.{}", import.module(), import.name()))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let message = format!("the module imports what is not there: {}", unknown.join(", "));
    Err(Refusal::new(message).with_detail(unknown.join("\n")))
}

struct Wanted {
    name: &'static str,
    params: &'static [ValType],
    results: &'static [ValType],
    signature: &'static str,
}

const REACTOR: [Wanted; 2] = [
    Wanted {
        name: "alloc",
        params: &[ValType::I32],
        results: &[ValType::I32],
        signature: "alloc(i32) -> i32",
    },
    Wanted {
        name: "handle",
        params: &[ValType::I32, ValType::I32, ValType::I32, ValType::I32],
        results: &[ValType::I64],
        signature: "handle(i32, i32, i32, i32) -> i64",
    },
];

fn missing(module: &Module, functions: &[Wanted]) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !matches!(module.get_export("memory"), Some(ExternType::Memory(_))) {
        missing.push("memory");
    }
    for wanted in functions {
        if !has_function(module, wanted.name, wanted.params, wanted.results) {
            missing.push(wanted.signature);
        }
    }
    missing
}

fn has_function(module: &Module, name: &str, params: &[ValType], results: &[ValType]) -> bool {
    let Some(ExternType::Func(found)) = module.get_export(name) else {
        return false;
    };
    let wanted = FuncType::new(module.engine(), params.iter().cloned(), results.iter().cloned());
    FuncType::eq(&found, &wanted)
}

fn lacks(missing: &[&str]) -> Refusal {
    Refusal::new(format!("the module lacks the exports: {}", missing.join("; "))).with_detail(
        "A WASI preview 1 command exports memory and _start; \
         a reactor exports memory, alloc(i32) -> i32 and handle(i32, i32, i32, i32) -> i64.",
    )
}

/// The text format begins with a parenthesis or a comment.
fn looks_like_text(source: &str) -> bool {
    let start = source.trim_start();
    start.starts_with('(') || start.starts_with(";;")
}

/// The parser's message is many lines: the first says what, the rest shows where.
fn text_refusal(error: &str) -> Refusal {
    let what = error.lines().next().unwrap_or(error);
    Refusal::new(format!("the WebAssembly text does not parse: {what}")).with_detail(error)
}
