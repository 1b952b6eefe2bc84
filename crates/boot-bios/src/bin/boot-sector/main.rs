//! The boot sector: 440 bytes of code that load the BIOS stage and jump to it.
//!
//! All of it is assembly; see `boot_sector.s`. The output is the sector itself, 512 bytes.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a boot sector is assembly")]

use core::arch::global_asm;

use boot_bios::no_heap::NoHeap;
use boot_contract::disk::{BLOCK_LIST, BLOCK_LIST_MAGIC, BOOT_PACKET, STAGE_ADDRESS};
use boot_contract::status::{EXIT_PORT, Ending};

global_asm!(
    include_str!("boot_sector.s"),
    include_str!("../print.s"),
    include_str!("packet.s"),
    PACKET = const BOOT_PACKET,
    STAGE = const STAGE_ADDRESS,
    STAGE_SEGMENT = const STAGE_ADDRESS >> 4,
    STAGE_MAGIC = const STAGE_ADDRESS as usize + BLOCK_LIST,
    MAGIC_LOW = const u32::from_le_bytes(*BLOCK_LIST_MAGIC.first_chunk().unwrap()),
    MAGIC_HIGH = const u32::from_le_bytes(*BLOCK_LIST_MAGIC.last_chunk().unwrap()),
    BAD_IMAGE = const Ending::BadImage.code(),
    EXIT_PORT = const EXIT_PORT,
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;
