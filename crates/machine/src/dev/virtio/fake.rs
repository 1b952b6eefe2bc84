//! A virtio device for tests, stricter than real ones: it touches nothing but memory that the driver
//! allocated for devices, and nothing of that once it is given back.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::rc::Rc;

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Error, Hal, PAGE_SIZE, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::ring::EVENT_IDX;

thread_local! {
    /// Memory for devices: sizes by address.
    static ALLOCATED: RefCell<BTreeMap<PhysAddr, usize>> = const { RefCell::new(BTreeMap::new()) };
}

/// Bytes that drivers have allocated for devices.
pub(super) fn allocated() -> usize {
    ALLOCATED.with_borrow(|pieces| pieces.values().sum())
}

fn check(address: u64, length: usize) {
    ALLOCATED.with_borrow(|pieces| {
        let piece = pieces.range(..=address).next_back();
        let inside =
            piece.is_some_and(|(start, size)| address + length as u64 <= start + *size as u64);
        assert!(
            inside,
            "the device may not touch {length} bytes at {address:#x}"
        );
    });
}

/// Memory of the host; "physical" addresses are its own.
pub(super) struct FakeHal;

fn pages_layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).unwrap()
}

// SAFETY: memory of the host's allocator, zeroed and aligned to pages.
unsafe impl Hal for FakeHal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // SAFETY: the layout is not empty.
        let memory = NonNull::new(unsafe { alloc_zeroed(pages_layout(pages)) }).unwrap();
        let paddr = memory.addr().get() as PhysAddr;
        ALLOCATED.with_borrow_mut(|pieces| pieces.insert(paddr, pages * PAGE_SIZE));
        (paddr, memory)
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, memory: NonNull<u8>, pages: usize) -> i32 {
        assert_eq!(paddr, memory.addr().get() as PhysAddr);
        let size = ALLOCATED.with_borrow_mut(|pieces| pieces.remove(&paddr));
        assert_eq!(size, Some(pages * PAGE_SIZE));
        // SAFETY: allocated by `dma_alloc` with the same layout.
        unsafe { dealloc(memory.as_ptr(), pages_layout(pages)) };
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        panic!("the drivers map nothing")
    }

    unsafe fn share(_: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        panic!("the drivers share nothing but what they allocated for it")
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

/// Where the driver put one queue.
#[derive(Clone, Copy, Default)]
struct Queue {
    size: usize,
    descriptors: u64,
    driver: u64,
    device: u64,
    next: u16,
    used: u16,
}

/// State of the device, shared between the driver's transport and the test.
#[derive(Default)]
pub(super) struct Device {
    features: u64,
    pub(super) accepted: u64,
    config: Vec<u8>,
    pub(super) status: DeviceStatus,
    pub(super) notified: Vec<u16>,
    queues: [Queue; 2],
}

/// A buffer chain that the driver offered: its head, and (address, length, device writes).
pub(super) type Chain = (u16, Vec<(u64, usize, bool)>);

impl Device {
    /// A device that offers these features and has this configuration.
    pub(super) fn new(features: u64, config: Vec<u8>) -> Self {
        Self {
            features,
            config,
            ..Self::default()
        }
    }

    fn read<T: Copy>(address: u64) -> T {
        check(address, size_of::<T>());
        // SAFETY: memory that the driver allocated, as was just checked.
        unsafe { (address as *const T).read_unaligned() }
    }

    fn write<T>(address: u64, value: T) {
        check(address, size_of::<T>());
        // SAFETY: as in `read`.
        unsafe { (address as *mut T).write_unaligned(value) }
    }

    /// The next chain that the driver offered.
    pub(super) fn take(&mut self, index: usize) -> Option<Chain> {
        let queue = &mut self.queues[index];
        if queue.next == Self::read::<u16>(queue.driver + 2) {
            return None;
        }
        let slot = usize::from(queue.next) % queue.size;
        let head: u16 = Self::read(queue.driver + 4 + 2 * slot as u64);
        queue.next = queue.next.wrapping_add(1);
        let (mut chain, mut at) = (Vec::new(), head);
        loop {
            let descriptor = queue.descriptors + 16 * u64::from(at);
            let flags: u16 = Self::read(descriptor + 12);
            let length: u32 = Self::read(descriptor + 8);
            chain.push((Self::read(descriptor), length as usize, flags & 2 != 0));
            if flags & 1 == 0 {
                return Some((head, chain));
            }
            at = Self::read(descriptor + 14);
        }
    }

    /// Whether the driver wants an interrupt for the next used buffer.
    pub(super) fn may_interrupt(&self, index: usize) -> bool {
        let queue = &self.queues[index];
        if self.accepted & EVENT_IDX == 0 {
            return Self::read::<u16>(queue.driver) & 1 == 0;
        }
        let event: u16 = Self::read(queue.driver + 4 + 2 * queue.size as u64);
        event == queue.used
    }

    /// From now on the device wants to be notified, or not.
    pub(super) fn want_notifications(&mut self, index: usize, wanted: bool) {
        let queue = &self.queues[index];
        if self.accepted & EVENT_IDX == 0 {
            return Self::write(queue.device, u16::from(!wanted));
        }
        let event = if wanted {
            queue.next
        } else {
            queue.next.wrapping_sub(1)
        };
        Self::write(queue.device + 4 + 8 * queue.size as u64, event);
    }

    /// Gives a chain back, of which `length` bytes are used.
    pub(super) fn give_back(&mut self, index: usize, head: u16, length: u32) {
        let queue = &mut self.queues[index];
        let slot = usize::from(queue.used) % queue.size;
        let entry = queue.device + 4 + 8 * slot as u64;
        Self::write(entry, u32::from(head));
        Self::write(entry + 4, length);
        queue.used = queue.used.wrapping_add(1);
        Self::write(queue.device + 2, queue.used);
    }

    /// Bytes that a readable chain holds.
    pub(super) fn gather(chain: &Chain) -> Vec<u8> {
        let parts = chain.1.iter().flat_map(|&(address, length, writable)| {
            assert!(!writable);
            (0..length as u64).map(move |offset| Self::read(address + offset))
        });
        parts.collect()
    }

    /// Writes `bytes` to the parts of a writable chain; what does not fit is returned.
    pub(super) fn scatter<'b>(chain: &Chain, mut bytes: &'b [u8]) -> &'b [u8] {
        for &(address, length, writable) in &chain.1 {
            assert!(writable);
            let (now, later) = bytes.split_at(length.min(bytes.len()));
            for (offset, &byte) in now.iter().enumerate() {
                Self::write(address + offset as u64, byte);
            }
            bytes = later;
        }
        bytes
    }
}

/// The driver's side of a [`Device`].
pub(super) struct FakeTransport {
    pub(super) device: Rc<RefCell<Device>>,
    pub(super) queue_size: u32,
    pub(super) is_legacy: bool,
}

impl Transport for FakeTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        self.device.borrow().features
    }

    fn write_driver_features(&mut self, features: u64) {
        self.device.borrow_mut().accepted = features;
    }

    fn max_queue_size(&mut self, _: u16) -> u32 {
        self.queue_size
    }

    fn notify(&mut self, queue: u16) {
        self.device.borrow_mut().notified.push(queue);
    }

    fn get_status(&self) -> DeviceStatus {
        self.device.borrow().status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.device.borrow_mut().status = status;
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        self.is_legacy
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        desc: PhysAddr,
        driver: PhysAddr,
        dev: PhysAddr,
    ) {
        if self.is_legacy && size != self.queue_size {
            return;
        }
        self.device.borrow_mut().queues[usize::from(queue)] = Queue {
            size: size as usize,
            descriptors: desc,
            driver,
            device: dev,
            ..Queue::default()
        };
    }

    fn queue_unset(&mut self, queue: u16) {
        self.device.borrow_mut().queues[usize::from(queue)] = Queue::default();
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.device.borrow().queues[usize::from(queue)].size != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        0
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let device = self.device.borrow();
        let bytes = device.config.get(offset..offset + size_of::<T>());
        T::read_from_bytes(bytes.ok_or(Error::ConfigSpaceTooSmall)?)
            .map_err(|_| Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> Result<()> {
        Err(Error::Unsupported)
    }
}
