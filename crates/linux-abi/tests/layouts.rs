//! The layouts against a C compiler's view of them (`golden/layouts.c`), and each function on
//! known bytes.

use linux_abi::layout::{
    CloneArgs, Cmsg, CmsgHeader, Dirents, EpollEvent, Flock, FpSwBytes, ITimerSpec, InvalidCmsg,
    IoVec, Layout, Linger, MMsgHdr, MsgHdr, PollFd, RLimit, RUsage, RobustListHead, Rseq, RseqCs,
    RtSigFrame, SigAction, SigContext, SigFramePlace, SigInfo, StackT, Stat, StatFs, Statx,
    StatxTimestamp, SysInfo, Termios, Termios2, TimeSpec, TimeVal, TimeZone, Tms, UContext, Ucred,
    Utimbuf, UtsName, WinSize, cmsg_space, cmsgs, makedev, push_cmsg, utsname_field,
};

/// Calls the macro with every layout, in the order of `golden/layouts.c`.
macro_rules! for_each_layout {
    ($callback:ident) => {
        $callback!(
            TimeSpec TimeVal TimeZone ITimerSpec Tms Stat StatxTimestamp Statx StatFs Flock
            Utimbuf RUsage RLimit SysInfo UtsName CloneArgs RobustListHead Rseq RseqCs IoVec
            PollFd EpollEvent WinSize Termios Termios2 MsgHdr MMsgHdr CmsgHeader Linger Ucred
            SigAction StackT SigInfo SigContext UContext RtSigFrame FpSwBytes
        )
    };
}

fn describe<T: Layout>(name: &str) -> String {
    let mut text = format!("{name} {}\n", T::SIZE);
    for (field, offset, width) in T::FIELDS {
        text.push_str(&format!("  {field} {offset} {width}\n"));
    }
    text
}

#[test]
fn layouts_are_those_of_the_c_compiler() {
    macro_rules! describe_all {
        ($($name:ident)*) => { [$(describe::<$name>(stringify!($name))),*].concat() };
    }
    let ours = for_each_layout!(describe_all);
    for (ours, golden) in ours.lines().zip(include_str!("golden/layouts.txt").lines()) {
        assert_eq!(ours, golden);
    }
    assert_eq!(ours.len(), include_str!("golden/layouts.txt").len());
}

/// Layouts with a field that has padding of its own.
const PADDED_INSIDE: [&str; 4] = ["Statx", "MMsgHdr", "UContext", "RtSigFrame"];

/// Decodes bytes that are all different and expects them back, with zeros for padding.
fn check_twins<T: Layout>(name: &str) {
    let mut bytes = T::ZEROED;
    for (index, byte) in bytes.as_mut().iter_mut().enumerate() {
        *byte = index as u8 ^ 0xa5;
    }
    let once = T::decode(&bytes).encode();
    for (index, (&found, &given)) in once.as_ref().iter().zip(bytes.as_ref()).enumerate() {
        let in_field = T::FIELDS
            .iter()
            .any(|&(_, offset, width)| (offset..offset + width).contains(&index));
        let nested_padding = found == 0 && in_field && PADDED_INSIDE.contains(&name);
        let expected = if in_field && !nested_padding {
            given
        } else {
            0
        };
        assert_eq!(found, expected, "{name}, byte {index}");
    }
    let again = T::decode(&once).encode();
    assert_eq!(again.as_ref(), once.as_ref(), "{name}");
}

#[test]
fn decode_and_encode_are_twins() {
    macro_rules! check_all {
        ($($name:ident)*) => { $(check_twins::<$name>(stringify!($name));)* };
    }
    for_each_layout!(check_all);
}

#[test]
fn known_bytes() {
    let event = EpollEvent {
        events: 0x8000_0001,
        data: 0x1122_3344_5566_7788,
    };
    let expected = [
        1, 0, 0, 0x80, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
    ];
    assert_eq!(event.encode(), expected);
    let entry = PollFd {
        fd: -1,
        events: 1,
        revents: 0x20,
    };
    assert_eq!(entry.encode(), [0xff, 0xff, 0xff, 0xff, 1, 0, 0x20, 0]);
    let name = UtsName {
        sysname: utsname_field("Linux"),
        ..UtsName::default()
    }
    .encode();
    assert_eq!((&name[..7], name[64]), (&b"Linux\0\0"[..], 0));
    assert_eq!(utsname_field(&"x".repeat(80))[63..], *b"x\0");
}

#[test]
fn device_numbers_are_those_of_linux() {
    // os.makedev of Python 3.11, which asks the C library.
    assert_eq!((makedev(8, 1), makedev(259, 256)), (0x801, 0x11_0300));
}

#[test]
fn times_convert_and_check() {
    let time = TimeSpec {
        tv_sec: 1,
        tv_nsec: 5,
    };
    assert_eq!(TimeSpec::from_nanoseconds(1_000_000_005), time);
    assert_eq!(time.nanoseconds(), Some(1_000_000_005));
    assert_eq!(
        TimeSpec {
            tv_sec: i64::MAX,
            tv_nsec: 0
        }
        .nanoseconds(),
        Some(u64::MAX)
    );
    assert_eq!(
        TimeSpec {
            tv_sec: -1,
            tv_nsec: 0
        }
        .nanoseconds(),
        None
    );
    assert_eq!(
        TimeSpec {
            tv_sec: 0,
            tv_nsec: 1_000_000_000
        }
        .nanoseconds(),
        None
    );
    assert_eq!(
        TimeVal {
            tv_sec: 2,
            tv_usec: 3
        }
        .nanoseconds(),
        Some(2_000_003_000)
    );
    assert_eq!(
        TimeVal {
            tv_sec: 0,
            tv_usec: i64::MAX
        }
        .nanoseconds(),
        None
    );
    assert_eq!(
        TimeVal::from_nanoseconds(2_000_003_999),
        TimeVal {
            tv_sec: 2,
            tv_usec: 3
        }
    );
}

#[test]
fn directory_entries_are_aligned_and_never_split() {
    let mut buffer = [0xaa; 60];
    let mut entries = Dirents::new(&mut buffer);
    assert!(entries.push(7, 1, 4, b"."));
    assert!(entries.push(8, 2, 8, b"12345"));
    assert!(!entries.push(9, 3, 8, b"x"));
    assert_eq!(entries.used(), 24 + 32);
    let first = [
        7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 24, 0, 4, b'.', 0, 0, 0, 0,
    ];
    assert_eq!(buffer[..24], first);
    assert_eq!(buffer[24 + 16..24 + 26], *b"\x20\0\x0812345\0\0");
    assert_eq!(buffer[56..], [0xaa; 4]);
}

#[test]
fn control_messages_go_out_and_come_back() {
    let rights = Cmsg {
        level: 1,
        kind: 1,
        data: &[3, 0, 0, 0],
    };
    let ttl = Cmsg {
        level: 0,
        kind: 2,
        data: &[64, 0, 0, 0],
    };
    let mut buffer = [0xaa; 46];
    let used = push_cmsg(&mut buffer, 0, &rights).unwrap();
    assert_eq!(used, cmsg_space(4));
    let header = [
        20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(buffer[..24], header);
    let used = push_cmsg(&mut buffer, used, &ttl).unwrap();
    assert_eq!(used, 46, "the padding is cut off");
    assert_eq!(push_cmsg(&mut buffer, used, &ttl), None);
    let read: Vec<_> = cmsgs(&buffer[..used]).collect();
    assert_eq!(read, [Ok(rights), Ok(ttl)]);
}

#[test]
fn false_lengths_of_control_messages_are_errors() {
    for length in [0u64, 15, 25, u64::MAX] {
        let mut buffer = [0; 24];
        buffer[..8].copy_from_slice(&length.to_le_bytes());
        assert_eq!(
            cmsgs(&buffer).collect::<Vec<_>>(),
            [Err(InvalidCmsg)],
            "{length}"
        );
    }
}

#[test]
fn signal_information_is_where_the_c_library_reads_it() {
    // Offsets of si_pid, si_uid, si_status and si_addr in `siginfo_t` (offsetof, gcc 12.2.0).
    let child = SigInfo::of_child(1, 42, 7, 9).encode();
    assert_eq!(child[..4], 17i32.to_le_bytes());
    assert_eq!(child[8..12], 1i32.to_le_bytes());
    assert_eq!(child[16..28], [42, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0]);
    let fault = SigInfo::of_fault(11, 1, 0xdead_beef).encode();
    assert_eq!(fault[16..24], 0xdead_beef_u64.to_le_bytes());
    assert_eq!(SigInfo::of_kernel(2).si_code, 0x80);
}

#[test]
fn a_signal_frame_is_placed_as_the_abi_asks() {
    for top in 0x7000_0000..0x7000_0100 {
        let place = SigFramePlace::below(top, 832).unwrap();
        assert_eq!(place.fpstate % 64, 0);
        assert_eq!(place.frame % 16, 8);
        assert!(place.frame + RtSigFrame::SIZE as u64 <= place.fpstate);
        assert!(place.fpstate + 832 <= top);
    }
    assert_eq!(SigFramePlace::below(900, 832), None);
}

#[test]
fn a_fresh_terminal_reads_as_on_linux() {
    // `stty -g` on a new Linux console: 500:5:4bf:8a3b:3:1c:7f:15:4:0:1:0:11:13:1a:0:12:f:17:16:0.
    let bytes = Termios::STANDARD.encode();
    let flags = [0x500u32, 5, 0x4bf, 0x8a3b].map(u32::to_le_bytes).concat();
    assert_eq!(bytes[..16], flags);
    assert_eq!(bytes[17..22], [3, 0x1c, 0x7f, 0x15, 4]);
}
