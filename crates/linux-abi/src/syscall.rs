//! The table of system calls as data, and the macro that feeds a dispatcher.

use crate::Errno;

/// How a system call is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As the man page says.
    Full,
    /// Handled, with the limits named in the note.
    Partial,
    /// Success without effect.
    Ignored,
    /// Always this error.
    Refused(Errno),
    /// Always `ENOSYS`.
    Absent,
}

impl Support {
    /// The word in the table and in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Ignored => "ignored",
            Self::Refused(_) => "refused",
            Self::Absent => "absent",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Syscall {
    /// What RAX holds on entry.
    pub number: u32,
    /// The name without prefix, as in asm/unistd_64.h.
    pub name: &'static str,
    /// How many arguments Linux takes, 0 to 6.
    pub args: u8,
    /// What happens when it is called.
    pub support: Support,
    /// The limits, or why; may be empty.
    pub note: &'static str,
}

/// Hands the rows that need a handler (full, partial, ignored) to the macro `$callback`.
///
/// The callback receives `{ [extra] (number, name, arguments, state) … }`, where `extra` are
/// the tokens given after the callback's name (the locals that the expansion may use). A
/// handler that is missing for a row is an error at compile time:
///
/// ```
/// macro_rules! name_of {
///     ([$x:ident] $(($number:literal, $name:ident, $args:literal, $state:ident))*) => {
///         match $x {
///             $($number => Some(stringify!($name)),)*
///             _ => None,
///         }
///     };
/// }
///
/// fn handled(number: u64) -> Option<&'static str> {
///     linux_abi::for_each_handled!(name_of, number)
/// }
///
/// assert_eq!(handled(0), Some("read"));
/// assert_eq!(handled(29), None);
/// ```
#[macro_export]
macro_rules! for_each_handled {
    ($($callback:ident)::+ $(, $($extra:tt)*)?) => {
        $crate::syscall_table!($crate::__keep_handled, $($callback)::+, $($($extra)*)?)
    };
}

/// Part of [`for_each_handled`](crate::for_each_handled): drops the other rows.
#[doc(hidden)]
#[macro_export]
macro_rules! __keep_handled {
    (
        [$($callback:ident)::+, $($extra:tt)*]
        $(
            $number:literal $name:ident
            $(full($full:tt))?
            $(partial($partial:tt))?
            $(ignored($ignored:tt))?
            $(refused($refused:literal, $errno:ident))?
            $(absent($absent:literal))?
            $note:literal;
        )*
    ) => {
        $($callback)::+! {
            [$($extra)*]
            $(
                $(($number, $name, $full, full))?
                $(($number, $name, $partial, partial))?
                $(($number, $name, $ignored, ignored))?
            )*
        }
    };
}

macro_rules! support {
    (full($args:literal)) => {
        (Support::Full, $args)
    };
    (partial($args:literal)) => {
        (Support::Partial, $args)
    };
    (ignored($args:literal)) => {
        (Support::Ignored, $args)
    };
    (refused($args:literal, $errno:ident)) => {
        (Support::Refused(Errno::$errno), $args)
    };
    (absent($args:literal)) => {
        (Support::Absent, $args)
    };
}

macro_rules! rows {
    ([] $($number:literal $name:ident $state:ident($($detail:tt)*) $note:literal;)*) => {
        &[$({
            let (support, args) = support!($state($($detail)*));
            Syscall { number: $number, name: stringify!($name), args, support, note: $note }
        }),*]
    };
}

/// Every system call that Linux 6.17 has on x86-64, by number.
pub static SYSCALLS: &[Syscall] = syscall_table!(rows);

/// The row of a number, if Linux has such a call.
pub fn describe(number: u64) -> Option<&'static Syscall> {
    let index = SYSCALLS
        .binary_search_by_key(&number, |row| u64::from(row.number))
        .ok()?;
    SYSCALLS.get(index)
}

/// What a call without handler answers: the errno of a refused row, otherwise `ENOSYS`.
pub fn refusal(number: u64) -> Errno {
    match describe(number).map(|row| row.support) {
        Some(Support::Refused(errno)) => errno,
        _ => Errno::ENOSYS,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{SYSCALLS, Support, describe, refusal};
    use crate::Errno;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    macro_rules! numbers_are_those_of_linux {
        ([] $($number:literal $name:ident $state:ident($($detail:tt)*) $note:literal;)*) => {
            pastey::paste! {
                $(const _: () = assert!(crate::raw::general::[<__NR_ $name>] == $number);)*
            }
        };
    }
    syscall_table!(numbers_are_those_of_linux);

    #[test]
    fn every_number_of_linux_has_one_row_in_order() {
        let numbers: Vec<u32> = SYSCALLS.iter().map(|row| row.number).collect();
        // 336 to 423 were left out when all architectures started to share numbers (Linux 5.1).
        let expected: Vec<u32> = (0..=335).chain(424..=469).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn names_are_unique_and_arguments_fit_registers() {
        let names: BTreeSet<_> = SYSCALLS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), SYSCALLS.len());
        assert!(SYSCALLS.iter().all(|row| row.args <= 6));
    }

    #[test]
    fn a_limit_is_never_without_a_note() {
        let silent = SYSCALLS
            .iter()
            .find(|row| row.support == Support::Partial && row.note.is_empty());
        assert!(silent.is_none(), "{silent:?} needs a note");
    }

    #[test]
    fn handled_rows_are_those_with_a_handler_state() {
        macro_rules! numbers {
            ([] $(($number:literal, $name:ident, $args:literal, $state:ident))*) => {
                [$(($number, stringify!($name), stringify!($state)),)*]
            };
        }
        let handled = for_each_handled!(numbers);
        let expected: Vec<_> = SYSCALLS
            .iter()
            .filter(|row| !matches!(row.support, Support::Refused(_) | Support::Absent))
            .map(|row| (row.number, row.name, row.support.name()))
            .collect();
        assert_eq!(handled.as_slice(), expected);
    }

    #[test]
    fn describes_and_refuses() {
        assert_eq!(describe(59).map(|row| row.name), Some("execve"));
        assert!(describe(400).is_none());
        assert!(describe(u64::MAX).is_none());
        assert_eq!(refusal(227), Errno::EPERM);
        assert_eq!(refusal(29), Errno::ENOSYS);
        assert_eq!(refusal(400), Errno::ENOSYS);
    }
}
