//! The shim's program, carried in this one.
//!
//! Owns: the bytes. Never: writes or starts them.

/// A static program for this machine.
#[must_use]
pub(crate) fn shim_binary() -> &'static [u8] {
    include_bytes!(env!("NEX_SHIM_BINARY"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_static_and_fixed_in_memory() {
        const FIXED: u16 = 2;
        const INTERPRETER: u32 = 3;
        let bytes = shim_binary();
        assert!(bytes.starts_with(b"\x7fELF\x02\x01"), "64 bits, little-endian");
        let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
        assert_eq!(u16_at(16), FIXED);
        let headers = usize::try_from(u64::from_le_bytes(bytes[32..40].try_into().unwrap()));
        let size = usize::from(u16_at(54));
        for header in bytes[headers.unwrap()..].chunks(size).take(usize::from(u16_at(56))) {
            let kind = u32::from_le_bytes(header[..4].try_into().unwrap());
            assert_ne!(kind, INTERPRETER, "it needs a dynamic linker");
        }
    }
}
