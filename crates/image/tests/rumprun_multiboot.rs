//! Multiboot headers: the load plan, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use image::elf::Segment;
use image::rumprun::multiboot::Program;
use proptest::prelude::{any, prop};
use proptest::proptest;

const CORPUS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fuzz/corpus/image_multiboot"
);

fn read(name: &str) -> Vec<u8> {
    std::fs::read(format!("{CORPUS}/{name}")).unwrap()
}

fn segment(offset: u64, file_size: u32, mem_size: u32) -> Program {
    Program {
        entry: 0x10_0020,
        segments: vec![Segment {
            offset,
            file_size,
            paddr: 0x10_0000,
            mem_size,
        }],
    }
}

#[test]
fn the_addresses_of_the_header_count() {
    let program = Program::parse(&read("addresses")).unwrap();
    assert_eq!(program, segment(128, 64, 0x2000));
    let program = Program::parse(&read("to_the_end")).unwrap();
    assert_eq!(program, segment(0, 64, 64));
}

#[test]
fn without_addresses_those_of_the_elf_file_count() {
    for name in ["elf32", "elf64"] {
        let program = Program::parse(&read(name)).unwrap();
        assert_eq!(program, segment(0x100, 64, 0x1000), "{name}");
    }
}

#[test]
fn what_cannot_be_loaded_is_named() {
    for (name, expected) in [
        (
            "low",
            "the Multiboot header is not usable: load_addr is 0x7c00, expected 1 MiB or more",
        ),
        (
            "past_the_file",
            "the Multiboot header is not usable: load_end_addr is 0x100041, expected 0x100001 to 0x100040",
        ),
        (
            "before_the_file",
            "the Multiboot header is not usable: header_addr is 0x100004, expected 0x100000 to 0x100000",
        ),
        (
            "entry_outside",
            "the Multiboot header is not usable: entry_addr is 0x100040, expected 0x100000 to 0x100040",
        ),
        (
            "bss_before_data",
            "the Multiboot header is not usable: bss_end_addr is 0x10003f, expected 0x100040 to 0x100000000",
        ),
        (
            "video",
            "the Multiboot header demands 0x4 of the loader; only page-aligned modules (1) and memory \
             information (2) are offered",
        ),
        (
            "cut",
            "the program ends inside the Multiboot header at byte 0",
        ),
        (
            "no_elf",
            "the Multiboot header has no addresses, and as an ELF file the program fails: ",
        ),
        (
            "elf_outside",
            "the Multiboot header has no addresses, and as an ELF file the program fails: ",
        ),
        (
            "late",
            "the program has no Multiboot header in its first 8192 bytes; ",
        ),
        (
            "checksum",
            "the program has no Multiboot header in its first 8192 bytes; ",
        ),
    ] {
        let error = Program::parse(&read(name)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
    }
}

proptest! {
    #[test]
    fn damaged_programs_do_no_harm(at in any::<prop::sample::Index>(), bytes: [u8; 4], cut: bool) {
        for name in ["addresses", "to_the_end", "elf32", "elf64"] {
            let mut program = read(name);
            let at = at.index(program.len());
            for (slot, byte) in program[at..].iter_mut().zip(bytes) {
                *slot = byte;
            }
            program.truncate(if cut { at } else { program.len() });
            image::fuzz::multiboot(&program);
        }
    }
}
