//! Signals: actions, information, and the frame that a handler runs on.

use super::{Layout, layout};
use crate::raw;

layout! {
    /// `struct sigaction` of the kernel, rt_sigaction(2).
    struct SigAction[32, like raw::general::kernel_sigaction] {
        sa_handler_kernel: u64 = 0,
        sa_flags: u64 = 8,
        sa_restorer: u64 = 16,
        sa_mask: u64 = 24,
    }

    /// `stack_t`, sigaltstack(2).
    struct StackT[24, like raw::general::sigaltstack] {
        ss_sp: u64 = 0,
        ss_flags: i32 = 8,
        ss_size: u64 = 16,
    }

    /// `siginfo_t`, sigaction(2); build it with its constructors.
    struct SigInfo[128] {
        si_signo: i32 = 0,
        si_errno: i32 = 4,
        si_code: i32 = 8,
        si_fields: [u8; 112] = 16,
    }

    /// `struct sigcontext`: the registers of the interrupted code (asm/sigcontext.h).
    struct SigContext[256] {
        r8: u64 = 0,
        r9: u64 = 8,
        r10: u64 = 16,
        r11: u64 = 24,
        r12: u64 = 32,
        r13: u64 = 40,
        r14: u64 = 48,
        r15: u64 = 56,
        rdi: u64 = 64,
        rsi: u64 = 72,
        rbp: u64 = 80,
        rbx: u64 = 88,
        rdx: u64 = 96,
        rax: u64 = 104,
        rcx: u64 = 112,
        rsp: u64 = 120,
        rip: u64 = 128,
        eflags: u64 = 136,
        cs: u16 = 144,
        gs: u16 = 146,
        fs: u16 = 148,
        ss: u16 = 150,
        err: u64 = 152,
        trapno: u64 = 160,
        oldmask: u64 = 168,
        cr2: u64 = 176,
        fpstate: u64 = 184,
    }

    /// `struct ucontext` of the kernel (asm-generic/ucontext.h).
    struct UContext[304] {
        uc_flags: u64 = 0,
        uc_link: u64 = 8,
        uc_stack: StackT = 16,
        uc_mcontext: SigContext = 40,
        uc_sigmask: u64 = 296,
    }

    /// `struct rt_sigframe`: what rt_sigreturn(2) finds 8 bytes below RSP (arch/x86/include/
    /// asm/sigframe.h); `pretcode` is the return address of the handler.
    struct RtSigFrame[440] {
        pretcode: u64 = 0,
        uc: UContext = 8,
        info: SigInfo = 312,
    }

    /// `struct _fpx_sw_bytes`: at [`SW_BYTES_OFFSET`] of the floating-point state, says that it
    /// is an XSAVE area (asm/sigcontext.h).
    struct FpSwBytes[48] {
        magic1: u32 = 0,
        extended_size: u32 = 4,
        xfeatures: u64 = 8,
        xstate_size: u32 = 16,
    }
}

/// `uc_flags`: the floating-point state is an XSAVE area.
pub const UC_FP_XSTATE: u64 = 0x1;
/// `uc_flags`: `ss` in the context is valid.
pub const UC_SIGCONTEXT_SS: u64 = 0x2;
/// `uc_flags`: rt_sigreturn(2) restores `ss` as it stands.
pub const UC_STRICT_RESTORE_SS: u64 = 0x4;
/// [`FpSwBytes::magic1`] of an XSAVE area.
pub const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// The four bytes after an XSAVE area.
pub const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// Where [`FpSwBytes`] lies in the state: the part of FXSAVE left to software.
pub const SW_BYTES_OFFSET: usize = 464;

impl SigInfo {
    fn new(signal: i32, code: i32) -> Self {
        Self {
            si_signo: signal,
            si_code: code,
            ..Self::default()
        }
    }

    fn with(mut self, offset: usize, bytes: &[u8]) -> Self {
        // Offsets are those of `siginfo_t`; the union starts at 16.
        self.si_fields[offset - 16..][..bytes.len()].copy_from_slice(bytes);
        self
    }

    /// A signal of the kernel itself, without a sender.
    pub fn of_kernel(signal: i32) -> Self {
        Self::new(signal, raw::general::SI_KERNEL as i32)
    }

    /// A signal from kill(2) (`SI_USER`) or tgkill(2) (`SI_TKILL`).
    pub fn sent_by(signal: i32, code: i32, pid: i32, uid: u32) -> Self {
        Self::new(signal, code)
            .with(16, &pid.to_le_bytes())
            .with(20, &uid.to_le_bytes())
    }

    /// SIGCHLD; `code` is one of `CLD_*`, `status` the exit status or the signal number.
    pub fn of_child(code: i32, pid: i32, uid: u32, status: i32) -> Self {
        Self::sent_by(raw::general::SIGCHLD as i32, code, pid, uid).with(24, &status.to_le_bytes())
    }

    /// SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP from the instruction or data at `address`.
    pub fn of_fault(signal: i32, code: i32, address: u64) -> Self {
        Self::new(signal, code).with(16, &address.to_le_bytes())
    }
}

/// Where on the stack a handler's frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigFramePlace {
    /// Address of the floating-point state, a multiple of 64.
    pub fpstate: u64,
    /// Address of [`RtSigFrame`], and RSP when the handler starts: as after a call, 8 below a
    /// multiple of 16.
    pub frame: u64,
}

impl SigFramePlace {
    /// Bytes below RSP that leaf functions use without notice (System V ABI, section 3.2.2).
    pub const RED_ZONE: u64 = 128;

    /// The place below `top`: RSP less the red zone, or the end of the alternate stack.
    ///
    /// `None` if that would pass address zero.
    pub fn below(top: u64, fpstate_size: u64) -> Option<Self> {
        let fpstate = top.checked_sub(fpstate_size)? & !63;
        let frame = (fpstate.checked_sub(RtSigFrame::SIZE as u64)? & !15).checked_sub(8)?;
        Some(Self { fpstate, frame })
    }
}
