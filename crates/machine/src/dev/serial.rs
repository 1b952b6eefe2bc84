//! The first serial port, a 16550 (National Semiconductor PC16550D): the console of every machine
//! we boot on.
//!
//! CPUs take turns, but none waits for good, so that a dying kernel can always write. A machine
//! without the port loses the output and nothing else; where nobody takes the output, a first wait
//! is bounded, and until the port sends again what is written is lost without any.

use core::sync::atomic::{AtomicBool, Ordering};

use super::instructions::pause;
use super::io::Ports;
use super::registers::Registers;
use super::turns::Turns;

// SAFETY: 0x3f8..0x400 is COM1 on every PC; a UART has no access to memory.
static COM1: Uart<Ports> = Uart::new(unsafe { Ports::new(0x3f8, 8) });

/// Whose turn it is to send.
static TURNS: Turns = Turns::new();

/// The ISA interrupt of the port.
pub(super) const ISA_INTERRUPT: u8 = 4;

// Registers, as offsets.
const DATA: usize = 0;
const INTERRUPT_ENABLE: usize = 1;
const FIFO_CONTROL: usize = 2;
const LINE_CONTROL: usize = 3;
const MODEM_CONTROL: usize = 4;
const LINE_STATUS: usize = 5;

const DIVISOR_LATCH: u8 = 0x80;
const EIGHT_BITS_NO_PARITY: u8 = 0x03;
/// Enable and clear both FIFOs, interrupt at one byte received.
const FIFOS_ON: u8 = 0x07;
/// DTR, RTS and OUT2 (which lets the interrupt line through).
const READY: u8 = 0x0b;
const RECEIVED_INTERRUPT: u8 = 0x01;
const DATA_READY: u8 = 0x01;
const TRANSMITTER_EMPTY: u8 = 0x20;
/// Bytes in the transmit FIFO.
const FIFO_SIZE: usize = 16;
/// Reads of the line status before giving up. Sending 16 bytes at 115,200 baud takes 1.4 ms; a
/// read of a port takes about a microsecond.
const PATIENCE: u32 = 50_000;

/// Sets the port to 115,200 baud, eight bits, no parity, one stop bit, without interrupts.
pub fn init() {
    COM1.init();
}

/// Sends bytes; gives up on what a stuck or missing port does not take. Works before [`init`],
/// too, at whatever speed firmware left.
pub fn write(bytes: &[u8]) {
    if COM1.is_there() {
        TURNS.take(|| COM1.write(bytes));
    }
}

/// The next received byte, if there is one.
pub fn receive() -> Option<u8> {
    COM1.receive()
}

/// Lets the port raise its interrupt (`Irq::Serial`) when bytes arrive. The line is an edge: read
/// with [`receive`] until it returns `None`, or no further interrupt comes.
pub fn set_receive_interrupt(enabled: bool) {
    COM1.set_receive_interrupt(enabled);
}

struct Uart<R> {
    registers: R,
    /// The port took nothing for as long as anyone may wait.
    stuck: AtomicBool,
}

impl<R> Uart<R> {
    const fn new(registers: R) -> Self {
        Self {
            registers,
            stuck: AtomicBool::new(false),
        }
    }
}

impl<R: Registers> Uart<R> {
    fn init(&self) {
        self.registers.write8(INTERRUPT_ENABLE, 0);
        self.registers.write8(LINE_CONTROL, DIVISOR_LATCH);
        self.registers.write8(DATA, 1); // divisor 1: 115,200 baud
        self.registers.write8(INTERRUPT_ENABLE, 0); // high byte of the divisor
        self.registers.write8(LINE_CONTROL, EIGHT_BITS_NO_PARITY);
        self.registers.write8(FIFO_CONTROL, FIFOS_ON);
        self.registers.write8(MODEM_CONTROL, READY);
    }

    /// Whether a port answers: without one every register reads 0xff.
    fn is_there(&self) -> bool {
        self.registers.read8(LINE_STATUS) != 0xff
    }

    fn write(&self, bytes: &[u8]) {
        for chunk in bytes.chunks(FIFO_SIZE) {
            if !self.wait_until_empty() {
                return;
            }
            for &byte in chunk {
                self.registers.write8(DATA, byte);
            }
        }
    }

    fn wait_until_empty(&self) -> bool {
        let patience = if self.stuck.load(Ordering::Relaxed) {
            1
        } else {
            PATIENCE
        };
        for _ in 0..patience {
            if self.registers.read8(LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
                self.stuck.store(false, Ordering::Relaxed);
                return true;
            }
            pause();
        }
        self.stuck.store(true, Ordering::Relaxed);
        false
    }

    fn receive(&self) -> Option<u8> {
        let ready = self.is_there() && self.registers.read8(LINE_STATUS) & DATA_READY != 0;
        ready.then(|| self.registers.read8(DATA))
    }

    fn set_receive_interrupt(&self, enabled: bool) {
        self.registers.write8(
            INTERRUPT_ENABLE,
            if enabled { RECEIVED_INTERRUPT } else { 0 },
        );
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;

    use super::super::registers::fake::FakeRegisters;
    use super::{DATA, LINE_STATUS, TRANSMITTER_EMPTY, Uart};

    fn sent(uart: &Uart<FakeRegisters>) -> Vec<u8> {
        let writes = uart.registers.writes();
        writes
            .iter()
            .filter(|w| w.0 == DATA)
            .map(|w| w.2 as u8)
            .collect()
    }

    #[test]
    fn sets_115200_8n1() {
        let uart = Uart::new(FakeRegisters::new(8));
        uart.init();
        let writes = uart.registers.writes();
        let line = [
            (3, 1, 0x80),
            (0, 1, 1),
            (1, 1, 0),
            (3, 1, 3),
            (2, 1, 7),
            (4, 1, 0x0b),
        ];
        assert_eq!(writes[1..], line);
    }

    #[test]
    fn sends_in_order_when_ready() {
        let uart = Uart::new(FakeRegisters::new(8));
        uart.registers.set(LINE_STATUS, &[TRANSMITTER_EMPTY]);
        uart.write(b"a line that is longer than one FIFO\n");
        assert_eq!(sent(&uart), b"a line that is longer than one FIFO\n");
    }

    #[test]
    fn gives_up_on_a_stuck_port_until_it_sends_again() {
        let uart = Uart::new(FakeRegisters::new(8));
        uart.write(b"lost");
        assert!(uart.stuck.load(Ordering::Relaxed));
        assert_eq!(sent(&uart), b"");
        uart.registers.set(LINE_STATUS, &[TRANSMITTER_EMPTY]);
        uart.write(b"sent");
        assert_eq!(sent(&uart), b"sent");
        assert!(!uart.stuck.load(Ordering::Relaxed));
    }

    #[test]
    fn a_missing_port_receives_nothing() {
        let uart = Uart::new(FakeRegisters::new(8));
        uart.registers.set(0, &[0xff; 8]);
        assert_eq!(uart.receive(), None);
        uart.registers.set(0, &[b'x', 0, 0, 0, 0, 0x61]);
        assert_eq!(uart.receive(), Some(b'x'));
    }
}
