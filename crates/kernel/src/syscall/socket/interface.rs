//! Queries about network interfaces (netdevice(7)).

use crate::network;
use crate::syscall::{Call, Result};

/// Size of `struct ifreq` and of the `struct ifconf` that `SIOCGIFCONF` takes.
const IFREQ_SIZE: usize = 40;
const IFCONF_SIZE: usize = 16;
const SIOCGIFCONF: u64 = 0x8912;

/// Answers one.
pub(in crate::syscall) fn interface_ioctl(c: &Call<'_>, code: u64, arg: u64) -> Result {
    if code == SIOCGIFCONF {
        return interface_list(c, arg);
    }
    let mut request: [u8; IFREQ_SIZE] = c.memory().read_array(arg)?;
    network::stack().ioctl(code as u32, &mut request)?;
    c.memory().write(arg, &request)?;
    Ok(0)
}

fn interface_list(c: &Call<'_>, arg: u64) -> Result {
    let mut head: [u8; IFCONF_SIZE] = c.memory().read_array(arg)?;
    let room = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let buffer = head
        .last_chunk()
        .map_or(0, |&bytes| u64::from_le_bytes(bytes));
    let list = network::stack().interface_config();
    let count = if buffer == 0 {
        list.len()
    } else {
        list.len().min(room / IFREQ_SIZE * IFREQ_SIZE)
    };
    if buffer != 0 {
        c.memory().write(buffer, &list[..count])?;
    }
    head[..4].copy_from_slice(&(count as u32).to_le_bytes());
    c.memory().write(arg, &head)?;
    Ok(0)
}
