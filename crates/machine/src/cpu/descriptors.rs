//! Segment descriptors and the task-state segment (Intel SDM volume 3, chapters 3 and 7).
//!
//! Selector order is what SYSCALL and SYSRET want: kernel code, kernel data, user data, user code.

use alloc::boxed::Box;
use core::arch::asm;
use core::cell::UnsafeCell;

/// Selector of kernel code; kernel data follows.
pub(super) const KERNEL_CODE: u16 = 0x08;
/// Base of the user selectors as SYSRET computes them: data at +8, 64-bit code at +16.
pub(super) const USER_BASE: u16 = 0x10 | 3;
/// Selector of user data and stack.
pub(super) const USER_DATA: u16 = 0x18 | 3;
/// Selector of 64-bit user code.
pub(super) const USER_CODE: u16 = 0x20 | 3;
const TASK_STATE: u16 = 0x28;

/// Stack for double faults, NMIs and machine checks, which may hit a broken stack.
const FAULT_STACK_SIZE: usize = 16 * 1024;
/// Index (from 1) of that stack in the interrupt stack table.
pub(super) const FAULT_STACK: u8 = 1;

#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    /// Stack for traps from ring 3: the end of the current thread's saved registers.
    rsp0: u64,
    rsp1: u64,
    rsp2: u64,
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

const _: () = assert!(size_of::<TaskState>() == 104);

/// The descriptor tables of one CPU.
pub(super) struct Descriptors {
    gdt: [u64; 7],
    task_state: UnsafeCell<TaskState>,
}

impl Descriptors {
    /// Fresh tables with a fault stack of their own.
    pub(super) fn new() -> Self {
        let fault_stack = Box::leak(alloc::vec![0u8; FAULT_STACK_SIZE].into_boxed_slice());
        let top = (fault_stack.as_ptr() as u64 + FAULT_STACK_SIZE as u64) & !15;
        let mut ist = [0; 7];
        ist[FAULT_STACK as usize - 1] = top;
        let task_state = TaskState {
            reserved0: 0,
            rsp0: 0,
            rsp1: 0,
            rsp2: 0,
            reserved1: 0,
            ist,
            reserved2: 0,
            reserved3: 0,
            io_map: size_of::<TaskState>() as u16,
        };
        let gdt = [
            0,
            0x00af_9b00_0000_ffff, // kernel code
            0x00cf_9300_0000_ffff, // kernel data
            0x00cf_f300_0000_ffff, // user data
            0x00af_fb00_0000_ffff, // user code
            0,                     // task state, two entries
            0,
        ];
        Self {
            gdt,
            task_state: UnsafeCell::new(task_state),
        }
    }

    /// Loads the tables on this CPU.
    ///
    /// # Safety
    /// `self` must stay where it is for as long as the CPU runs.
    pub(super) unsafe fn load(&mut self) {
        let base = self.task_state.get() as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        self.gdt[5] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        self.gdt[6] = base >> 32;
        let pointer = TablePointer {
            limit: size_of_val(&self.gdt) as u16 - 1,
            base: self.gdt.as_ptr() as u64,
        };
        // SAFETY: the table is complete and stays; code and stack selectors are those in it.
        unsafe {
            asm!(
                "lgdt [{pointer}]",
                "push {code}",
                "lea {scratch}, [rip + 2f]",
                "push {scratch}",
                "retfq",
                "2:",
                "ltr {task:x}",
                pointer = in(reg) &raw const pointer,
                code = in(reg) u64::from(KERNEL_CODE),
                task = in(reg) TASK_STATE,
                scratch = out(reg) _,
            );
        }
    }

    /// Sets where the CPU pushes the state of ring 3 when a trap ends it.
    pub(super) fn set_trap_stack(&self, address: u64) {
        // SAFETY: in bounds of the task state, which only this CPU uses.
        let rsp0 = unsafe { &raw mut (*self.task_state.get()).rsp0 };
        // SAFETY: as above; the field is only 4-aligned.
        unsafe { rsp0.write_unaligned(address) };
    }
}

/// Operand of LGDT and LIDT.
#[repr(C, packed)]
pub(super) struct TablePointer {
    pub(super) limit: u16,
    pub(super) base: u64,
}
