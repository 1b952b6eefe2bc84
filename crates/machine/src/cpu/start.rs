//! Starting the other CPUs (Intel SDM volume 3, §9.4), and interrupts between CPUs.

use alloc::vec::Vec;
use core::arch::global_asm;
use core::hint::spin_loop;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use spin::Once;

use super::per_cpu::{shared, this_cpu};
use super::{MAX_CPUS, fpu, hardening, per_cpu, thread, trap, user};
use crate::dev::{clock, interrupt as controller, timer};
use crate::mem::{KernelStack, LOW_PAGES, PAGE_SIZE, low_root, phys_to_ptr};

global_asm!(include_str!("start.s"));

unsafe extern "C" {
    static machine_cpu_start: u8;
    static machine_cpu_start_long: u8;
    static machine_cpu_start_end: u8;
    fn machine_cpu_start_high();
}

/// Time between the reset and the start of a CPU: 10 ms on the processors of the MultiProcessor
/// Specification 1.4 (§B.4), which nobody has had since; virtual CPUs need none.
const RESET_DELAY: u64 = 200_000;
/// How long to wait before starting a CPU a second time (there: 200 µs).
const FIRST_PATIENCE: u64 = 1_000_000;
/// How long to wait altogether, in nanoseconds: a busy host may take a while to run a new CPU.
const PATIENCE: u64 = 1_000_000_000;

/// Offset of the parameters in the start page.
const PARAMETERS: usize = 0x800;

/// What start.s reads.
#[repr(C, packed)]
struct Parameters {
    low_root: u32,
    padding: u16,
    table_limit: u16,
    table_base: u32,
    long_mode: u32,
    long_mode_selector: u16,
    padding2: [u16; 3],
    stack: u64,
    number: u64,
    root: u64,
    entry: u64,
    table: [u64; 2],
}

const _: () = assert!(offset_of!(Parameters, table_limit) == 6);
const _: () = assert!(offset_of!(Parameters, long_mode) == 0xc);
const _: () = assert!(offset_of!(Parameters, stack) == 0x18);
const _: () = assert!(offset_of!(Parameters, entry) == 0x30);

/// Number of CPUs that run.
static COUNT: AtomicUsize = AtomicUsize::new(1);
/// The CPU being started has come up.
static UP: AtomicBool = AtomicBool::new(false);
/// All have been started; they may go on.
static GO: AtomicBool = AtomicBool::new(false);
/// Where CPUs that come up go; set before any is started.
static MAIN: Once<fn() -> !> = Once::new();

/// How many CPUs run. They are numbered from 0, the boot CPU.
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// The number of the running CPU.
pub fn number() -> usize {
    this_cpu().number
}

/// Starts the CPUs with the given APIC identifiers, apart from the running one and those beyond
/// [`MAX_CPUS`]; each runs `main` on a thread of its own. Returns the identifiers of those that
/// did not come up. To be called once, on the boot CPU, after the devices have been set up.
pub fn start_others(processors: &[u32], main: fn() -> !) -> Vec<u32> {
    let Some(local) = controller::local_apic() else {
        return Vec::new();
    };
    MAIN.call_once(|| main);
    let own = local.id();
    shared(0).apic.store(own, Ordering::Relaxed);
    let others = processors.iter().copied().filter(|&apic| apic != own);
    let failed = others.filter(|&apic| !start(apic)).collect();
    GO.store(true, Ordering::SeqCst);
    failed
}

/// Starts one CPU; false if it does not come up.
fn start(apic: u32) -> bool {
    let number = count();
    let (Some(page), Some(local)) = (LOW_PAGES.get().copied(), controller::local_apic()) else {
        return false;
    };
    if number >= MAX_CPUS {
        return false;
    }
    let Some(stack) = KernelStack::new() else {
        return false;
    };
    shared(number).apic.store(apic, Ordering::Relaxed);
    prepare(page, &stack, number);
    UP.store(false, Ordering::SeqCst);
    local.reset(apic);
    clock::spin(RESET_DELAY);
    local.start(apic, (page >> 12) as u8);
    if !wait_until_up(FIRST_PATIENCE) {
        local.start(apic, (page >> 12) as u8);
    }
    if !wait_until_up(PATIENCE) {
        // Should it still come, it must not find the parameters of the next one.
        local.reset(apic);
        return false;
    }
    // The stack is that CPU's for good.
    core::mem::forget(stack);
    COUNT.store(number + 1, Ordering::SeqCst);
    true
}

fn wait_until_up(nanoseconds: u64) -> bool {
    let start = super::timestamp();
    while !UP.load(Ordering::SeqCst) {
        if clock::ticks_to_nanoseconds(super::timestamp().wrapping_sub(start)) > nanoseconds {
            return false;
        }
        spin_loop();
    }
    true
}

/// Puts code and parameters into the start page.
fn prepare(page: u64, stack: &KernelStack, number: usize) {
    let code = &raw const machine_cpu_start;
    let size = (&raw const machine_cpu_start_end) as usize - code as usize;
    let long_mode = (&raw const machine_cpu_start_long) as usize - code as usize;
    assert!(
        size <= PARAMETERS,
        "the start code fits before its parameters"
    );
    let (low_root, root) = low_root(page + PAGE_SIZE as u64);
    let parameters = Parameters {
        low_root: low_root as u32,
        padding: 0,
        // The null descriptor is what lies before `table`; nothing reads it.
        table_limit: 15,
        table_base: page as u32 + (PARAMETERS + offset_of!(Parameters, table)) as u32,
        long_mode: page as u32 + long_mode as u32,
        long_mode_selector: 8,
        padding2: [0; 3],
        stack: stack.top(),
        number: number as u64,
        root,
        entry: machine_cpu_start_high as *const () as u64,
        // The null descriptor and 64-bit code.
        table: [0, 0x00af_9b00_0000_ffff],
    };
    let target = phys_to_ptr(page);
    // SAFETY: the low pages are RAM that nothing else uses, and the code fits (checked above).
    unsafe { core::ptr::copy_nonoverlapping(code, target, size) };
    let target = target.wrapping_add(PARAMETERS).cast::<Parameters>();
    // SAFETY: as above; the parameters fit into the rest of the page.
    unsafe { target.write_unaligned(parameters) };
}

/// First Rust code of a further CPU.
///
/// # Safety
/// Called once on each, by the start code, on a stack of its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn machine_cpu_main(number: usize) -> ! {
    // SAFETY: passed on from the caller.
    unsafe { per_cpu::init(number) };
    trap::load();
    user::init();
    fpu::init();
    hardening::init();
    controller::init_this_cpu();
    timer::init_this_cpu();
    thread::adopt_boot_thread();
    UP.store(true, Ordering::SeqCst);
    while !GO.load(Ordering::SeqCst) {
        spin_loop();
    }
    let main = MAIN.get().expect("set before any CPU was started");
    main()
}

/// Interrupts a CPU: it leaves ring 3 or [`super::wait_for_interrupt`] and finds
/// [`crate::dev::Irq::Wake`] pending.
pub fn interrupt(number: usize) {
    if let Some(local) = controller::local_apic() {
        let apic = shared(number).apic.load(Ordering::Relaxed);
        local.send(apic, controller::WAKE_VECTOR);
    }
}
