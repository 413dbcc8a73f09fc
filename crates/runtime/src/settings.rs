//! The settings of the wasmtime engine, each with its reason.
//!
//! Owns: what wasm may use and how much address space is set aside for it.
//! Never: limits of a single function (see `limits`).

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Bytes of host stack that wasm frames may take before "call stack exhausted". Enough for JavaScript
/// to meet its own limit first. Address space only, until it is used.
const WASM_STACK: usize = 4 * 1024 * 1024;

/// Wasm frames and the host functions that they call share a fiber's stack.
const FIBER_STACK: usize = WASM_STACK + 1024 * 1024;

/// Entries of one table; the JavaScript guest has some 3,000, large Go or Kotlin guests more.
const TABLE_ELEMENTS: usize = 64 * 1024;

/// Bytes that a returned slot keeps mapped, so that the next instance does not fault them in again: a
/// small JavaScript function touches less. Only as many slots do so as were ever used at once.
const KEEP_RESIDENT: usize = 512 * 1024;

/// Core instances of one component: what wit-bindgen makes has up to four, a Python program some forty.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;

/// Most components have four core instances or fewer and two tables; those with more take of the others' share.
const SHARE_OF_COMPONENT: u32 = 4;

/// Settings for an engine with room for `max_instances` instances at a time.
pub(crate) fn wasmtime_config(max_instances: u32) -> Config {
    let mut config = compiler_config();
    // One address space per slot is reserved, not used: bounds checks cost nothing then.
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(max_instances)));
    config
}

/// The same for a process that only compiles: without a pool, since its address space is bounded.
/// What compiled code depends on must stand here.
pub(crate) fn compiler_config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.max_wasm_stack(WASM_STACK);
    config.async_stack_size(FIBER_STACK);
    config
}

fn pool(max_instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    let parts = max_instances.saturating_mul(SHARE_OF_COMPONENT).max(CORE_INSTANCES_PER_COMPONENT);
    pool.total_component_instances(max_instances);
    pool.total_core_instances(parts);
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT);
    pool.total_memories(max_instances);
    pool.total_tables(parts);
    pool.total_stacks(max_instances);
    pool.table_elements(TABLE_ELEMENTS);
    pool.linear_memory_keep_resident(KEEP_RESIDENT);
    pool.table_keep_resident(KEEP_RESIDENT);
    // Only pages that were written are restored, where the kernel can tell (Linux 6.7).
    pool.pagemap_scan(Enabled::Auto);
    pool
}
