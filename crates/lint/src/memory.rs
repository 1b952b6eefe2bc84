//! How much memory the release needs to start.

use release::{Source, TreeEntry};

use crate::finding::Finding;
use crate::subject::Subject;
use crate::table::Code;

/// Something about memory.
#[derive(Debug, thiserror::Error)]
pub enum MemoryFact {
    /// It needs more than there will be.
    #[error("the release needs about {} MiB to start; the machine is to have {}", mib(*.needed), mib(*.given))]
    TooLittle {
        /// Bytes needed.
        needed: u64,
        /// Bytes that the machine is to have.
        given: u64,
    },
}

impl MemoryFact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::TooLittle { .. } => Code::Memory,
        }
    }
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// What a release needs to start, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// The root archive, which lies in memory as it is.
    pub archive: u64,
    /// Code and tables of the modules that are loaded.
    pub modules: u64,
    /// The kernel, the emulator without modules, and what Elixir does at its start.
    pub base: u64,
}

impl Estimate {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.archive + self.modules + self.base
    }
}

/// Bytes that kernel and emulator take besides. This and the next two numbers fit the smallest
/// memory in which examples start on OTP 25 (docs/promises.md), to 2 MiB.
const BASE: u64 = 41 << 20;

/// Bytes of memory for each byte of instructions: machine code, tables, literals, and the file while
/// it is loaded.
const PER_CODE_BYTE: u64 = 7;

/// What Elixir takes besides: its servers, and the evaluation of `config/runtime.exs`.
const ELIXIR: u64 = 14 << 20;

/// Bytes of a header in the archive, with the name (cpio, "newc").
const HEADER: u64 = 192;

/// Estimates what a release needs with these files.
pub fn estimate(subject: &Subject<'_>) -> Estimate {
    let code: u64 = subject
        .modules
        .iter()
        .map(|module| module.code_size as u64)
        .sum();
    Estimate {
        archive: subject.tree.iter().map(size).sum(),
        modules: code * PER_CODE_BYTE,
        base: BASE
            + if subject.application("elixir") {
                ELIXIR
            } else {
                0
            },
    }
}

fn size(entry: &TreeEntry) -> u64 {
    let content = match &entry.source {
        Source::HostFile(path) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        Source::Bytes(bytes) => bytes.len() as u64,
        Source::Symlink(target) => target.len() as u64,
        Source::Directory => 0,
    };
    HEADER + content
}

pub(crate) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let needed = estimate(subject).total();
    let given = subject.memory;
    if needed > given {
        findings.push(Finding::new(MemoryFact::TooLittle { needed, given }));
    }
}
