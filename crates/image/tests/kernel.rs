//! What the assembler accepts as a kernel.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{KERNEL_ADDRESS, kernel};
use image::elf::{Kernel, KernelError, Segment};
use proptest::prelude::any;
use proptest::proptest;

/// The kernel with a field changed.
fn changed(at: usize, field: &[u8]) -> Result<Kernel, KernelError> {
    let mut bytes = kernel();
    bytes[at..at + field.len()].copy_from_slice(field);
    Kernel::parse(&bytes)
}

#[test]
fn segments_and_entry_are_found() {
    let expected = Kernel {
        entry: KERNEL_ADDRESS + 4,
        segments: vec![Segment {
            offset: 0x123,
            file_size: 1000,
            paddr: KERNEL_ADDRESS,
            mem_size: 1000,
        }],
    };
    assert_eq!(Kernel::parse(&kernel()).unwrap(), expected);
}

#[test]
fn unusable_kernels_are_refused() {
    assert!(matches!(
        Kernel::parse(b"#!/bin/sh"),
        Err(KernelError::Elf(_))
    ));
    assert!(matches!(
        changed(18, &[40]),
        Err(KernelError::Machine { found: 40 })
    ));
    assert!(matches!(changed(64, &[5]), Err(KernelError::NoSegments)));
    // Physical address 0x8000, where the boot stage is.
    assert!(matches!(
        changed(64 + 24, &0x8000u64.to_le_bytes()),
        Err(KernelError::Segment { .. })
    ));
    assert!(matches!(
        changed(64 + 24, &u64::MAX.to_le_bytes()),
        Err(KernelError::Segment { .. })
    ));
    // More bytes than the file has.
    assert!(matches!(
        changed(64 + 32, &2000u64.to_le_bytes()),
        Err(KernelError::Segment { .. })
    ));
    assert!(matches!(changed(188, &[17]), Err(KernelError::NoEntry)));
    assert!(matches!(changed(192, b"GNU"), Err(KernelError::NoEntry)));
    assert!(matches!(
        changed(196, &[0; 4]),
        Err(KernelError::EntryOutside { entry: 0 })
    ));
    // The note turned into a second segment at the same address.
    let mut bytes = kernel();
    bytes.copy_within(64..120, 120);
    assert!(matches!(
        Kernel::parse(&bytes),
        Err(KernelError::Overlap { .. })
    ));
}

proptest! {
    #[test]
    fn damaged_kernels_do_no_harm(at in 0usize..204, byte in any::<u8>()) {
        let _ = changed(at, &[byte]);
    }
}
