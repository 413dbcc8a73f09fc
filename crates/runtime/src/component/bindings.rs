//! What wasmtime makes of `wit/`: host traits and typed exports.
//!
//! Owns: the list of interfaces that are ours to implement; those of WASI itself come with `wasmtime-wasi`
//! and `wasmtime-wasi-http`. Never: code by hand.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package nex:runtime;
        world guest {
            import wasi:keyvalue/store@0.2.0-draft;
            import wasi:keyvalue/atomics@0.2.0-draft;
            import wasi:keyvalue/batch@0.2.0-draft;
            import wasi:config/store@0.2.0-rc.1;
            import wasi:logging/logging@0.1.0-draft;
            import nex:host/messaging@0.1.0;
            import nex:host/object-store@0.1.0;
            export nex:function/handler@0.1.0;
        }
    ",
    world: "nex:runtime/guest",
    imports: {
        "wasi:config/store": trappable,
        "wasi:logging/logging": trappable,
        "nex:host/object-store.[method]reader.info": trappable,
        "nex:host/object-store.[drop]reader": trappable,
        "nex:host/object-store.[drop]writer": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    with: {
        "wasi:keyvalue/store.bucket": super::key_value::Bucket,
        "nex:host/object-store.reader": super::objects::Reader,
        "nex:host/object-store.writer": super::objects::Writer,
    },
    trappable_error_type: {
        "wasi:keyvalue/store.error" => super::errors::KeyValueError,
        "nex:host/types.error" => super::errors::ServiceError,
    },
});
