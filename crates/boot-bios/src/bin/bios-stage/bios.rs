//! Calls to the BIOS and the last jump: the Rust side of `entry.s`.

use core::arch::{asm, global_asm};
use core::mem::size_of;
use core::ptr;

use boot_contract::disk::{BLOCK_LIST, BLOCK_LIST_MAGIC, BLOCK_LIST_SIZE};
use boot_contract::start_info::MemoryRange;
use boot_contract::status::{EXIT_PORT, Ending};

use crate::layout::{PAGE_TABLES, STACK_TOP};

global_asm!(
    include_str!("entry.s"),
    include_str!("../print.s"),
    ".code64",
    BLOCK_LIST = const BLOCK_LIST,
    BLOCK_LIST_SIZE = const BLOCK_LIST_SIZE,
    MAGIC = const u64::from_le_bytes(BLOCK_LIST_MAGIC),
    VERSION = const boot_contract::VERSION,
    PAGE_TABLES = const PAGE_TABLES,
    STACK_TOP = const STACK_TOP,
    BAD_IMAGE = const Ending::BadImage.code(),
    EXIT_PORT = const EXIT_PORT,
);

/// Registers of a call to the BIOS; the order is that of `entry.s`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Registers {
    pub(crate) eax: u32,
    pub(crate) ebx: u32,
    pub(crate) ecx: u32,
    pub(crate) edx: u32,
    pub(crate) esi: u32,
    pub(crate) edi: u32,
    /// Set by the BIOS only.
    pub(crate) flags: u32,
}

/// The disk address packet of INT 13h AH=42h (Enhanced Disk Drive 3.0, table 4).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct DiskPacket {
    pub(crate) size: u16,
    pub(crate) sectors: u16,
    pub(crate) offset: u16,
    pub(crate) segment: u16,
    pub(crate) lba: u64,
}

const _: () = assert!(size_of::<Registers>() == 28);
const _: () = assert!(size_of::<DiskPacket>() == 16);

unsafe extern "sysv64" {
    fn bios_interrupt(vector: u8);
    fn enter_kernel(entry: u32, ebx: u32, eax: u32) -> !;
    static block_list: [u8; BLOCK_LIST_SIZE];
    static boot_drive: u8;
    static mut bios_registers: Registers;
    static mut disk_packet: DiskPacket;
    static mut memory_range: MemoryRange;
}

impl Registers {
    /// Whether the BIOS set the carry flag: its way to say that a call failed.
    pub(crate) fn carry(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// Calls the BIOS.
pub(crate) fn interrupt(vector: u8, registers: Registers) -> Registers {
    let shared = &raw mut bios_registers;
    // SAFETY: only this function uses the registers in low memory, and nothing runs beside it.
    unsafe { shared.write_volatile(registers) };
    // SAFETY: `entry.s` keeps what the ABI says; the BIOS keeps to its own memory and the
    // buffers named in the registers, which are the stage's.
    unsafe { bios_interrupt(vector) };
    // SAFETY: as above; the BIOS's answer was stored there.
    unsafe { shared.read_volatile() }
}

/// Reads sectors (INT 13h AH=42h) as the packet says; its buffer must be memory of the stage.
pub(crate) fn read_disk(packet: DiskPacket) -> Registers {
    let shared = &raw mut disk_packet;
    // SAFETY: only this function uses the packet.
    unsafe { shared.write_volatile(packet) };
    interrupt(
        0x13,
        Registers {
            eax: 0x4200,
            edx: u32::from(drive()),
            esi: shared.addr() as u32,
            ..Registers::default()
        },
    )
}

/// Asks for a range of the memory map (INT 15h EAX=E820h, ACPI 6.5 §15.1); `next` is 0 at first,
/// then the `ebx` of the last answer.
pub(crate) fn query_memory(next: u32) -> (Registers, MemoryRange) {
    let empty = MemoryRange {
        addr: 0,
        size: 0,
        kind: 0,
        reserved: 0,
    };
    let shared = &raw mut memory_range;
    // SAFETY: only this function uses the range.
    unsafe { shared.write_volatile(empty) };
    let answer = interrupt(
        0x15,
        Registers {
            eax: 0xe820,
            ebx: next,
            // Without the extended attributes: `reserved` stays 0.
            ecx: 20,
            edx: SMAP,
            edi: shared.addr() as u32,
            ..Registers::default()
        },
    );
    // SAFETY: as above; every bit pattern is a range.
    (answer, unsafe { shared.read_volatile() })
}

/// "SMAP", in question and answer of E820h.
pub(crate) const SMAP: u32 = 0x534d_4150;

/// The drive the machine was started from.
pub(crate) fn drive() -> u8 {
    let drive = &raw const boot_drive;
    // SAFETY: written once, in `entry.s`, before any Rust code.
    unsafe { drive.read_volatile() }
}

/// The block list's bytes, as the assembler patched them.
pub(crate) fn block_list_bytes() -> [u8; BLOCK_LIST_SIZE] {
    let list = &raw const block_list;
    // SAFETY: part of the stage; never written.
    unsafe { list.read_volatile() }
}

/// Enters the kernel with these registers.
pub(crate) fn enter(entry: u32, ebx: u32, eax: u32) -> ! {
    // SAFETY: the kernel is loaded and the hand-over block built; nothing of the stage is
    // needed any more.
    unsafe { enter_kernel(entry, ebx, eax) }
}

/// Stops for good; QEMU's `isa-debug-exit`, where there is one, ends the machine with `ending`.
pub(crate) fn end(ending: Ending) -> ! {
    out(EXIT_PORT, ending.code());
    loop {
        // SAFETY: interrupts are off, so the CPU just stops.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Writes a byte to an I/O port.
pub(crate) fn out(port: u16, value: u8) {
    // SAFETY: used for COM1 and QEMU's exit port only, which have no effect on memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) };
}

/// Reads a byte from an I/O port.
pub(crate) fn input(port: u16) -> u8 {
    let value;
    // SAFETY: used for COM1 and QEMU's exit port only, which have no effect on memory.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) };
    value
}

/// Copies bytes to a physical address.
///
/// # Safety
/// The destination is RAM below 4 GiB that the stage does not use otherwise.
pub(crate) unsafe fn copy_to(address: u64, bytes: &[u8]) {
    let to = ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: the caller vouches for the destination, which therefore is not `bytes`.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
}

/// Zeroes memory at a physical address.
///
/// # Safety
/// As for [`copy_to`].
pub(crate) unsafe fn zero(address: u64, size: u64) {
    let to = ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: the caller vouches for the destination.
    unsafe { ptr::write_bytes(to, 0, size as usize) };
}

/// Memory that the BIOS or a finished disk read filled.
///
/// # Safety
/// Below 1 MiB, not 0, and nobody writes there while the slice is used.
pub(crate) unsafe fn low_memory(address: usize, size: usize) -> &'static [u8] {
    let from = ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: low memory is mapped; the caller vouches for the rest.
    unsafe { core::slice::from_raw_parts(from, size) }
}
