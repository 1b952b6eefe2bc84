//! The kernel and boot stages, built for bare metal and embedded.
//!
//! The build script builds them with the pinned toolchain and flags of its own, so they are the
//! same bytes whatever the build around them is.

/// The kernel: an ELF64 file with a PVH note, without symbols.
pub static KERNEL_ELF: &[u8] = include_bytes!(env!("KERNEL_ELF"));

/// The BIOS boot sector, 512 bytes.
pub static BOOT_SECTOR: &[u8] = include_bytes!(env!("BOOT_SECTOR"));

/// The BIOS stage that the boot sector loads.
pub static BIOS_STAGE: &[u8] = include_bytes!(env!("BIOS_STAGE"));

/// Path of the kernel with symbols on the machine that built this, for debuggers.
pub const KERNEL_UNSTRIPPED: &str = env!("KERNEL_UNSTRIPPED");
