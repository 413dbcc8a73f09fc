//! Which shape a component has, found out from what it exports and imports.
//!
//! Owns: the list of interfaces that Nex offers, and refusals that name what is missing or unknown.
//! Never: runs anything; whether each function of an interface fits is the linker's to say.

use nex_functions::runtime::Refusal;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ComponentNamedList, Lift, Lower};

use super::bindings::exports::nex::function::handler::{Error, Message, Reply};

/// The shapes that this engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Exports `nex:function/handler`.
    Function,
    /// Exports `wasi:cli/run` of WASI 0.2.
    Command,
}

const HANDLER: &str = "nex:function/handler@0.1.";
const RUN: &str = "wasi:cli/run@0.2.";

/// Any release of WASI 0.2 that these begin is taken; the linker knows the latest.
const OFFERED: [&str; 15] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/types",
    "wasi:http/outgoing-handler",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
    "wasi:config/store@0.2.0-rc.1",
    "wasi:logging/logging@0.1.0-draft",
    "nex:host/messaging@0.1.",
    "nex:host/object-store@0.1.",
];

pub(crate) fn of(component: &Component) -> Result<Shape, Refusal> {
    let engine = component.engine();
    let ty = component.component_type();
    let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
    let named = |interface: &str| exports.iter().find(|export| export.starts_with(interface));
    if let Some(handler) = named(HANDLER) {
        return match has_function::<(Message,), (Result<Reply, Error>,)>(
            component, handler, "handle",
        ) {
            true => Ok(Shape::Function),
            false => {
                Err(Refusal::new(format!("{handler} of the component is not that of wit/nex.wit")))
            }
        };
    }
    if let Some(run) = named(RUN) {
        return match has_function::<(), (Result<(), ()>,)>(component, run, "run") {
            true => Ok(Shape::Command),
            false => Err(Refusal::new(format!("{run} of the component is not that of WASI 0.2"))),
        };
    }
    let message = "the component exports neither nex:function/handler@0.1.0 nor wasi:cli/run@0.2";
    let exported = match exports.as_slice() {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    };
    Err(Refusal::new(message).with_detail(format!(
        "It exports: {exported}.\nBuild it for the world nex:function/function of wit/nex.wit, \
         or as a WASI 0.2 command."
    )))
}

/// Whether an exported interface has this function with this signature. wasmtime's bindings look at
/// signatures when the first instance is made, which would be the first call.
fn has_function<Params, Results>(component: &Component, interface: &str, name: &str) -> bool
where
    Params: ComponentNamedList + Lower,
    Results: ComponentNamedList + Lift,
{
    let engine = component.engine();
    let ty = component.component_type();
    let Some(ComponentItem::ComponentInstance(interface)) =
        ty.get_export(engine, interface).map(|export| export.ty)
    else {
        return false;
    };
    match interface.get_export(engine, name).map(|export| export.ty) {
        Some(ComponentItem::ComponentFunc(function)) => {
            function.typecheck::<Params, Results>(&ty.instance_type()).is_ok()
        }
        _ => false,
    }
}

/// Names every import that is not offered. Interfaces of types alone need nobody to offer them.
pub(crate) fn refuse_unknown_imports(component: &Component) -> Result<(), Refusal> {
    let engine = component.engine();
    let ty = component.component_type();
    let unknown: Vec<&str> = ty
        .imports(engine)
        .filter(|(name, import)| !is_offered(name) && !is_types_alone(engine, &import.ty))
        .map(|(name, _)| name)
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let message = format!("the component imports what is not there: {}", unknown.join(", "));
    let offered = OFFERED.map(|name| name.trim_end_matches(['/', '.'])).join(", ");
    Err(Refusal::new(message).with_detail(format!("Nex offers: {offered} (WASI 0.2).")))
}

fn is_offered(name: &str) -> bool {
    OFFERED.iter().any(|offered| {
        let Some(rest) = name.strip_prefix(offered) else { return false };
        // Entries with a version say all of it, or all but the patch; the others are of WASI 0.2.
        match offered.contains('@') {
            true if offered.ends_with('.') => rest.bytes().all(|byte| byte.is_ascii_digit()),
            true => rest.is_empty(),
            false => rest.contains("@0.2.") && (offered.ends_with('/') || rest.starts_with('@')),
        }
    })
}

fn is_types_alone(engine: &Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::ComponentInstance(instance) => has_types_alone(engine, instance),
        ComponentItem::Type(_) => true,
        _ => false,
    }
}

fn has_types_alone(engine: &Engine, instance: &ComponentInstance) -> bool {
    instance.exports(engine).all(|(_, export)| matches!(export.ty, ComponentItem::Type(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_told_by_name_and_version() {
        for (name, offered) in [
            ("wasi:cli/stdout@0.2.3", true),
            ("wasi:http/types@0.2.12", true),
            ("wasi:http/incoming-handler@0.2.0", false),
            ("wasi:cli/stdout@0.3.0", false),
            ("wasi:keyvalue/store@0.2.0-draft", true),
            ("wasi:keyvalue/store@0.2.0-draft2", false),
            ("wasi:keyvalue/watcher@0.2.0-draft", false),
            ("nex:host/messaging@0.1.7", true),
            ("nex:host/messaging@0.2.0", false),
            ("kv", false),
        ] {
            assert_eq!(is_offered(name), offered, "{name}");
        }
    }
}
