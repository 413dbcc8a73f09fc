//! What cannot run is refused at deploy, with what it lacks.

use crate::support::wasm;

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
async fn components_are_not_supported_yet() {
    let text = wasm("(component)").refusal().await;
    assert_eq!(text.message, "components are not supported yet");
    let binary = wasm(&b"\0asm\x0d\0\x01\0"[..]).refusal().await;
    assert_eq!(binary.message, "components are not supported yet");
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
}
