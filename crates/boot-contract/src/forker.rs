//! What ERTS and its helper `erl_child_setup` tell each other when a port starts a program.
//!
//! On an OSv machine nobody can start programs: the shim (`crates/osv-shim`) answers in the
//! helper's place that it failed. ERTS sends the helper three descriptors; the answer goes into
//! the second one, which is the output of the program. One layout serves all known versions of OTP: structure, order of actions and
//! size are the same since the helper exists (erts/emulator/sys/unix/erl_child_setup.h, from its
//! first version of 2015 to that of 2025; actions and fields were only added behind).
//!
//! ```text
//! i32 action    2: the helper has started the program, or not
//! i32 0
//! i32 pid       -1: it has not
//! i32 error     errno
//! 16 × 0
//! ```

use core::ops::RangeInclusive;

/// The versions of OTP that are known to read an answer of this layout.
pub const OTP: RangeInclusive<u32> = 24..=29;

/// Size of an answer in bytes: the size of ERTS's structure, whose largest variant is another.
pub const ANSWER_SIZE: usize = 32;

const GO: u8 = 2;
const PID: usize = 8;
const ERROR: usize = PID + 4;

/// The answer that the program was not started, because of `error` (an errno).
pub const fn not_started(error: u8) -> [u8; ANSWER_SIZE] {
    let mut answer = [0; ANSWER_SIZE];
    answer[0] = GO;
    let mut at = PID;
    while at < ERROR {
        answer[at] = 0xff;
        at += 1;
    }
    answer[ERROR] = error;
    answer
}

/// The answer that the program runs, as the process `pid`.
pub const fn started(pid: i32) -> [u8; ANSWER_SIZE] {
    let mut answer = not_started(0);
    let bytes = pid.to_le_bytes();
    let mut at = 0;
    while at < bytes.len() {
        answer[PID + at] = bytes[at];
        at += 1;
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::{not_started, started};

    #[test]
    fn the_answer_has_its_fields_in_place() {
        let answer = not_started(95);
        let field = |at: usize| i32::from_le_bytes(answer[at..at + 4].try_into().unwrap());
        assert_eq!([0, 4, 8, 12].map(field), [2, 0, -1, 95]);
        assert_eq!(answer[16..], [0; 16]);
        assert_eq!(
            started(0x0102_0304)[..16],
            [2, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1, 0, 0, 0, 0]
        );
    }
}
