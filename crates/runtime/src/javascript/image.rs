//! What a script's evaluation changed in the guest's memory.
//!
//! Owns: the comparison by pages, and writing the pages into another instance.
//! Never: holds anything of another function, an environment or a random seed; those come later.

use wasmtime::{Memory, Store};

use super::base::Base;
use super::function::Instance;
use super::host::State;

/// Granularity of the comparison. Smaller than a page of wasm (64 KiB), so that images stay small.
const PAGE: usize = 4096;

/// Bytes of a wasm page.
const WASM_PAGE: usize = 64 * 1024;

pub(crate) struct Image {
    /// Size of the memory.
    size: usize,
    runs: Vec<Run>,
    /// The bytes of all runs, one after the other.
    bytes: Box<[u8]>,
}

/// Pages that lie together.
#[derive(Debug, Clone, Copy)]
struct Run {
    address: usize,
    len: usize,
}

impl Image {
    /// Compares the memory of `instance` with the base. Nothing else can have changed: the guest has
    /// no instruction that changes a table (checked when its snapshot is made), and its one mutable
    /// global, the stack pointer, is back where it was, which is checked here.
    pub(crate) fn of(instance: &mut Instance, base: &Base) -> wasmtime::Result<Self> {
        let stack_top = instance.stack_pointer()?;
        wasmtime::ensure!(stack_top == base.stack_top, "the guest did not return from its stack");
        Ok(Self::difference(instance.memory(), base))
    }

    fn difference(memory: &[u8], base: &Base) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        let mut bytes = Vec::new();
        // Below the stack pointer are only remains of functions that have returned.
        let first_page = base.stack_top / PAGE;
        for (page_idx, page) in memory.chunks(PAGE).enumerate().skip(first_page) {
            let address = page_idx * PAGE;
            if is_as_in_base(page, base.memory.get(address..address + page.len())) {
                continue;
            }
            bytes.extend_from_slice(page);
            match runs.last_mut() {
                Some(run) if run.address + run.len == address => run.len += page.len(),
                _ => runs.push(Run { address, len: page.len() }),
            }
        }
        Self { size: memory.len(), runs, bytes: bytes.into_boxed_slice() }
    }

    /// Makes the memory of a fresh instance look as it did when the image was taken.
    pub(crate) async fn restore(
        &self,
        memory: Memory,
        store: &mut Store<State>,
    ) -> wasmtime::Result<()> {
        let missing = self.size.saturating_sub(memory.data_size(&*store)) / WASM_PAGE;
        memory.grow_async(&mut *store, u64::try_from(missing)?).await?;
        let memory = memory.data_mut(store);
        let mut bytes = &self.bytes[..];
        for run in &self.runs {
            let (pages, rest) = bytes.split_at(run.len);
            let Some(target) = memory.get_mut(run.address..run.address + run.len) else {
                wasmtime::bail!("the image does not fit the guest's memory");
            };
            target.copy_from_slice(pages);
            bytes = rest;
        }
        Ok(())
    }

    /// Bytes that the image takes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Memory beyond the base began as zeros.
fn is_as_in_base(page: &[u8], base: Option<&[u8]>) -> bool {
    match base {
        Some(base) => page == base,
        None => page.iter().all(|byte| *byte == 0),
    }
}
