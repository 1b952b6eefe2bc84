//! Socket options of local sockets: socket(7), unix(7).

use alloc::vec::Vec;

use linux_abi::raw::net::{
    AF_UNIX, SO_ACCEPTCONN, SO_BROADCAST, SO_DOMAIN, SO_ERROR, SO_KEEPALIVE, SO_LINGER,
    SO_PASSCRED, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_REUSEADDR, SO_SNDBUF,
    SO_TYPE, SOL_SOCKET,
};

use super::endpoint::Endpoint;
use super::queue::CAPACITY;
use crate::Errno;

impl Endpoint {
    pub(super) fn option(&self, level: i32, name: i32, size: usize) -> Result<Vec<u8>, Errno> {
        let known = option_name(level, name)?;
        let limits = self.state.lock().limits;
        if let Some(limit) = limits.get(name, size) {
            return Ok(limit);
        }
        let mut value = match known {
            SO_LINGER => [0_i32; 2]
                .iter()
                .flat_map(|part| part.to_le_bytes())
                .collect(),
            name => self.number(name)?.to_le_bytes().to_vec(),
        };
        value.truncate(size);
        Ok(value)
    }

    fn number(&self, name: u32) -> Result<i32, Errno> {
        Ok(match name {
            SO_TYPE => self.kind.as_raw(),
            SO_DOMAIN => AF_UNIX as i32,
            SO_ERROR => self
                .state
                .lock()
                .error
                .take()
                .map_or(0, |error| error.number().into()),
            SO_ACCEPTCONN => self.state.lock().listening.is_some().into(),
            SO_SNDBUF | SO_RCVBUF => CAPACITY as i32,
            SO_RCVLOWAT => 1,
            SO_PROTOCOL | SO_REUSEADDR | SO_BROADCAST | SO_KEEPALIVE | SO_PRIORITY
            | SO_PASSCRED => 0,
            _ => return Err(Errno::ENOPROTOOPT),
        })
    }

    /// Options that change nothing here are accepted, those that would are refused.
    pub(super) fn set_option(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        let known = option_name(level, name)?;
        if let Some(result) = self.state.lock().limits.set(name, value) {
            return result;
        }
        match known {
            SO_SNDBUF | SO_RCVBUF | SO_RCVLOWAT | SO_REUSEADDR | SO_BROADCAST | SO_KEEPALIVE
            | SO_PRIORITY | SO_LINGER => Ok(()),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }
}

fn option_name(level: i32, name: i32) -> Result<u32, Errno> {
    match u32::try_from(level) {
        Ok(SOL_SOCKET) => u32::try_from(name).map_err(|_| Errno::ENOPROTOOPT),
        _ => Err(Errno::EOPNOTSUPP),
    }
}
