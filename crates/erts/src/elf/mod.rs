//! What the dynamic loader reads in an ELF file (ELF specification; gABI chapter 5).

mod loaded;
mod strip;
mod symbols;
mod version;

pub(crate) use strip::strip;
pub use symbols::Symbols;
pub use version::VersionNeed;

use object::LittleEndian;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use loaded::Loaded;

type Header = elf::FileHeader64<LittleEndian>;
type Segment = elf::ProgramHeader64<LittleEndian>;

/// A program or shared library for x86-64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// `PT_INTERP`: the dynamic loader, of programs only.
    pub interpreter: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_RPATH`, which also counts for the libraries below; ignored if there is a `DT_RUNPATH`.
    pub rpath: Vec<String>,
    /// `DT_RUNPATH`.
    pub runpath: Vec<String>,
    /// `DT_VERNEED`: the symbol versions it needs of other libraries, in order.
    pub versions_needed: Vec<VersionNeed>,
    /// `DT_VERDEF`: the symbol versions it has; empty for a library without versions.
    pub versions_defined: Vec<String>,
}

/// Why bytes are not such a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// It is not an ELF file at all.
    #[error("not an ELF file")]
    NotElf,
    /// It is for another machine.
    #[error("for machine type {machine} of {bits} bits, expected x86-64")]
    Machine {
        /// `e_machine`, 0 if it cannot be read.
        machine: u16,
        /// 32 or 64.
        bits: u8,
    },
    /// A header or table lies outside the file.
    #[error("{0} lies outside the file or is malformed")]
    Malformed(&'static str),
}

/// Whether a file with this start claims to be ELF.
pub fn is_elf(head: &[u8]) -> bool {
    head.starts_with(&elf::ELFMAG)
}

impl Elf {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`ElfError`] says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ElfError> {
        check_machine(bytes)?;
        let header = Header::parse(bytes).map_err(|_| ElfError::Malformed("the ELF header"))?;
        let segments = header
            .program_headers(LittleEndian, bytes)
            .map_err(|_| ElfError::Malformed("the program header table"))?;
        let mut found = Self::default();
        for segment in segments {
            let interpreter = segment
                .interpreter(LittleEndian, bytes)
                .map_err(|_| ElfError::Malformed("the interpreter's name"))?;
            if let Some(name) = interpreter {
                found.interpreter = Some(text(name)?);
            }
        }
        if let Some(loaded) = Loaded::new(bytes, segments)? {
            found.read_dynamic(&loaded)?;
        }
        Ok(found)
    }

    fn read_dynamic(&mut self, loaded: &Loaded<'_>) -> Result<(), ElfError> {
        for &(tag, value) in &loaded.dynamic {
            match tag {
                elf::DT_NEEDED => self.needed.push(loaded.string(value)?),
                elf::DT_SONAME => self.soname = Some(loaded.string(value)?),
                elf::DT_RPATH => self.rpath = directories(&loaded.string(value)?),
                elf::DT_RUNPATH => self.runpath = directories(&loaded.string(value)?),
                _ => {}
            }
        }
        self.versions_needed = version::needed(loaded)?;
        self.versions_defined = version::defined(loaded)?;
        Ok(())
    }
}

/// Whether a file that [`Elf::parse`] accepts calls a function of another file.
pub(crate) fn calls(bytes: &[u8], function: &str) -> bool {
    let segments = Header::parse(bytes).and_then(|h| h.program_headers(LittleEndian, bytes));
    let Ok(Ok(Some(loaded))) = segments.map(|segments| Loaded::new(bytes, segments)) else {
        return false;
    };
    symbols::imports(bytes, &loaded).any(|name| name == function.as_bytes())
}

fn check_machine(bytes: &[u8]) -> Result<(), ElfError> {
    if !is_elf(bytes) {
        return Err(ElfError::NotElf);
    }
    let machine = match bytes.get(18..20) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => return Err(ElfError::Malformed("the ELF header")),
    };
    let bits = if bytes[4] == elf::ELFCLASS64 { 64 } else { 32 };
    if machine == elf::EM_X86_64 && bits == 64 && bytes[5] == elf::ELFDATA2LSB {
        Ok(())
    } else {
        Err(ElfError::Machine { machine, bits })
    }
}

fn directories(list: &str) -> Vec<String> {
    let parts = list.split(':').filter(|part| !part.is_empty());
    parts.map(Into::into).collect()
}

fn text(bytes: &[u8]) -> Result<String, ElfError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ElfError::Malformed("a name"))
}

#[cfg(test)]
mod tests {
    use super::{Elf, ElfError};
    use proptest::prelude::{any, prop, proptest};

    /// The test program itself is a dynamic program of the host.
    fn own_bytes() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn agrees_with_readelf() {
        let path = std::env::current_exe().unwrap();
        let output = std::process::Command::new("readelf")
            .args(["-dlW"])
            .arg(&path)
            .output()
            .expect("readelf is of binutils, which cc needs");
        let output = String::from_utf8_lossy(&output.stdout);
        let names = |tag: &str| -> Vec<String> {
            let lines = output.lines().filter(|line| line.contains(tag));
            let inner = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_string());
            lines.filter_map(inner).collect()
        };
        let elf = Elf::parse(&own_bytes()).unwrap();
        assert_eq!(elf.needed, names("(NEEDED)"));
        assert!(!elf.needed.is_empty());
        let interpreter = names("Requesting program interpreter").pop().unwrap();
        assert!(interpreter.ends_with(&elf.interpreter.unwrap()));
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Elf::parse(b"#!/bin/sh"), Err(ElfError::NotElf));
        let mut bytes = own_bytes();
        bytes.truncate(70);
        assert!(matches!(Elf::parse(&bytes), Err(ElfError::Malformed(_))));
        bytes[18] = 183;
        let machine = ElfError::Machine {
            machine: 183,
            bits: 64,
        };
        assert_eq!(Elf::parse(&bytes), Err(machine));
        assert!(matches!(
            Elf::parse(b"\x7fELF"),
            Err(ElfError::Malformed(_))
        ));
    }

    #[test]
    fn every_truncation_is_survived() {
        let bytes = own_bytes();
        for size in (0..2000).chain((2000..bytes.len()).step_by(40_009)) {
            let _ = Elf::parse(&bytes[..size]);
        }
    }

    proptest! {
        #[test]
        fn changed_bytes_are_survived(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
            let mut bytes = own_bytes();
            bytes.truncate(16384);
            for (at, byte) in changes {
                bytes[usize::from(at) % 1024] = byte;
            }
            let _ = Elf::parse(&bytes);
        }
    }
}
