//! The network of one machine.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering, fence};

use linux_abi::Errno;
use linux_abi::raw::net as uapi;
use spin::Mutex;
use vfs::{File, WaitQueue};

use crate::address::Family;
use crate::core::Core;
use crate::netlink::socket::NetlinkSocket;
use crate::readiness::Readiness;
use crate::tcp::socket::TcpSocket;
use crate::udp::socket::UdpSocket;
use crate::{Config, NetDevice, NetworkStatus, Platform};

/// The netlink protocol for interfaces and routes.
const NETLINK_ROUTE: i32 = linux_abi::raw::netlink::NETLINK_ROUTE as i32;
/// Flags that socket(2) takes with the type; they are the descriptor's business.
const SOCKET_TYPE_FLAGS: u32 = 0o2_004_000;

/// How much was done and is held, for tests and diagnosis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames taken in, including those from ourselves.
    pub frames: u64,
    /// Times a single TCP connection was handed to smoltcp.
    pub connection_polls: u64,
    /// TCP sockets, with and without descriptor.
    pub tcp_sockets: usize,
    /// TCP connections, with and without descriptor.
    pub tcp_connections: usize,
    /// TCP connections without descriptor.
    pub tcp_orphans: usize,
    /// Ended connections whose addresses are still reserved.
    pub time_wait: usize,
    /// Bytes of TCP buffers.
    pub tcp_memory: usize,
    /// Local TCP ports in use.
    pub tcp_ports: usize,
    /// UDP sockets.
    pub udp_sockets: usize,
    /// Local UDP ports in use.
    pub udp_ports: usize,
}

/// The network of one machine: interfaces, addresses and sockets. See the crate's documentation
/// for the lock order.
pub struct NetStack {
    core: Mutex<Core>,
    status_readiness: Arc<Readiness>,
    /// [`poll`](Self::poll) was called while the lock was taken.
    poll_due: AtomicBool,
}

impl NetStack {
    /// Starts the network; without a device only the loopback interface exists.
    pub fn new(
        device: Option<Box<dyn NetDevice>>,
        platform: Arc<dyn Platform>,
        config: Config,
    ) -> Arc<Self> {
        let core = Core::new(device, platform, config);
        let stack = Arc::new(Self {
            status_readiness: core.status_readiness.clone(),
            core: Mutex::new(core),
            poll_due: AtomicBool::new(false),
        });
        stack.poll();
        stack
    }

    /// Takes in received frames and does what is due. Called when the device interrupts and at
    /// the [`Platform::set_deadline`] time; never waits for the lock.
    pub fn poll(&self) {
        self.poll_due.store(true, Ordering::SeqCst);
        self.poll_if_due();
    }

    /// Creates a socket: TCP or UDP of `AF_INET` and `AF_INET6`, or a routing netlink socket.
    ///
    /// # Errors
    /// As socket(2): `EAFNOSUPPORT`, `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`.
    pub fn socket(
        self: &Arc<Self>,
        domain: i32,
        kind: i32,
        protocol: i32,
    ) -> Result<Arc<dyn File>, Errno> {
        let family = match domain as u32 {
            uapi::AF_INET => Family::Inet,
            uapi::AF_INET6 => Family::Inet6,
            uapi::AF_NETLINK => return self.netlink_socket(kind, protocol),
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        match (kind as u32 & !SOCKET_TYPE_FLAGS, protocol) {
            (uapi::SOCK_STREAM, 0 | crate::options::SOL_TCP) => TcpSocket::create(self, family),
            (uapi::SOCK_DGRAM, 0 | crate::options::SOL_UDP) => UdpSocket::create(self, family),
            (uapi::SOCK_STREAM | uapi::SOCK_DGRAM, _) => Err(Errno::EPROTONOSUPPORT),
            _ => Err(Errno::ESOCKTNOSUPPORT),
        }
    }

    fn netlink_socket(self: &Arc<Self>, kind: i32, protocol: i32) -> Result<Arc<dyn File>, Errno> {
        match (kind as u32 & !SOCKET_TYPE_FLAGS, protocol) {
            (kind @ (uapi::SOCK_RAW | uapi::SOCK_DGRAM), NETLINK_ROUTE) => {
                Ok(NetlinkSocket::create(self, kind))
            }
            (uapi::SOCK_RAW | uapi::SOCK_DGRAM, _) => Err(Errno::EPROTONOSUPPORT),
            _ => Err(Errno::ESOCKTNOSUPPORT),
        }
    }

    /// The Ethernet interface's current configuration.
    pub fn status(&self) -> NetworkStatus {
        self.look(|core| core.status.clone())
    }

    /// Woken with [`vfs::Events::IN`] whenever [`status`](Self::status) changes.
    pub fn status_queue(&self) -> &WaitQueue {
        self.status_readiness.queue()
    }

    /// How much was done and is held.
    pub fn counters(&self) -> Counters {
        self.look(|core| Counters {
            tcp_sockets: core.tcp.blocks.len(),
            tcp_connections: core.tcp.flows.len(),
            tcp_orphans: core.tcp.orphans,
            time_wait: core.tcp.time_wait.len(),
            tcp_memory: core.tcp.memory,
            tcp_ports: core.tcp.ports.len(),
            udp_sockets: core.udp.sockets.len(),
            udp_ports: core.udp.ports.len(),
            ..core.counters
        })
    }

    /// Does `work` on the state and everything that follows from it: sending, the next deadline,
    /// and, once the lock is released, wake-ups.
    pub(crate) fn enter<R>(&self, work: impl FnOnce(&mut Core) -> R) -> R {
        let (result, wakes) = {
            let mut core = self.core.lock();
            core.update_clock();
            let result = work(&mut core);
            core.settle();
            core.finish();
            (result, core.wakes.take())
        };
        wakes.deliver();
        self.poll_if_due();
        result
    }

    /// Looks at the state without changing it.
    pub(crate) fn look<R>(&self, read: impl FnOnce(&Core) -> R) -> R {
        let result = read(&self.core.lock());
        self.poll_if_due();
        result
    }

    /// Polls on behalf of whoever called [`poll`](Self::poll) while the lock was taken.
    fn poll_if_due(&self) {
        // The lock is released before this looks: whoever then finds it taken leaves the work to
        // a later holder.
        fence(Ordering::SeqCst);
        while self.poll_due.load(Ordering::SeqCst) {
            let Some(mut core) = self.core.try_lock() else {
                return;
            };
            self.poll_due.store(false, Ordering::SeqCst);
            core.update_clock();
            core.poll();
            core.settle();
            core.finish();
            let wakes = core.wakes.take();
            drop(core);
            wakes.deliver();
            fence(Ordering::SeqCst);
        }
    }
}
