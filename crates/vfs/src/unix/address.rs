//! `struct sockaddr_un`.

use alloc::vec::Vec;

use linux_abi::raw::net::{AF_UNIX, AF_UNSPEC};

use crate::Errno;

/// Bytes of the family in front of the path.
const FAMILY_BYTES: usize = 2;
/// Bytes of `struct sockaddr_un`: the family and a path of 108.
const MAX_BYTES: usize = FAMILY_BYTES + 108;

/// The name of a local socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A path, without its NUL.
    Path(Vec<u8>),
    /// An abstract name, with the NUL it starts with.
    Abstract(Vec<u8>),
}

impl Address {
    /// From a raw `sockaddr`; `None` if it holds nothing but the family.
    ///
    /// # Errors
    /// `EINVAL` for a wrong length, `EAFNOSUPPORT` for another family.
    pub(super) fn parse(raw: &[u8]) -> Result<Option<Self>, Errno> {
        if raw.len() > MAX_BYTES {
            return Err(Errno::EINVAL);
        }
        let (family, name) = raw.split_first_chunk().ok_or(Errno::EINVAL)?;
        if u32::from(u16::from_le_bytes(*family)) != AF_UNIX {
            return Err(Errno::EAFNOSUPPORT);
        }
        Ok(match name {
            [] => None,
            [0, ..] => Some(Self::Abstract(name.into())),
            name => {
                let end = name.iter().position(|byte| *byte == 0);
                Some(Self::Path(name[..end.unwrap_or(name.len())].into()))
            }
        })
    }

    /// Whether a raw `sockaddr` is of no family, which dissolves an association (connect(2)).
    pub(super) fn is_unspecified(raw: &[u8]) -> bool {
        raw.first_chunk()
            .is_some_and(|family| u32::from(u16::from_le_bytes(*family)) == AF_UNSPEC)
    }

    /// A raw `sockaddr`; only the family for a socket without a name.
    pub(super) fn emit(address: Option<&Self>) -> Vec<u8> {
        let mut raw = (AF_UNIX as u16).to_le_bytes().to_vec();
        match address {
            Some(Self::Path(path)) => {
                raw.extend_from_slice(path);
                raw.push(0);
            }
            Some(Self::Abstract(name)) => raw.extend_from_slice(name),
            None => {}
        }
        raw
    }
}
