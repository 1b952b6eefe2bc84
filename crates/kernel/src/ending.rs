//! How the machine ends (`boot_contract::status`).

use alloc::format;
use core::fmt::{self, Display};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use boot_contract::events;
use boot_contract::status::{EPITAPH, Ending};
use linux_abi::layout::SigInfo;
use linux_abi::raw::general::SIGTERM;
use machine::cpu::{CodeAddress, StoppedAt};
use machine::dev::{power, power_button_pressed};

use crate::task::{SignalTarget, send_signal};
use crate::{console, event, files, task};

fn end(ending: Ending, status: u32) -> ! {
    event::report(
        events::EXIT,
        &format!("kind={} status={status}", ending.name()),
    );
    power::exit(ending.code())
}

/// The first process has ended with `status`, encoded as for wait4(2).
pub(crate) fn program_ended(status: u32) -> ! {
    match (status & 0x7f, status >> 8) {
        (0, 0) => end(Ending::Success, 0),
        (0, code) => {
            console::log!("the release ended with status {code}");
            end(Ending::Failure, code)
        }
        (signal, _) => {
            console::log!("the release was killed by signal {signal}");
            end(Ending::Signal, signal)
        }
    }
}

/// The image cannot be started.
pub(crate) fn bad_image(what: &str, error: impl Display) -> ! {
    console::log!("cannot start this image: {what}: {error}");
    end(Ending::BadImage, 0)
}

/// The release cannot be started with the variables and flags that it was given.
pub(crate) fn not_configured(reason: impl Display, advice: &str) -> ! {
    console::log!("cannot start this release: {reason}");
    console::log!("{advice}");
    end(Ending::NotConfigured, 0)
}

/// The first process needs memory and there is none.
pub(crate) fn out_of_memory() -> ! {
    end(Ending::OutOfMemory, 0)
}

/// Somebody pressed the power button, perhaps: asks the first process to end, as an operating
/// system's service manager does. The BEAM answers `SIGTERM` with `init:stop()`.
pub(crate) fn power_button() {
    if !power_button_pressed() {
        return;
    }
    console::log!("power button: the release is asked to stop");
    if let Some(process) = files::first_process() {
        send_signal(
            SignalTarget::Process(process),
            SigInfo::of_kernel(SIGTERM as i32),
        );
    }
}

/// Whether a panic is that of a failed allocation, told by its words
/// (`alloc::alloc::handle_alloc_error`); the hook for it is not stable.
fn allocation_failed(info: &PanicInfo<'_>) -> bool {
    struct Expected(&'static str);

    impl fmt::Write for Expected {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let count = text.len().min(self.0.len());
            let (expected, rest) = self.0.split_at(count);
            if !text.as_bytes().starts_with(expected.as_bytes()) {
                return Err(fmt::Error);
            }
            self.0 = rest;
            Ok(())
        }
    }

    let mut expected = Expected("memory allocation of ");
    // An error says that the words are others: then some are still expected.
    let _ = fmt::write(&mut expected, format_args!("{}", info.message()));
    expected.0.is_empty()
}

/// The kernel itself needs memory and there is none. Uses no memory.
fn kernel_out_of_memory() -> ! {
    console::print(format_args!(
        "unibeam: out of memory in the kernel; give the machine more memory\n"
    ));
    machine::dev::debug::write(b"@unibeam 0 exit kind=out-of-memory status=0\n");
    power::exit(Ending::OutOfMemory.code())
}

fn print_caller(address: u64) {
    let address = CodeAddress(address);
    console::print(format_args!("  called from {address}\n"));
}

/// Prints what another CPU was doing.
fn print_other_cpu(number: usize, place: StoppedAt) {
    match place {
        StoppedAt::Nowhere => console::print(format_args!("CPU {number} does not react\n")),
        StoppedAt::Ring3(address) => {
            console::print(format_args!("CPU {number} ran a process at {address:#x}\n"));
        }
        StoppedAt::Kernel { instruction, .. } => {
            let at = CodeAddress(instruction);
            console::print(format_args!("CPU {number} was at {at}\n"));
        }
    }
    place.callers(print_caller);
}

/// The kernel found a bug in itself: leaves an epitaph and ends the machine. Uses no memory and
/// no lock, and survives a second panic.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    /// Number of the CPU that panicked first, plus one.
    static DYING: AtomicUsize = AtomicUsize::new(0);
    // Before there are others, the CPU may not know its number yet.
    let own = match machine::cpu::count() {
        1 => 1,
        _ => machine::cpu::number() + 1,
    };
    let first = DYING.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed);
    if first.is_err_and(|dying| dying != own) {
        machine::cpu::halt_forever();
    }
    if allocation_failed(info) {
        kernel_out_of_memory();
    }
    if first.is_ok() {
        machine::cpu::stop_others();
        console::print(format_args!("\n{EPITAPH} {}\n", info.message()));
        if let Some(location) = info.location() {
            console::print(format_args!(
                "  at {}:{}\n",
                location.file(),
                location.line()
            ));
        }
        machine::cpu::backtrace(print_caller);
        machine::cpu::each_stopped(print_other_cpu);
        task::print_threads();
        machine::dev::debug::write(b"@unibeam 0 exit kind=panic status=0\n");
    }
    power::exit(Ending::Panic.code())
}
