//! Interrupt lines and vectors: the I/O APICs where there are APICs, the 8259s where there are
//! none.
//!
//! A level-triggered line stays on until the device is told, which happens in the safe kernel,
//! later. So [`acknowledge`] masks such a line, and [`unmask`] opens it again once the device has
//! been served. The kernel runs with interrupts off whenever it calls anything here.

use alloc::vec::Vec;

use spin::{Mutex, Once};

use super::acpi::{Acpi, Madt, SourceOverride};
use super::apic::{IO_REGISTERS, Input, IoApic, LocalApic, SPURIOUS_VECTOR};
use super::mmio::Mmio;
use super::pic::{self, Pics};

/// First vector that devices use.
pub const FIRST_VECTOR: u8 = pic::VECTOR_BASE;
/// Last vector that devices use: the one before the local APIC's spurious vector.
pub const LAST_VECTOR: u8 = SPURIOUS_VECTOR - 2;
/// Vector of interrupts from other CPUs.
pub(crate) const WAKE_VECTOR: u8 = SPURIOUS_VECTOR - 1;
/// Vector of the timer: that of IRQ 0, which is the timer where there are no APICs.
pub(super) const TIMER_VECTOR: u8 = FIRST_VECTOR;

const VECTORS: usize = (LAST_VECTOR - FIRST_VECTOR) as usize + 1;
/// Where the I/O APIC is when no table tells (Intel 82093AA datasheet).
const DEFAULT_IO_APIC: u32 = 0xfec0_0000;

/// What an interrupt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irq {
    /// The timer of this CPU ran out.
    Timer,
    /// The serial port received something.
    Serial,
    /// The network card has something to say.
    Network,
    /// Another CPU wants this one to look around.
    Wake,
    /// Somebody pressed the power button, perhaps.
    PowerButton,
}

/// What raises a vector, and the line to mask meanwhile.
#[derive(Clone, Copy, Debug)]
struct Route {
    irq: Irq,
    level_line: Option<u32>,
}

enum Controller {
    Pic(Mutex<Pics>),
    Apic(Apic),
}

struct Apic {
    local: LocalApic,
    io: Mutex<Vec<IoApic<Mmio>>>,
    overrides: Vec<SourceOverride>,
}

static CONTROLLER: Once<Controller> = Once::new();
static ROUTES: Mutex<[Option<Route>; VECTORS]> = Mutex::new([None; VECTORS]);

/// Takes the controllers over; the boot CPU can take interrupts afterwards.
pub(super) fn init(acpi: Option<&Acpi>) {
    CONTROLLER.call_once(|| {
        let pics = Pics::new();
        match LocalApic::find() {
            Some(local) => {
                local.enable();
                Controller::Apic(Apic::new(local, acpi.and_then(|acpi| acpi.madt.as_ref())))
            }
            None => Controller::Pic(Mutex::new(pics)),
        }
    });
    set_route(
        TIMER_VECTOR,
        Route {
            irq: Irq::Timer,
            level_line: None,
        },
    );
    if let Some(Controller::Pic(pics)) = CONTROLLER.get() {
        pics.lock().unmask(0);
    }
}

/// Lets this CPU, not the boot CPU, take interrupts.
pub(crate) fn init_this_cpu() {
    if let Some(local) = local_apic() {
        local.enable();
    }
}

fn set_route(vector: u8, route: Route) {
    ROUTES.lock()[usize::from(vector - FIRST_VECTOR)] = Some(route);
}

impl Apic {
    fn new(local: LocalApic, madt: Option<&Madt>) -> Self {
        let listed = madt.map_or(&[][..], |madt| &madt.io_apics);
        let listed = listed.iter().map(|entry| (entry.address, entry.first_gsi));
        let default = madt.is_none().then_some((DEFAULT_IO_APIC, 0));
        let found = listed.chain(default).filter_map(|(address, first_gsi)| {
            // SAFETY: an I/O APIC, by the MADT or by the convention of all PCs that have APICs;
            // it can only raise interrupts, to vectors that this crate handles.
            let registers = unsafe { Mmio::map(address.into(), IO_REGISTERS) }?;
            IoApic::new(registers, first_gsi)
        });
        Self {
            local,
            io: Mutex::new(found.collect()),
            overrides: madt.map_or_else(default_overrides, |madt| madt.overrides.clone()),
        }
    }

    /// The input at which an ISA interrupt arrives. ISA lines are edge-triggered, active high;
    /// those that PCI devices use are not, and say so.
    fn isa_input(&self, irq: u8, level: bool) -> Input {
        let wired = self.overrides.iter().find(|entry| entry.irq == irq);
        Input {
            gsi: wired.map_or(irq.into(), |entry| entry.gsi),
            level: wired.and_then(|entry| entry.level).unwrap_or(level),
            active_low: wired.and_then(|entry| entry.active_low).unwrap_or(level),
        }
    }

    fn route(&self, input: Input, irq: Irq) -> Option<u8> {
        let mut apics = self.io.lock();
        let apic = apics.iter_mut().find(|apic| apic.has(input.gsi))?;
        let vector = allocate(irq, input.level.then_some(input.gsi))?;
        apic.route(input, vector, self.local.id());
        Some(vector)
    }

    fn set_masked(&self, gsi: u32, masked: bool) {
        let mut apics = self.io.lock();
        if let Some(apic) = apics.iter_mut().find(|apic| apic.has(gsi)) {
            apic.set_masked(gsi, masked);
        }
    }
}

/// On a PC without tables the timer's IRQ 0 is wired to input 2 (Intel MultiProcessor
/// Specification 1.4, §5.1).
fn default_overrides() -> Vec<SourceOverride> {
    alloc::vec![SourceOverride {
        irq: 0,
        gsi: 2,
        level: None,
        active_low: None
    }]
}

/// Assigns a free vector beyond those of the 8259s.
fn allocate(irq: Irq, level_line: Option<u32>) -> Option<u8> {
    let mut free = FIRST_VECTOR + pic::LINES..=LAST_VECTOR;
    let vector = free.find(|&vector| route(vector).is_none())?;
    set_route(vector, Route { irq, level_line });
    Some(vector)
}

/// Routes ISA interrupt `line` to a vector of the boot CPU and opens it. With `level` it is the
/// line of a PCI device. `None`: no such line.
pub(super) fn route_isa(line: u8, level: bool, irq: Irq) -> Option<u8> {
    if line >= pic::LINES {
        return None;
    }
    match CONTROLLER.get()? {
        Controller::Apic(apic) => apic.route(apic.isa_input(line, level), irq),
        Controller::Pic(pics) => {
            let mut pics = pics.lock();
            let level_line = (level || pics.is_level(line)).then_some(line.into());
            let vector = pic::VECTOR_BASE + line;
            set_route(vector, Route { irq, level_line });
            pics.unmask(line);
            Some(vector)
        }
    }
}

/// Routes an input of the I/O APICs (or, without them, an ISA line) that is level-triggered and
/// active high.
pub(super) fn route_input(gsi: u32, irq: Irq) -> Option<u8> {
    match CONTROLLER.get()? {
        Controller::Apic(apic) => apic.route(
            Input {
                gsi,
                level: true,
                active_low: false,
            },
            irq,
        ),
        Controller::Pic(_) => route_isa(u8::try_from(gsi).ok()?, true, irq),
    }
}

/// A vector for message-signalled interrupts, with the identifier of the boot CPU's local APIC;
/// `None` where there are no APICs.
pub(super) fn message_vector(irq: Irq) -> Option<(u8, u32)> {
    match CONTROLLER.get()? {
        Controller::Apic(apic) => Some((allocate(irq, None)?, apic.local.id())),
        Controller::Pic(_) => None,
    }
}

/// What raises `vector`; `None` for vectors that no device uses.
pub fn source(vector: u8) -> Option<Irq> {
    match vector {
        TIMER_VECTOR => Some(Irq::Timer),
        WAKE_VECTOR => Some(Irq::Wake),
        _ => route(vector).map(|route| route.irq),
    }
}

fn route(vector: u8) -> Option<Route> {
    let index = vector.checked_sub(FIRST_VECTOR)?;
    *ROUTES.lock().get(usize::from(index))?
}

/// Ends an interrupt at the controller; to be called for each one taken, with interrupts off.
/// False when it was spurious and means nothing.
pub(crate) fn acknowledge(vector: u8) -> bool {
    // Those of the CPU itself have no line; they are frequent, so no lock is taken for them.
    let line = match vector {
        TIMER_VECTOR | WAKE_VECTOR => None,
        _ => route(vector).and_then(|route| route.level_line),
    };
    match CONTROLLER.get() {
        Some(Controller::Apic(apic)) if vector != SPURIOUS_VECTOR => {
            if let Some(gsi) = line {
                apic.set_masked(gsi, true);
            }
            apic.local.end_of_interrupt();
            true
        }
        Some(Controller::Pic(pics)) if vector < pic::VECTOR_BASE + pic::LINES => {
            let mut pics = pics.lock();
            let irq = vector - pic::VECTOR_BASE;
            if line.is_some() {
                pics.mask(irq);
            }
            pics.end(irq)
        }
        _ => false,
    }
}

/// Opens the line of `vector` again, after its device has been served.
pub(super) fn unmask(vector: u8) {
    let Some(line) = route(vector).and_then(|route| route.level_line) else {
        return;
    };
    match CONTROLLER.get() {
        Some(Controller::Apic(apic)) => apic.set_masked(line, false),
        Some(Controller::Pic(pics)) => pics.lock().unmask(line as u8),
        None => {}
    }
}

/// This CPU's local APIC; `None` where there are none.
pub(crate) fn local_apic() -> Option<&'static LocalApic> {
    match CONTROLLER.get()? {
        Controller::Apic(apic) => Some(&apic.local),
        Controller::Pic(_) => None,
    }
}

/// Whether the APICs are in charge: a word for the log.
pub fn controller_name() -> &'static str {
    match CONTROLLER.get() {
        Some(Controller::Apic(Apic {
            local: LocalApic::X2Apic,
            ..
        })) => "x2apic",
        Some(Controller::Apic(_)) => "apic",
        Some(Controller::Pic(_)) => "pic",
        None => "none",
    }
}
