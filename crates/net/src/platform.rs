//! What the stack asks of the machine it runs on.

/// An Ethernet device.
pub trait NetDevice: Send {
    /// The hardware address.
    fn mac(&self) -> [u8; 6];

    /// The largest IP packet in bytes that fits a frame (1500 for plain Ethernet).
    fn mtu(&self) -> usize;

    /// What may be left to the device.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Hands the parts of the next received frame (without checksum trailer) to `part`; the answer
    /// is whether the device vouches for its TCP or UDP checksum. `None` if there is no frame.
    fn receive(&mut self, part: &mut dyn FnMut(&[u8])) -> Option<bool>;

    /// Sends a frame of `len` bytes that `fill` writes, after doing what `fill` says; nothing needs
    /// to leave before [`flush`](Self::flush). `false`, without calling `fill`, when the device
    /// cannot take a frame now; the stack tries again at the next [`crate::NetStack::poll`].
    fn transmit(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]) -> Offload) -> bool;

    /// All frames that are to leave together have been handed over.
    fn flush(&mut self) {}
}

/// What a device can do with frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// It completes checksums of TCP and UDP.
    pub checksums: bool,
    /// It cuts TCP packets over IPv4, and over IPv6; such a device completes checksums.
    pub segments: [bool; 2],
    /// Bytes of the longest such packet, with all headers.
    pub longest: usize,
}

/// What a device has to do with a frame before it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Where to complete a checksum.
    pub checksum: Option<Checksum>,
    /// How to cut a TCP packet into segments; goes with a checksum.
    pub segments: Option<Segments>,
}

/// A checksum that holds the sum of the pseudo-header so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// From which byte of the frame it is formed.
    pub start: u16,
    /// Where it goes, counted from there.
    pub offset: u16,
}

/// A packet that is longer than a frame may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Whether it is IPv6 rather than IPv4.
    pub is_ipv6: bool,
    /// Bytes of all headers, which each segment gets.
    pub header: u16,
    /// Bytes of payload in each segment but the last.
    pub payload: u16,
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
