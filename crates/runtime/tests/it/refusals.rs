//! What cannot run is refused at deploy, with what it lacks.

use crate::support::{Setup, wasm};

#[tokio::test]
async fn unknown_imports_are_all_named() {
    let refusal = wasm(
        r#"(module
            (import "env" "kv_get" (func (param i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sock_bind" (func))
            (memory (export "memory") 1)
            (func (export "_start")))"#,
    )
    .refusal()
    .await;
    assert_eq!(
        refusal.message,
        "the module imports what is not there: env.kv_get, wasi_snapshot_preview1.sock_bind"
    );
}

#[tokio::test]
async fn a_reactor_with_imports_names_them() {
    let refusal = wasm(
        r#"(module (import "env" "clock" (func)) (memory (export "memory") 1)
            (func (export "alloc") (param i32) (result i32) (i32.const 0))
            (func (export "handle") (param i32 i32 i32 i32) (result i64) (i64.const 0)))"#,
    )
    .refusal()
    .await;
    assert_eq!(refusal.message, "the module imports what is not there: env.clock");
}

#[tokio::test]
async fn a_module_without_a_shape_names_what_it_lacks() {
    let refusal = wasm(r#"(module (memory (export "memory") 1) (func (export "handle")))"#);
    assert_eq!(
        refusal.refusal().await.message,
        "the module lacks the exports: alloc(i32) -> i32; handle(i32, i32, i32, i32) -> i64"
    );
    let bare = wasm(r#"(module (func (export "_start")))"#).refusal().await;
    assert_eq!(bare.message, "the module lacks the exports: memory");
}

#[tokio::test]
async fn a_component_without_a_shape_is_refused_with_what_it_exports() {
    let neither = "the component exports neither nex:function/handler@0.1.0 nor wasi:cli/run@0.2";
    let empty = wasm("(component)").refusal().await;
    assert_eq!(empty.message, neither);
    assert!(empty.detail.unwrap().starts_with("It exports: nothing."));
    let other = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $r (export "f" (func $f)))
        (export "nex:function/handler@0.2.0" (instance $r)))"#;
    let other = wasm(other).refusal().await;
    assert_eq!(other.message, neither);
    assert!(other.detail.unwrap().starts_with("It exports: nex:function/handler@0.2.0.\n"));
}

/// A command component that imports `imports`.
fn importing(imports: &str) -> Setup {
    wasm(format!(
        r#"(component {imports}
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $r)))"#
    ))
}

#[tokio::test]
async fn unknown_imports_of_a_component_are_all_named() {
    let refusal = importing(
        r#"(import "acme:db/query@1.0.0" (instance (export "ask" (func))))
           (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))
           (import "acme:db/types@1.0.0" (instance (type $r string) (export "row" (type (eq $r)))))
           (import "launch" (func))"#,
    )
    .refusal()
    .await;
    assert_eq!(
        refusal.message,
        "the component imports what is not there: acme:db/query@1.0.0, launch"
    );
}

#[tokio::test]
async fn a_known_interface_with_an_unknown_function_names_it() {
    let refusal = importing(
        r#"(import "wasi:random/random@0.2.0" (instance (export "get-dice" (func (result u64)))))"#,
    )
    .refusal()
    .await;
    assert!(
        refusal.message.starts_with("the component does not fit what Nex offers: "),
        "{refusal}"
    );
    assert!(refusal.message.contains("get-dice"), "{refusal}");
}

#[tokio::test]
async fn a_handler_of_another_signature_is_refused() {
    let refusal = wasm(
        r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $r (export "handle" (func $f)))
            (export "nex:function/handler@0.1.0" (instance $r)))"#,
    )
    .refusal()
    .await;
    let expected = "nex:function/handler@0.1.0 of the component is not that of wit/nex.wit";
    assert_eq!(refusal.message, expected);
}

#[tokio::test]
async fn broken_components_are_refused() {
    let truncated = wasm(&b"\0asm\x0d\0\x01\0\x01\xff"[..]).refusal().await;
    assert!(truncated.message.starts_with("the component does not compile: "), "{truncated}");
}

#[tokio::test]
async fn what_is_no_wasm_is_refused() {
    let refusal = wasm("hello").refusal().await;
    assert_eq!(refusal.message, "the artifact is neither WebAssembly nor its text format");
    let truncated = wasm(&b"\0asm\x01\0\0\0\x01\xff"[..]).refusal().await;
    assert!(truncated.message.starts_with("the module does not compile: "), "{truncated}");
}

#[tokio::test]
async fn broken_text_is_refused_with_its_place() {
    let refusal = wasm("(module\n  (func (export \"x\") (i32.konst 1)))").refusal().await;
    assert!(refusal.message.starts_with("the WebAssembly text does not parse: "), "{refusal}");
    assert!(refusal.detail.unwrap().contains("2:"), "no line number");
}

#[tokio::test]
async fn a_memory_that_begins_over_the_limit_is_refused() {
    let refusal =
        wasm(include_str!("../../../../examples/reactor.wat")).memory(65_536).refusal().await;
    assert_eq!(
        refusal.message,
        "the module begins with 131072 bytes of memory, more than its limit of 65536 bytes"
    );
    let component =
        importing("(core module $large (memory 9)) (core instance (instantiate $large))");
    assert_eq!(
        component.memory(65_536).refusal().await.message,
        "the component begins with 589824 bytes of memory, more than its limit of 65536 bytes"
    );
}
