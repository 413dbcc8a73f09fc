//! Contracts of the static check, on ELF files that are built here byte by byte.
//!
//! 1. A static executable and a static-pie are taken.
//! 2. Each thing that is wrong has its own refusal.
//! 3. Cut off anywhere, it is refused; with any bytes changed, it is answered without a panic.

use proptest::prelude::*;

use super::*;

const HEADER: usize = 64;
const SEGMENT: usize = 56;

/// A file of header, segments and their contents, one after the other.
struct Builder {
    file_type: u16,
    machine: u16,
    segments: Vec<(u32, Vec<u8>)>,
}

impl Builder {
    fn executable() -> Self {
        let code = (elf::PT_LOAD, vec![0xc3; 32]);
        Self { file_type: elf::ET_EXEC, machine: own_machine().unwrap(), segments: vec![code] }
    }

    fn shared() -> Self {
        Self { file_type: elf::ET_DYN, ..Self::executable() }
    }

    fn interpreter(mut self, name: &str) -> Self {
        self.segments.push((elf::PT_INTERP, format!("{name}\0").into_bytes()));
        self
    }

    fn dynamic(mut self, entries: &[(u32, u32)]) -> Self {
        let words = entries.iter().flat_map(|(tag, value)| [u64::from(*tag), u64::from(*value)]);
        let bytes = words.chain([0, 0]).flat_map(u64::to_le_bytes).collect();
        self.segments.push((elf::PT_DYNAMIC, bytes));
        self
    }

    fn build(&self) -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend(self.file_type.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        for word in [0x40_0000u64, HEADER as u64, 0] {
            file.extend(word.to_le_bytes());
        }
        file.extend(0u32.to_le_bytes());
        let n_segments = u16::try_from(self.segments.len()).unwrap();
        for half in [64, 56, n_segments, 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        let mut offset = HEADER + SEGMENT * self.segments.len();
        for (kind, bytes) in &self.segments {
            file.extend(kind.to_le_bytes());
            file.extend(5u32.to_le_bytes());
            for word in [offset, 0x40_0000, 0x40_0000, bytes.len(), bytes.len(), 1] {
                file.extend((word as u64).to_le_bytes());
            }
            offset += bytes.len();
        }
        file.extend(self.segments.iter().flat_map(|(_, bytes)| bytes));
        file
    }
}

fn refusal(file: &[u8]) -> ElfRefusal {
    check_static(file).unwrap_err()
}

#[test]
fn a_static_executable_and_a_static_pie_are_taken() {
    let facts = check_static(&Builder::executable().build()).unwrap();
    assert_eq!(facts, ElfFacts { machine: std::env::consts::ARCH, position_independent: false });
    let pie = Builder::shared().dynamic(&[(elf::DT_FLAGS_1, elf::DF_1_PIE)]).build();
    assert!(check_static(&pie).unwrap().position_independent);
}

#[test]
fn dynamic_programs_are_refused_with_what_they_need_and_how_to_link() {
    let program = Builder::shared()
        .interpreter("/lib64/ld-linux-x86-64.so.2")
        .dynamic(&[(elf::DT_NEEDED, 1), (elf::DT_FLAGS_1, elf::DF_1_PIE)]);
    let words = refusal(&program.build()).to_string();
    for says in ["/lib64/ld-linux-x86-64.so.2", "+crt-static", "-static", "CGO_ENABLED=0"] {
        assert!(words.contains(says), "{words}");
    }
    for program in [
        Builder::executable().interpreter("/lib/ld.so"),
        Builder::executable().dynamic(&[(elf::DT_NEEDED, 1)]),
        Builder::shared().interpreter("/lib/ld.so"),
    ] {
        assert!(matches!(refusal(&program.build()), ElfRefusal::Dynamic { .. }));
    }
    let hostile = Builder::executable().interpreter("\u{1b}[2J").build();
    assert_eq!(refusal(&hostile), ElfRefusal::Dynamic { needs: "?[2J".to_owned() });
}

#[test]
fn what_is_no_program_is_refused_by_its_kind() {
    let of_type = |file_type| refusal(&Builder { file_type, ..Builder::executable() }.build());
    assert_eq!(of_type(elf::ET_REL), ElfRefusal::ObjectFile);
    assert_eq!(of_type(elf::ET_CORE), ElfRefusal::CoreDump);
    assert!(matches!(of_type(77), ElfRefusal::Malformed { .. }));
    assert_eq!(refusal(&Builder::shared().build()), ElfRefusal::SharedLibrary);
    let library = Builder::shared().dynamic(&[(elf::DT_NEEDED, 1)]).build();
    assert_eq!(refusal(&library), ElfRefusal::SharedLibrary);
    assert_eq!(refusal(b"#!/bin/sh"), ElfRefusal::NotElf);
    assert_eq!(refusal(b""), ElfRefusal::NotElf);
    let nothing = Builder { segments: vec![(elf::PT_NOTE, vec![1])], ..Builder::executable() };
    assert!(matches!(refusal(&nothing.build()), ElfRefusal::Malformed { .. }));
}

#[test]
fn another_machine_is_refused_with_both_names() {
    let other =
        if own_machine() == Some(elf::EM_AARCH64) { elf::EM_X86_64 } else { elf::EM_AARCH64 };
    let words = refusal(&Builder { machine: other, ..Builder::executable() }.build()).to_string();
    let found = machine_name(other, false);
    assert!(words.contains(&found) && words.contains(std::env::consts::ARCH), "{words}");
    let mut bits_32 = Builder::executable().build();
    bits_32[4] = 1;
    assert_eq!(refusal(&bits_32), ElfRefusal::Bits32);
    let mut big_endian = Builder::executable().build();
    big_endian[5] = 2;
    big_endian[18..20].copy_from_slice(&22u16.to_be_bytes());
    let words = refusal(&big_endian).to_string();
    assert!(words.contains("s390x"), "{words}");
}

#[test]
fn this_very_test_is_dynamic_and_is_checked_without_being_read_whole() {
    let refusal = check_static_file(Path::new("/proc/self/exe")).unwrap().unwrap_err();
    assert!(matches!(refusal, ElfRefusal::Dynamic { .. }), "{refusal}");
    assert!(check_static_file(Path::new("/nowhere")).is_err());
}

proptest! {
    #[test]
    fn cut_off_anywhere_it_is_refused(share in 0.0f64..1.0) {
        let whole = Builder::shared().dynamic(&[(elf::DT_FLAGS_1, elf::DF_1_PIE)]).build();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        let len = (whole.len() as f64 * share) as usize;
        // The closing zeros of the dynamic section are the last 16 bytes; no reader needs them.
        prop_assume!(len < whole.len() - 16);
        prop_assert!(check_static(&whole[..len]).is_err());
    }

    #[test]
    fn any_change_is_answered_the_same_from_memory_and_from_a_file(
        changes in proptest::collection::vec((0usize..400, any::<u8>()), 0..12),
        kind in 0..3,
    ) {
        let builder = match kind {
            0 => Builder::executable(),
            1 => Builder::shared().dynamic(&[(elf::DT_FLAGS_1, elf::DF_1_PIE)]),
            _ => Builder::executable().interpreter("/lib/ld.so"),
        };
        let mut file = builder.build();
        for (at, byte) in changes {
            let len = file.len();
            file[at % len] = byte;
        }
        let cache = ReadCache::new(io::Cursor::new(&file));
        prop_assert_eq!(check_static(&file), check(&cache));
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1];
        file.extend(bytes);
        let _either = check_static(&file);
    }
}
