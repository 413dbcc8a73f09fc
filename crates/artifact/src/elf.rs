//! Whether an ELF file is a static executable of this machine (design: engines, "Native").
//!
//! Owns: reading the headers, and a sentence for each refusal. Never: trusts an offset, or runs anything.
//!
//! Static means: ELF64 for this machine, no `PT_INTERP`, no `DT_NEEDED`, and `ET_EXEC` or `DF_1_PIE`. A
//! static-pie is `ET_DYN`, and so is a shared library; only the flag tells them apart.

use std::fs::File;
use std::io;
use std::path::Path;

use object::LittleEndian;
use object::elf;
use object::read::ReadCache;
use object::read::ReadRef;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

type Header = elf::FileHeader64<LittleEndian>;
type Segment = elf::ProgramHeader64<LittleEndian>;
type Dynamic = elf::Dyn64<LittleEndian>;

/// No linker writes a dynamic section as large as this.
const LARGEST_DYNAMIC: u64 = 1 << 20;
/// The kernel takes no longer interpreter name.
const LONGEST_INTERPRETER: u64 = 4096;

/// What is known of a static executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElfFacts {
    /// The machine it is for, which is this one.
    pub machine: &'static str,
    /// Whether it can be loaded anywhere (static-pie).
    pub position_independent: bool,
}

/// Why a file is no program that Nex starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ElfRefusal {
    #[error("it is not an ELF executable")]
    NotElf,
    #[error("it is a 32-bit program; a 64-bit one is needed")]
    Bits32,
    #[error("it was built for {found}, but this machine is {wanted}")]
    OtherMachine { found: String, wanted: &'static str },
    #[error("it is a shared library, not a program")]
    SharedLibrary,
    #[error("it is an object file that was not linked into a program")]
    ObjectFile,
    #[error("it is a core dump, not a program")]
    CoreDump,
    #[error(
        "it is dynamically linked (needs {needs}): link it statically, with -C target-feature=+crt-static \
         in Rust, -static in C and C++, CGO_ENABLED=0 in Go"
    )]
    Dynamic { needs: String },
    #[error("it is truncated: {missing} is cut off")]
    Truncated { missing: &'static str },
    #[error("its ELF headers are malformed: {what}")]
    Malformed { what: &'static str },
}

/// Checks a whole file that is in memory.
///
/// # Errors
/// When it is not a static 64-bit executable of this machine.
pub fn check_static(bytes: &[u8]) -> Result<ElfFacts, ElfRefusal> {
    check(bytes)
}

/// Checks a file without reading more of it than its headers; blocks on the disk.
///
/// # Errors
/// Outside, when the file cannot be opened; inside, as [`check_static`].
pub fn check_static_file(path: &Path) -> io::Result<Result<ElfFacts, ElfRefusal>> {
    let cache = ReadCache::new(File::open(path)?);
    Ok(check(&cache))
}

/// Whether the first bytes are those of an ELF file, of any kind.
#[must_use]
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

fn check<'data, R: ReadRef<'data>>(data: R) -> Result<ElfFacts, ElfRefusal> {
    let header = read_header(data)?;
    let dynamic_type = match header.e_type(LittleEndian) {
        elf::ET_EXEC => false,
        elf::ET_DYN => true,
        elf::ET_REL => return Err(ElfRefusal::ObjectFile),
        elf::ET_CORE => return Err(ElfRefusal::CoreDump),
        _ => return Err(ElfRefusal::Malformed { what: "an unknown file type" }),
    };
    let segments = read_segments(header, data)?;
    let links = read_links(segments, data)?;
    if dynamic_type && !links.is_pie && links.interpreter.is_none() {
        return Err(ElfRefusal::SharedLibrary);
    }
    match (links.interpreter, links.needs_libraries) {
        (Some(needs), _) => return Err(ElfRefusal::Dynamic { needs }),
        (None, true) => return Err(ElfRefusal::Dynamic { needs: "shared libraries".to_owned() }),
        (None, false) => {}
    }
    check_loaded(segments, data)?;
    Ok(ElfFacts { machine: std::env::consts::ARCH, position_independent: dynamic_type })
}

/// The identification is read by hand, so that each thing that can be wrong has its own sentence.
fn read_header<'data, R: ReadRef<'data>>(data: R) -> Result<&'data Header, ElfRefusal> {
    let len = data.len().unwrap_or(0);
    let start = data.read_bytes_at(0, len.min(20)).unwrap_or_default();
    if !is_elf(start) {
        return Err(ElfRefusal::NotElf);
    }
    let truncated = ElfRefusal::Truncated { missing: "the ELF header" };
    let [_, _, _, _, class, order, .., machine_0, machine_1] = *start else {
        return Err(truncated);
    };
    let big_endian = order == elf::ELFDATA2MSB;
    let machine = [machine_0, machine_1];
    let machine =
        if big_endian { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
    if big_endian || Some(machine) != own_machine() {
        let found = machine_name(machine, class == elf::ELFCLASS32);
        return Err(ElfRefusal::OtherMachine { found, wanted: std::env::consts::ARCH });
    }
    match class {
        elf::ELFCLASS64 => {}
        elf::ELFCLASS32 => return Err(ElfRefusal::Bits32),
        _ => return Err(ElfRefusal::Malformed { what: "neither 32 nor 64 bit" }),
    }
    if order != elf::ELFDATA2LSB {
        return Err(ElfRefusal::Malformed { what: "an unknown byte order" });
    }
    data.read_at::<Header>(0).map_err(|()| truncated)
}

fn read_segments<'data, R: ReadRef<'data>>(
    header: &Header,
    data: R,
) -> Result<&'data [Segment], ElfRefusal> {
    let missing = ElfRefusal::Truncated { missing: "the table of segments" };
    if header.e_phnum.get(LittleEndian) == elf::PN_XNUM {
        return Err(ElfRefusal::Malformed { what: "more than 65,534 segments" });
    }
    let segments = header.program_headers(LittleEndian, data).map_err(|_| missing)?;
    if segments.is_empty() {
        return Err(ElfRefusal::Malformed { what: "no segments" });
    }
    Ok(segments)
}

#[derive(Debug, Default)]
struct Links {
    interpreter: Option<String>,
    needs_libraries: bool,
    is_pie: bool,
}

fn read_links<'data, R: ReadRef<'data>>(
    segments: &[Segment],
    data: R,
) -> Result<Links, ElfRefusal> {
    let mut links = Links::default();
    for segment in segments {
        match segment.p_type(LittleEndian) {
            elf::PT_INTERP => links.interpreter = Some(read_interpreter(*segment, data)?),
            elf::PT_DYNAMIC => read_dynamic(*segment, data, &mut links)?,
            _ => {}
        }
    }
    Ok(links)
}

fn read_interpreter<'data, R: ReadRef<'data>>(
    segment: Segment,
    data: R,
) -> Result<String, ElfRefusal> {
    let (offset, size) = segment.file_range(LittleEndian);
    let bytes = data
        .read_bytes_at(offset, size.min(LONGEST_INTERPRETER))
        .map_err(|()| ElfRefusal::Truncated { missing: "the interpreter's name" })?;
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let shown = |c: char| if c.is_control() { '?' } else { c };
    Ok(String::from_utf8_lossy(name).chars().take(200).map(shown).collect())
}

fn read_dynamic<'data, R: ReadRef<'data>>(
    segment: Segment,
    data: R,
    links: &mut Links,
) -> Result<(), ElfRefusal> {
    let missing = ElfRefusal::Truncated { missing: "the dynamic section" };
    let (offset, size) = segment.file_range(LittleEndian);
    if size > LARGEST_DYNAMIC {
        return Err(ElfRefusal::Malformed { what: "a dynamic section of more than 1 MiB" });
    }
    let count = usize::try_from(size).unwrap_or(0) / size_of::<Dynamic>();
    let entries: &[Dynamic] = data.read_slice_at(offset, count).map_err(|()| missing)?;
    for entry in entries {
        let value = entry.d_val.get(LittleEndian);
        match entry.d_tag.get(LittleEndian) {
            tag if tag == u64::from(elf::DT_NULL) => break,
            tag if tag == u64::from(elf::DT_NEEDED) => links.needs_libraries = true,
            tag if tag == u64::from(elf::DT_FLAGS_1) => {
                links.is_pie |= value & u64::from(elf::DF_1_PIE) != 0;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Everything that the kernel will map must be in the file.
fn check_loaded<'data, R: ReadRef<'data>>(segments: &[Segment], data: R) -> Result<(), ElfRefusal> {
    let len = data.len().unwrap_or(0);
    let mut n_loaded = 0;
    for segment in segments.iter().filter(|s| s.p_type(LittleEndian) == elf::PT_LOAD) {
        let (offset, size) = segment.file_range(LittleEndian);
        if offset.checked_add(size).is_none_or(|end| end > len) {
            return Err(ElfRefusal::Truncated { missing: "a part that has to be loaded" });
        }
        n_loaded += 1;
    }
    if n_loaded == 0 {
        return Err(ElfRefusal::Malformed { what: "nothing to load" });
    }
    Ok(())
}

fn own_machine() -> Option<u16> {
    match std::env::consts::ARCH {
        "x86_64" => Some(elf::EM_X86_64),
        "aarch64" => Some(elf::EM_AARCH64),
        "riscv64" => Some(elf::EM_RISCV),
        _ => None,
    }
}

fn machine_name(machine: u16, is_32_bit: bool) -> String {
    let name = match machine {
        elf::EM_X86_64 => "x86_64",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_386 => "x86 (32 bit)",
        elf::EM_ARM => "arm (32 bit)",
        elf::EM_RISCV if is_32_bit => "riscv32",
        elf::EM_RISCV => "riscv64",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_S390 => "s390x",
        elf::EM_MIPS => "mips",
        elf::EM_LOONGARCH => "loongarch64",
        other => return format!("machine number {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
