//! Running a process in ring 3.

use alloc::boxed::Box;
use core::arch::asm;
use core::fmt;

use super::descriptors::{KERNEL_CODE, USER_BASE, USER_CODE, USER_DATA};
use super::per_cpu::this_cpu;
use super::trap::note_interrupt;
use super::{tlb, write_msr};
use crate::mem::USER_END;

const MSR_STAR: u32 = 0xc000_0081;
const MSR_LSTAR: u32 = 0xc000_0082;
const MSR_SYSCALL_MASK: u32 = 0xc000_0084;

/// Flags that ring 3 may set for itself: arithmetic flags, trap, direction, alignment, ID.
const USER_FLAGS: u64 = 0x24_0dd5;
/// Always set in ring 3: interrupts enabled, and the bit that is always one.
const FIXED_FLAGS: u64 = 0x202;
/// Flags that SYSCALL clears: trap, interrupt, direction, I/O level, nested task, alignment.
const SYSCALL_CLEARS: u64 = 0x4_7700;

/// The registers of ring 3, in the order in which the entry code and the CPU push them.
#[repr(C, align(16))]
#[derive(Clone, Default)]
pub(super) struct UserFrame {
    general: Registers,
    pub(super) vector: u64,
    pub(super) error: u64,
    pub(super) rip: u64,
    cs: u64,
    rflags: u64,
    pub(super) rsp: u64,
    ss: u64,
}

const _: () = assert!(size_of::<UserFrame>() == 176);

impl UserFrame {
    /// The frame pointer.
    pub(super) fn rbp(&self) -> u64 {
        self.general.rbp
    }
}

impl fmt::Display for UserFrame {
    /// The registers, for an epitaph.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let r = &self.general;
        let rows = [
            [("rax", r.rax), ("rbx", r.rbx), ("rcx", r.rcx)],
            [("rdx", r.rdx), ("rsi", r.rsi), ("rdi", r.rdi)],
            [("rbp", r.rbp), ("rsp", self.rsp), ("r8 ", r.r8)],
            [("r9 ", r.r9), ("r10", r.r10), ("r11", r.r11)],
            [("r12", r.r12), ("r13", r.r13), ("r14", r.r14)],
            [("r15", r.r15), ("cs ", self.cs), ("flags", self.rflags)],
        ];
        for row in rows {
            for (name, value) in row {
                write!(f, "  {name} {value:016x}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The general registers, except the stack pointer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "registers are their names")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
}

/// Why ring 3 stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A system call; number and arguments are in the registers.
    SystemCall,
    /// A page could not be accessed.
    PageFault {
        /// The address.
        address: u64,
        /// Whether it was a write.
        write: bool,
        /// Whether it was an instruction fetch.
        execute: bool,
    },
    /// Another CPU exception.
    Exception(ExceptionInfo),
    /// An interrupt arrived; see [`super::take_pending`].
    Interrupt,
}

/// A CPU exception in ring 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionInfo {
    /// Vector (Intel SDM volume 3, table 6-1).
    pub vector: u8,
    /// Error code, 0 if the vector has none.
    pub error: u32,
}

/// General protection, the vector for addresses that are none.
const GENERAL_PROTECTION: u8 = 13;
const PAGE_FAULT: u8 = 14;

/// The state of one thread in ring 3, apart from its floating-point registers.
pub struct UserContext {
    frame: Box<UserFrame>,
    /// The last exit was a system call and nothing but return values changed since.
    fast_return: bool,
}

impl UserContext {
    /// A context that starts at `entry` with the stack pointer at `stack`, all else zero.
    pub fn new(entry: u64, stack: u64) -> Self {
        let frame = UserFrame {
            rip: entry,
            cs: USER_CODE.into(),
            rflags: FIXED_FLAGS,
            rsp: stack,
            ss: USER_DATA.into(),
            ..UserFrame::default()
        };
        Self {
            frame: Box::new(frame),
            fast_return: false,
        }
    }

    /// A copy, for a new thread or process.
    pub fn duplicate(&self) -> Self {
        Self {
            frame: self.frame.clone(),
            fast_return: false,
        }
    }

    /// The general registers.
    pub fn registers(&self) -> &Registers {
        &self.frame.general
    }

    /// The general registers, to change them. RCX and R11 only take effect if the context does
    /// not return from a system call; see [`set_instruction`](Self::set_instruction).
    pub fn registers_mut(&mut self) -> &mut Registers {
        &mut self.frame.general
    }

    /// Address of the next instruction.
    pub fn instruction(&self) -> u64 {
        self.frame.rip
    }

    /// Sets the next instruction; all registers take effect then.
    pub fn set_instruction(&mut self, address: u64) {
        self.frame.rip = address;
        self.fast_return = false;
    }

    /// The stack pointer.
    pub fn stack(&self) -> u64 {
        self.frame.rsp
    }

    /// Sets the stack pointer.
    pub fn set_stack(&mut self, address: u64) {
        self.frame.rsp = address;
    }

    /// The flags register.
    pub fn flags(&self) -> u64 {
        self.frame.rflags
    }

    /// Sets the flags that ring 3 may set.
    pub fn set_flags(&mut self, flags: u64) {
        self.frame.rflags = flags & USER_FLAGS | FIXED_FLAGS;
        self.fast_return = false;
    }

    /// Runs ring 3 until something stops it. The process's page table must be active.
    pub fn run(&mut self) -> Trap {
        // An address outside the process half would fault inside the kernel on the way out.
        if self.frame.rip >= USER_END {
            return Trap::Exception(ExceptionInfo {
                vector: GENERAL_PROTECTION,
                error: 0,
            });
        }
        let per_cpu = this_cpu();
        let frame = &raw mut *self.frame;
        per_cpu.user_frame.set(frame);
        per_cpu
            .descriptors
            .set_trap_stack(frame.wrapping_add(1) as u64);
        tlb::enter_ring_3(per_cpu);
        // SAFETY: the frame is heap memory that lives until the call returns; selectors and
        // flags in it are only set by this module.
        let trapped = unsafe { machine_enter_user(frame, u32::from(self.fast_return)) };
        tlb::leave_ring_3(per_cpu);
        self.fast_return = trapped == 0;
        if self.fast_return {
            Trap::SystemCall
        } else {
            self.classify()
        }
    }

    fn classify(&self) -> Trap {
        let vector = self.frame.vector;
        if vector >= 32 {
            note_interrupt(vector);
            return Trap::Interrupt;
        }
        let error = self.frame.error as u32;
        if vector != u64::from(PAGE_FAULT) {
            return Trap::Exception(ExceptionInfo {
                vector: vector as u8,
                error,
            });
        }
        let address: u64;
        // SAFETY: reads a register.
        unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack)) };
        Trap::PageFault {
            address,
            write: error & 2 != 0,
            execute: error & 16 != 0,
        }
    }
}

unsafe extern "C" {
    fn machine_enter_user(frame: *mut UserFrame, sysret: u32) -> u32;
    fn machine_syscall_entry();
}

/// Sets up the system-call instruction on this CPU.
pub(super) fn init() {
    let star = u64::from(USER_BASE) << 48 | u64::from(KERNEL_CODE) << 32;
    // SAFETY: selectors as in the descriptor table.
    unsafe { write_msr(MSR_STAR, star) };
    // SAFETY: the entry code handles the state that SYSCALL leaves.
    unsafe { write_msr(MSR_LSTAR, machine_syscall_entry as *const () as u64) };
    // SAFETY: interrupts in particular are off on entry.
    unsafe { write_msr(MSR_SYSCALL_MASK, SYSCALL_CLEARS) };
}
