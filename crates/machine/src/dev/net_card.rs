//! The network card as the safe kernel sees it.

use super::interrupt::{Irq, unmask};
use super::virtio::probe::{Signal, connect};
use super::virtio::{Abilities, AnyTransport, Found, KernelHal, Net, Offload};

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

    /// What may be left to the card.
    pub fn abilities(&self) -> Abilities {
        self.driver.abilities()
    }

    /// Passes the parts of the next received packet to `part`, in place; the answer is whether its
    /// checksums are known to be right. `None` when there is no packet; an interrupt comes when
    /// there is.
    pub fn receive(&mut self, part: impl FnMut(&[u8])) -> Option<bool> {
        self.driver.receive(part)
    }

    /// Has `fill` write a frame of `length` bytes, in place, and say what the card has to do with
    /// it; [`flush`](Self::flush) sends it. False when no buffer is free (an interrupt comes when
    /// one is) or the frame is longer than the card takes; `fill` is not called then. `fill` must
    /// write all bytes: they hold an older frame.
    pub fn transmit(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> Offload) -> bool {
        self.driver.transmit(length, fill)
    }

    /// Tells the card of all frames since the last time, and of the buffers that are free again.
    pub fn flush(&mut self) {
        self.driver.flush();
    }

    /// To be called once for each [`Irq::Network`], before looking for frames: tells the card that
    /// its interrupt has been seen, and lets the next one through.
    pub fn acknowledge_interrupt(&mut self) {
        if let Signal::Line(vector) = self.signal {
            self.driver.acknowledge_interrupt();
            unmask(vector);
        }
    }
}
