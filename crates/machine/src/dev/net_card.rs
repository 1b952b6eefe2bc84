//! The network card as the safe kernel sees it.

use super::interrupt::{Irq, unmask};
use super::virtio::probe::{Signal, connect};
use super::virtio::{AnyTransport, Found, KernelHal, Net};

/// A network card. Frames are Ethernet frames without checksum.
pub struct NetCard {
    driver: Net<KernelHal, AnyTransport>,
    signal: Signal,
}

const _: () = {
    const fn moves_between_cpus<T: Send>() {}
    moves_between_cpus::<NetCard>();
};

impl NetCard {
    pub(super) fn start(found: Found) -> Result<Self, virtio_drivers::Error> {
        let mut signal = Signal::Polled;
        let driver = Net::new(found.transport, |transport| {
            signal = connect(transport, found.wire, Irq::Network);
        })?;
        Ok(Self { driver, signal })
    }

    /// Hardware address.
    pub fn mac(&self) -> [u8; 6] {
        self.driver.mac()
    }

    /// Largest payload of a frame in bytes, at most 1500.
    pub fn mtu(&self) -> usize {
        self.driver.mtu()
    }

    /// Whether the card interrupts ([`Irq::Network`]); otherwise it must be polled.
    pub fn has_interrupt(&self) -> bool {
        self.signal != Signal::Polled
    }

    /// How the card interrupts: a word for the log.
    pub fn interrupt_name(&self) -> &'static str {
        match self.signal {
            Signal::Messages => "msi-x",
            Signal::Line(_) => "line",
            Signal::Polled => "none",
        }
    }

    /// Passes the next received frame to `consume`, in place; false when there is none.
    pub fn receive(&mut self, consume: impl FnOnce(&[u8])) -> bool {
        self.driver.receive(consume)
    }

    /// Has `fill` write a frame of `length` bytes, in place, and sends it. False when no buffer is
    /// free (an interrupt comes when one is) or the frame is longer than the card takes; `fill` is
    /// not called then. `fill` must write all bytes: they hold an older frame.
    pub fn transmit(&mut self, length: usize, fill: impl FnOnce(&mut [u8])) -> bool {
        self.driver.transmit(length, fill)
    }

    /// Whether [`transmit`](Self::transmit) would find a buffer.
    pub fn can_transmit(&mut self) -> bool {
        self.driver.can_transmit()
    }

    /// To be called once for each [`Irq::Network`], before looking for frames: tells the card that
    /// its interrupt has been seen, and lets the next one through.
    pub fn acknowledge_interrupt(&mut self) {
        if let Signal::Line(vector) = self.signal {
            self.driver.acknowledge_interrupt();
            unmask(vector);
        }
    }

    /// Lets the card interrupt for received frames, or not. Frames that are already there when
    /// interrupts are turned on raise none: look for them once more.
    pub fn set_interrupts_enabled(&mut self, enabled: bool) {
        self.driver.set_interrupts_enabled(enabled);
    }
}
