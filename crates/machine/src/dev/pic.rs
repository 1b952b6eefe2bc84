//! The two 8259 interrupt controllers (Intel 8259A datasheet): silenced where there are APICs, in
//! charge where there are none.

use super::io::Ports;
use super::registers::Registers;

/// Vector of IRQ 0; sixteen follow. Without this the first eight would look like CPU exceptions.
pub(super) const VECTOR_BASE: u8 = 0x20;
/// Number of interrupt lines.
pub(super) const LINES: u8 = 16;

// SAFETY: the controllers and the edge/level registers of every PC; none has access to memory.
const MASTER: Ports = unsafe { Ports::new(0x20, 2) };
// SAFETY: as above.
const SLAVE: Ports = unsafe { Ports::new(0xa0, 2) };
// SAFETY: as above (Intel PIIX datasheet, ELCR1 and ELCR2).
const EDGE_LEVEL: Ports = unsafe { Ports::new(0x4d0, 2) };

const COMMAND: usize = 0;
const DATA: usize = 1;

/// ICW1: initialise, cascaded, ICW4 follows.
const INITIALISE: u8 = 0x11;
/// ICW4: 8086 mode.
const MODE_8086: u8 = 0x01;
/// IRQ of the master at which the slave hangs.
const CASCADE: u8 = 2;
/// OCW2: non-specific end of interrupt.
const END_OF_INTERRUPT: u8 = 0x20;
/// OCW3: the next read gives the in-service register.
const READ_IN_SERVICE: u8 = 0x0b;

/// Both controllers.
pub(super) struct Pics<R = Ports> {
    master: R,
    slave: R,
    edge_level: R,
    masked: u16,
}

impl Pics {
    /// Takes the controllers over: vectors set, all lines masked.
    pub(super) fn new() -> Self {
        Self::start(MASTER, SLAVE, EDGE_LEVEL)
    }
}

impl<R: Registers> Pics<R> {
    fn start(master: R, slave: R, edge_level: R) -> Self {
        for (chip, base, wiring) in [
            (&master, VECTOR_BASE, 1 << CASCADE),
            (&slave, VECTOR_BASE + 8, CASCADE),
        ] {
            chip.write8(COMMAND, INITIALISE);
            chip.write8(DATA, base);
            chip.write8(DATA, wiring);
            chip.write8(DATA, MODE_8086);
        }
        let mut pics = Self {
            master,
            slave,
            edge_level,
            masked: 0,
        };
        pics.set_masks(!(1 << CASCADE));
        pics
    }

    fn set_masks(&mut self, masked: u16) {
        self.masked = masked;
        self.master.write8(DATA, masked as u8);
        self.slave.write8(DATA, (masked >> 8) as u8);
    }

    /// Lets a line interrupt.
    pub(super) fn unmask(&mut self, irq: u8) {
        self.set_masks(self.masked & !(1 << irq));
    }

    /// Keeps a line from interrupting.
    pub(super) fn mask(&mut self, irq: u8) {
        self.set_masks(self.masked | 1 << irq);
    }

    /// Whether firmware set a line up as level-triggered.
    pub(super) fn is_level(&self, irq: u8) -> bool {
        let bits = [self.edge_level.read8(0), self.edge_level.read8(1)];
        u16::from_le_bytes(bits) >> irq & 1 != 0
    }

    /// Ends an interrupt; false when it was spurious (a line that fell silent too early shows up
    /// as the lowest-priority line of its controller without being in service).
    pub(super) fn end(&mut self, irq: u8) -> bool {
        let real = irq & 7 != 7 || self.in_service(irq);
        if irq >= 8 {
            if real {
                self.slave.write8(COMMAND, END_OF_INTERRUPT);
            }
            self.master.write8(COMMAND, END_OF_INTERRUPT);
        } else if real {
            self.master.write8(COMMAND, END_OF_INTERRUPT);
        }
        real
    }

    fn in_service(&self, irq: u8) -> bool {
        let chip = if irq < 8 { &self.master } else { &self.slave };
        chip.write8(COMMAND, READ_IN_SERVICE);
        chip.read8(COMMAND) >> (irq & 7) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::registers::fake::FakeRegisters;
    use super::{COMMAND, Pics};

    fn started() -> Pics<FakeRegisters> {
        Pics::start(
            FakeRegisters::new(2),
            FakeRegisters::new(2),
            FakeRegisters::new(2),
        )
    }

    #[test]
    fn starts_with_vectors_set_and_lines_masked() {
        let pics = started();
        let chip = |base, wiring, mask| {
            [
                (0, 1, 0x11),
                (1, 1, base),
                (1, 1, wiring),
                (1, 1, 1),
                (1, 1, mask),
            ]
        };
        assert_eq!(pics.master.writes(), chip(0x20, 4, 0xfb));
        assert_eq!(pics.slave.writes(), chip(0x28, 2, 0xff));
    }

    #[test]
    fn masks_one_line_at_a_time() {
        let mut pics = started();
        pics.unmask(4);
        pics.unmask(11);
        pics.mask(4);
        assert_eq!(pics.master.writes().last(), Some(&(1, 1, 0xfb)));
        assert_eq!(pics.slave.writes().last(), Some(&(1, 1, 0xf7)));
    }

    #[test]
    fn ends_at_both_controllers() {
        let mut pics = started();
        pics.master.writes();
        pics.slave.writes();
        assert!(pics.end(11));
        assert_eq!(pics.master.writes(), [(0, 1, 0x20)]);
        assert_eq!(pics.slave.writes(), [(0, 1, 0x20)]);
    }

    #[test]
    fn a_spurious_interrupt_of_the_slave_ends_at_the_master_only() {
        let mut pics = started();
        pics.master.writes();
        pics.slave.writes();
        assert!(!pics.end(15));
        assert_eq!(pics.slave.writes(), [(0, 1, 0x0b)]);
        assert_eq!(pics.master.writes(), [(0, 1, 0x20)]);
    }

    #[test]
    fn reads_the_trigger_of_a_line() {
        let pics = started();
        pics.edge_level.set(COMMAND, &[0x20, 0x0c]);
        let level = [5, 9, 10, 11].map(|irq| pics.is_level(irq));
        assert_eq!(level, [true, false, true, true]);
    }
}
