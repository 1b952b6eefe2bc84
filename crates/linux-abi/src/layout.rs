//! The structures that system calls read and write, as explicit bytes.
//!
//! Each structure is declared once with the offset of every field (`layout!`); sizes and
//! offsets are checked at compile time against `linux-raw-sys` where it has the structure, and
//! in the tests against what a C compiler says. Padding is written as zeros, so that nothing of
//! the kernel's memory leaks. Addresses are `u64`: claims of the program, not pointers.

mod file;
mod io;
mod process;
mod signal;
mod socket;
mod time;

pub use file::{Dirents, Flock, Stat, StatFs, Statx, StatxTimestamp, Utimbuf, makedev};
pub use io::{EpollEvent, IoVec, PollFd, Termios, Termios2, WinSize};
pub use process::{
    CloneArgs, RLimit, RUsage, RobustListHead, Rseq, RseqCs, SysInfo, UtsName, utsname_field,
};
pub use signal::{
    FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, FpSwBytes, RtSigFrame, SW_BYTES_OFFSET, SigAction,
    SigContext, SigFramePlace, SigInfo, StackT, UC_FP_XSTATE, UC_SIGCONTEXT_SS,
    UC_STRICT_RESTORE_SS, UContext,
};
pub use socket::{
    Cmsg, CmsgHeader, InvalidCmsg, Linger, MMsgHdr, MsgHdr, Ucred, cmsg_space, cmsgs, push_cmsg,
};
pub use time::{ITimerSpec, TimeSpec, TimeVal, TimeZone, Tms};

/// A structure with a fixed place for every field.
pub trait Layout: Sized {
    /// Size in bytes, padding included.
    const SIZE: usize;
    /// Its fields in order: name as in the C header, offset, width in bytes.
    const FIELDS: &'static [(&'static str, usize, usize)];
    /// `[u8; SIZE]`.
    type Bytes: AsRef<[u8]> + AsMut<[u8]>;
    /// All zero: a buffer to read into.
    const ZEROED: Self::Bytes;

    /// The bytes as the program sees them.
    fn encode(&self) -> Self::Bytes;

    /// The value that a program wrote; padding is not looked at.
    fn decode(bytes: &Self::Bytes) -> Self;
}

/// A value with a width: an integer, an array of them, or a structure inside another one.
pub(crate) trait Field: Copy {
    const WIDTH: usize;
    /// Writes to the first `WIDTH` bytes of `out`.
    fn put(self, out: &mut [u8]);
    /// Reads the first `WIDTH` bytes.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! integer_fields {
    ($($integer:ty),*) => {
        $(impl Field for $integer {
            const WIDTH: usize = size_of::<Self>();

            fn put(self, out: &mut [u8]) {
                out[..Self::WIDTH].copy_from_slice(&self.to_le_bytes());
            }

            fn get(bytes: &[u8]) -> Self {
                let mut own = [0; Self::WIDTH];
                own.copy_from_slice(&bytes[..Self::WIDTH]);
                Self::from_le_bytes(own)
            }
        })*
    };
}
integer_fields!(u8, u16, u32, u64, i16, i32, i64);

impl<T: Field, const N: usize> Field for [T; N] {
    const WIDTH: usize = N * T::WIDTH;

    fn put(self, out: &mut [u8]) {
        for (item, place) in self.into_iter().zip(out.chunks_exact_mut(T::WIDTH)) {
            item.put(place);
        }
    }

    fn get(bytes: &[u8]) -> Self {
        core::array::from_fn(|index| T::get(&bytes[index * T::WIDTH..]))
    }
}

/// Declares structures: `struct Name[size, like c_type] { field: type = offset, … }`.
macro_rules! layout {
    ($(
        $(#[$attribute:meta])*
        struct $name:ident[$size:literal $(, like $($raw:ident)::+)?] $fields:tt
    )*) => {$(
        layout!(@define [$(#[$attribute])*] $name $size $fields);
        $(layout!(@compare [$($raw)::+] $size $fields);)?
    )*};

    (@compare [$raw:ty] $size:literal { $($field:ident: $type:ty = $offset:literal,)* }) => {
        const _: () = {
            assert!(size_of::<$raw>() == $size);
            $(assert!(core::mem::offset_of!($raw, $field) == $offset);)*
        };
    };

    (@define [$(#[$attribute:meta])*] $name:ident $size:literal {
        $($field:ident: $type:ty = $offset:literal,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $(
                #[doc = concat!("At offset ", $offset, ".")]
                pub $field: $type,
            )*
        }

        const _: () = {
            $(assert!($offset + <$type as $crate::layout::Field>::WIDTH <= $size);)*
        };

        impl $crate::layout::Layout for $name {
            const SIZE: usize = $size;
            const FIELDS: &'static [(&'static str, usize, usize)] =
                &[$((stringify!($field), $offset, <$type as $crate::layout::Field>::WIDTH)),*];
            type Bytes = [u8; $size];
            const ZEROED: [u8; $size] = [0; $size];

            fn encode(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                $($crate::layout::Field::put(self.$field, &mut bytes[$offset..]);)*
                bytes
            }

            fn decode(bytes: &[u8; $size]) -> Self {
                Self { $($field: $crate::layout::Field::get(&bytes[$offset..]),)* }
            }
        }

        impl $crate::layout::Field for $name {
            const WIDTH: usize = $size;

            fn put(self, out: &mut [u8]) {
                out[..$size].copy_from_slice(&$crate::layout::Layout::encode(&self));
            }

            fn get(bytes: &[u8]) -> Self {
                let mut own = [0; $size];
                own.copy_from_slice(&bytes[..$size]);
                $crate::layout::Layout::decode(&own)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $crate::layout::Layout::decode(&[0; $size])
            }
        }
    };
}
pub(crate) use layout;
