//! What the stack asks of the machine it runs on.

/// An Ethernet device.
pub trait NetDevice: Send {
    /// The hardware address.
    fn mac(&self) -> [u8; 6];

    /// The largest IP packet in bytes that fits a frame (1500 for plain Ethernet).
    fn mtu(&self) -> usize;

    /// Hands the next received frame (without checksum trailer) to `f`; `false` if there is none.
    fn receive(&mut self, f: &mut dyn FnMut(&[u8])) -> bool;

    /// Sends a frame of `len` bytes that `fill` writes. `false`, without calling `fill`, when the
    /// device cannot take a frame now; the stack tries again at the next [`crate::NetStack::poll`].
    fn transmit(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8])) -> bool;

    /// Whether the device vouches for the TCP and UDP checksums of the frames it delivers.
    fn verifies_checksums(&self) -> bool {
        false
    }
}

/// Clock, randomness and timer. Called with the stack's lock held: must not call back.
pub trait Platform: Send + Sync {
    /// Microseconds since some fixed point; never goes back.
    fn now_micros(&self) -> u64;

    /// Microseconds since 1970, for programs that ask when a datagram came; may be set back.
    fn wall_micros(&self) -> u64;

    /// An unpredictable number.
    fn random_u32(&self) -> u32;

    /// Asks for [`crate::NetStack::poll`] at that time (in [`now_micros`](Self::now_micros) terms);
    /// replaces the request before. `None`: no timer is needed. A call up to a millisecond early
    /// does no harm; the request is repeated then.
    fn set_deadline(&self, at_micros: Option<u64>);
}
