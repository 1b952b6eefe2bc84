//! The network stack on this machine's card, clock and timer.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::IpAddr;

use boot_contract::events;
use machine::dev::{self, NetCard};
use net::{Abilities, Config, NetDevice, NetStack, Offload, Platform};
use spin::{Mutex, Once};
use vfs::{Events, Waiter};

use crate::timers::{self, Alarm, TimerId};
use crate::{clock, console, event, files, host, random};

static STACK: Once<Arc<NetStack>> = Once::new();
/// Interrupts that came since the device was last looked at.
static INTERRUPTED: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// The stack.
///
/// # Panics
/// Before [`init`].
pub(crate) fn stack() -> &'static Arc<NetStack> {
    STACK.get().expect("network::init was called")
}

/// The card as the stack wants it.
struct Device(NetCard);

impl NetDevice for Device {
    fn mac(&self) -> [u8; 6] {
        self.0.mac()
    }

    fn mtu(&self) -> usize {
        self.0.mtu()
    }

    fn abilities(&self) -> Abilities {
        let able = self.0.abilities();
        Abilities {
            checksums: able.checksums,
            segments: able.segments,
            longest: able.longest,
        }
    }

    fn receive(&mut self, part: &mut dyn FnMut(&[u8])) -> Option<bool> {
        use core::sync::atomic::Ordering;
        if INTERRUPTED.load(Ordering::Relaxed) {
            INTERRUPTED.store(false, Ordering::Relaxed);
            self.0.acknowledge_interrupt();
        }
        self.0.receive(part)
    }

    fn transmit(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]) -> Offload) -> bool {
        self.0.transmit(len, |frame| card_offload(fill(frame)))
    }

    fn flush(&mut self) {
        self.0.flush();
    }
}

/// In the card's terms.
fn card_offload(offload: Offload) -> dev::Offload {
    dev::Offload {
        checksum: offload.checksum.map(|checksum| dev::Checksum {
            start: checksum.start,
            offset: checksum.offset,
        }),
        segments: offload.segments.map(|segments| dev::Segments {
            is_ipv6: segments.is_ipv6,
            header: segments.header,
            payload: segments.payload,
        }),
    }
}

/// Clock, randomness and timer for the stack. The timer polls the stack.
struct Host {
    timer: Mutex<Option<TimerId>>,
    alarm: Arc<Poll>,
}

/// Polls the stack when it asked for it, and follows its status.
struct Poll;

impl Alarm for Poll {
    fn expire(&self, _now: u64) {
        stack().poll();
    }
}

impl Platform for Host {
    fn now_micros(&self) -> u64 {
        clock::now() / 1000
    }

    fn wall_micros(&self) -> u64 {
        clock::wall() / 1000
    }

    fn random_u32(&self) -> u32 {
        random::next_u32()
    }

    fn set_deadline(&self, at_micros: Option<u64>) {
        let mut timer = self.timer.lock();
        if let Some(timer) = timer.take() {
            timers::cancel(timer);
        }
        let alarm: Weak<dyn Alarm> = Arc::downgrade(&self.alarm) as _;
        *timer = at_micros.map(|at| timers::set(at * 1000, alarm));
    }
}

impl Waiter for Poll {
    /// The stack's address changed.
    fn wake(&self, _events: Events) {
        apply_status();
    }
}

/// Starts the stack.
pub(crate) fn init(card: Option<NetCard>, config: Config) {
    if let Some(card) = &card {
        console::log!(
            "network card {:02x?}, interrupts: {}",
            card.mac(),
            card.interrupt_name()
        );
    }
    let alarm = Arc::new(Poll);
    let platform = Arc::new(Host {
        timer: Mutex::new(None),
        alarm: Arc::clone(&alarm),
    });
    let device = card.map(|card| Box::new(Device(card)) as Box<dyn NetDevice>);
    let stack = STACK.call_once(|| NetStack::new(device, platform, config));
    let weak: Weak<dyn Waiter> = Arc::downgrade(&alarm) as _;
    stack.status_queue().add(weak);
    write_hosts();
    apply_status();
    stack.poll();
}

/// Serves the card's interrupt.
pub(crate) fn interrupt() {
    INTERRUPTED.store(true, core::sync::atomic::Ordering::Relaxed);
    stack().poll();
}

/// Follows a change of address: name servers for the resolver, and a word to whoever watches.
fn apply_status() {
    static REPORTED: Mutex<Vec<(IpAddr, u8)>> = Mutex::new(Vec::new());
    let status = stack().status();
    let servers: String = status.dns.iter().map(name_server_line).collect();
    if !servers.is_empty()
        && let Err(error) = files::write_file(b"/etc/resolv.conf", servers.as_bytes())
    {
        console::log!("cannot write /etc/resolv.conf: {error}");
    }
    let address = status.address.map(|(ip, prefix)| (ip.into(), prefix));
    let addresses6 = status
        .addresses6
        .iter()
        .filter(|(ip, _)| !ip.is_unicast_link_local());
    let addresses6 = addresses6.map(|(ip, prefix)| (IpAddr::V6(*ip), *prefix));
    let current: Vec<_> = address.into_iter().chain(addresses6).collect();
    let mut reported = REPORTED.lock();
    for (ip, prefix) in current.iter().filter(|now| !reported.contains(now)) {
        console::log!("network address {ip}/{prefix}");
        event::report(events::NETWORK_UP, &format!("ip={ip}/{prefix}"));
    }
    *reported = current;
}

/// A line of resolv.conf(5). An address that is local to the link names its interface.
fn name_server_line(server: &IpAddr) -> String {
    match server {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => format!("nameserver {v6}%eth0\n"),
        server => format!("nameserver {server}\n"),
    }
}

/// `/etc/hosts` and `/etc/hostname`, unless the image brings its own.
fn write_hosts() {
    let name = host::name();
    let hosts = format!("127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n::1\tlocalhost\n");
    for (path, content) in [
        ("/etc/hosts", hosts),
        ("/etc/hostname", format!("{name}\n")),
    ] {
        let missing = files::read_file(path.as_bytes()).is_err();
        if missing && let Err(error) = files::write_file(path.as_bytes(), content.as_bytes()) {
            console::log!("cannot write {path}: {error}");
        }
    }
}
