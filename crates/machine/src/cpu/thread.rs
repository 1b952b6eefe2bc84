//! Kernel threads: a stack, a place to continue, and the state of ring 3 that goes with it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use spin::{Mutex, Once};

use super::fpu::FpuState;
use super::per_cpu::this_cpu;
use super::{tlb, write_msr};
use crate::mem::{KernelStack, Root};

const MSR_FS_BASE: u32 = 0xc000_0100;
/// The base that SWAPGS brings in on the way to ring 3.
const MSR_KERNEL_GS_BASE: u32 = 0xc000_0102;

global_asm!(
    "
// void machine_switch(u64 *save /* rdi */, u64 load /* rsi */)
.global machine_switch
machine_switch:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [rdi], rsp
    mov rsp, rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

machine_thread_start:
    call machine_thread_main
    ud2
"
);

unsafe extern "C" {
    fn machine_switch(save: *mut u64, load: u64);
    fn machine_thread_start();
}

type Entry = Box<dyn FnOnce() + Send>;

/// A kernel thread.
pub struct Thread {
    _stack: Option<KernelStack>,
    /// Stack pointer while the thread does not run.
    saved_stack: UnsafeCell<u64>,
    /// Set while a CPU runs the thread; guards the cells.
    running: AtomicBool,
    entry: Mutex<Option<Entry>>,
    fpu: UnsafeCell<Option<FpuState>>,
    fs_base: AtomicU64,
    gs_base: AtomicU64,
    root: Mutex<Option<Arc<Root>>>,
    tag: u32,
}

// SAFETY: the cells are only touched by the CPU that set `running`, and the entry is `Send`.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

impl Thread {
    /// A thread that will run `entry` when first switched to. With `fpu`, ring 3 starts with
    /// those floating-point registers. `tag` names the thread to [`current_tag`]. `None` when memory for a stack is out.
    pub fn new(entry: Entry, fpu: Option<FpuState>, tag: u32) -> Option<Arc<Self>> {
        let stack = KernelStack::new()?;
        let thread = Self::with_stack(Some(stack), Some(entry), fpu, tag);
        Some(Arc::new(thread))
    }

    fn with_stack(
        stack: Option<KernelStack>,
        entry: Option<Entry>,
        fpu: Option<FpuState>,
        tag: u32,
    ) -> Self {
        let saved_stack = stack.as_ref().map_or(0, prepare_stack);
        Self {
            _stack: stack,
            saved_stack: UnsafeCell::new(saved_stack),
            running: AtomicBool::new(false),
            entry: Mutex::new(entry),
            fpu: UnsafeCell::new(fpu),
            fs_base: AtomicU64::new(0),
            gs_base: AtomicU64::new(0),
            root: Mutex::new(None),
            tag,
        }
    }

    /// Whether a CPU runs the thread, or is still about to leave it.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// The address space that is loaded whenever this thread runs. If it runs, it must be on this
    /// CPU.
    pub fn set_address_space(&self, root: Arc<Root>) {
        if self.running.load(Ordering::Relaxed) {
            tlb::activate(&root);
        }
        *self.root.lock() = Some(root);
    }

    /// The FS base of ring 3 (thread-local storage).
    pub fn fs_base(&self) -> u64 {
        self.fs_base.load(Ordering::Relaxed)
    }

    /// Sets the FS base; must be an address of the process half, else nothing happens.
    pub fn set_fs_base(&self, base: u64) {
        self.set_base(&self.fs_base, MSR_FS_BASE, base);
    }

    /// The GS base of ring 3.
    pub fn gs_base(&self) -> u64 {
        self.gs_base.load(Ordering::Relaxed)
    }

    /// Sets the GS base; must be an address of the process half, else nothing happens.
    pub fn set_gs_base(&self, base: u64) {
        self.set_base(&self.gs_base, MSR_KERNEL_GS_BASE, base);
    }

    fn set_base(&self, slot: &AtomicU64, register: u32, base: u64) {
        if base >= crate::mem::USER_END {
            return;
        }
        slot.store(base, Ordering::Relaxed);
        if self.running.load(Ordering::Relaxed) {
            // SAFETY: the register exists, and a canonical address cannot fault.
            unsafe { write_msr(register, base) };
        }
    }

    /// Loads what ring 3 needs of this thread; the CPU is about to run it.
    fn load_user_state(&self, previous: &Self) {
        if let Some(root) = &*self.root.lock() {
            tlb::activate(root);
        }
        let bases = [
            (MSR_FS_BASE, &self.fs_base, &previous.fs_base),
            (MSR_KERNEL_GS_BASE, &self.gs_base, &previous.gs_base),
        ];
        for (register, new, old) in bases {
            let base = new.load(Ordering::Relaxed);
            if base != old.load(Ordering::Relaxed) {
                // SAFETY: `set_base` only stores canonical addresses.
                unsafe { write_msr(register, base) };
            }
        }
        // SAFETY: `running` is ours, so nobody else touches the cell.
        if let Some(fpu) = unsafe { &*self.fpu.get() } {
            fpu.restore();
        }
    }
}

/// Puts the initial frame for `machine_switch` on a new stack; returns the stack pointer.
fn prepare_stack(stack: &KernelStack) -> u64 {
    let frame: [u64; 8] = [
        0,
        0,
        0,
        0,
        0,
        0,
        machine_thread_start as *const () as u64,
        0,
    ];
    let address = stack.top() - size_of_val(&frame) as u64;
    // SAFETY: the top of a mapped stack that nobody uses yet.
    unsafe { (address as *mut [u64; 8]).write(frame) };
    address
}

/// Makes the running code, on the boot stack, a thread. Called once on each CPU.
///
/// # Panics
/// If the CPU has a thread already.
pub fn adopt_boot_thread() {
    let thread = Thread::with_stack(None, None, None, 0);
    thread.running.store(true, Ordering::Relaxed);
    let before = this_cpu().current.replace(Some(Arc::new(thread)));
    assert!(before.is_none(), "this CPU has a thread already");
}

/// The thread that runs on this CPU.
///
/// # Panics
/// Before [`adopt_boot_thread`].
pub fn current_thread() -> Arc<Thread> {
    let current = this_cpu().current.borrow();
    Arc::clone(current.as_ref().expect("this CPU has a thread"))
}

/// The tag of the thread that runs on this CPU; 0 for the boot code.
pub fn current_tag() -> u32 {
    this_cpu()
        .current
        .borrow()
        .as_ref()
        .map_or(0, |thread| thread.tag)
}

/// Runs `next` on this CPU; returns when some CPU switches back to the current thread.
///
/// # Panics
/// If `next` is running.
pub fn switch_to(next: Arc<Thread>) {
    let claimed = !next.running.swap(true, Ordering::Acquire);
    assert!(claimed, "the thread is running already");
    let per_cpu = this_cpu();
    let current = per_cpu.current.replace(Some(Arc::clone(&next)));
    let current = current.expect("a thread runs before it switches");
    // SAFETY: the current thread's cells belong to this CPU.
    if let Some(fpu) = unsafe { &mut *current.fpu.get() } {
        fpu.save();
    }
    next.load_user_state(&current);
    let save = current.saved_stack.get();
    // SAFETY: `running` of `next` is ours now.
    let load = unsafe { *next.saved_stack.get() };
    drop(next);
    *per_cpu.previous.borrow_mut() = Some(current);
    // SAFETY: `load` is the stack pointer of a thread that is not running, made by this function
    // or `prepare_stack`; `save` stays valid because `previous` holds the thread.
    unsafe { machine_switch(save, load) };
    finish_switch();
}

/// What a thread does first after it was switched to.
fn finish_switch() {
    let previous = this_cpu().previous.take();
    if let Some(previous) = previous {
        previous.running.store(false, Ordering::Release);
    }
}

/// Ends the current thread and runs `next`. Called by the exit hook.
///
/// # Panics
/// If `next` is running.
pub fn exit_to(next: Arc<Thread>) -> ! {
    switch_to(next);
    unreachable!("a dead thread was switched to");
}

static EXIT_HOOK: Once<fn() -> !> = Once::new();

/// Sets what a thread runs after its entry function returned: it must end in [`exit_to`].
pub fn set_exit_hook(hook: fn() -> !) {
    EXIT_HOOK.call_once(|| hook);
}

/// First Rust code of a thread.
#[unsafe(no_mangle)]
extern "C" fn machine_thread_main() -> ! {
    finish_switch();
    let entry = this_cpu()
        .current
        .borrow()
        .as_ref()
        .and_then(|thread| thread.entry.lock().take());
    if let Some(entry) = entry {
        entry();
    }
    let hook = EXIT_HOOK.get().expect("the kernel set an exit hook");
    hook()
}
