//! Processes, their limits and usage, and the system.

use super::{TimeVal, layout};
use crate::raw;

layout! {
    /// `struct rusage`, getrusage(2).
    struct RUsage[144, like raw::general::rusage] {
        ru_utime: TimeVal = 0,
        ru_stime: TimeVal = 16,
        ru_maxrss: i64 = 32,
        ru_minflt: i64 = 64,
        ru_majflt: i64 = 72,
        ru_inblock: i64 = 88,
        ru_oublock: i64 = 96,
        ru_nvcsw: i64 = 128,
        ru_nivcsw: i64 = 136,
    }

    /// `struct rlimit64`, prlimit(2).
    struct RLimit[16, like raw::general::rlimit64] {
        rlim_cur: u64 = 0,
        rlim_max: u64 = 8,
    }

    /// `struct sysinfo`, sysinfo(2).
    struct SysInfo[112, like raw::system::sysinfo] {
        uptime: i64 = 0,
        loads: [u64; 3] = 8,
        totalram: u64 = 32,
        freeram: u64 = 40,
        sharedram: u64 = 48,
        bufferram: u64 = 56,
        totalswap: u64 = 64,
        freeswap: u64 = 72,
        procs: u16 = 80,
        totalhigh: u64 = 88,
        freehigh: u64 = 96,
        mem_unit: u32 = 104,
    }

    /// `struct new_utsname`, uname(2); build the fields with [`utsname_field`].
    struct UtsName[390, like raw::system::new_utsname] {
        sysname: [u8; 65] = 0,
        nodename: [u8; 65] = 65,
        release: [u8; 65] = 130,
        version: [u8; 65] = 195,
        machine: [u8; 65] = 260,
        domainname: [u8; 65] = 325,
    }

    /// `struct clone_args` to its third version, clone3(2).
    struct CloneArgs[88, like raw::general::clone_args] {
        flags: u64 = 0,
        pidfd: u64 = 8,
        child_tid: u64 = 16,
        parent_tid: u64 = 24,
        exit_signal: u64 = 32,
        stack: u64 = 40,
        stack_size: u64 = 48,
        tls: u64 = 56,
        set_tid: u64 = 64,
        set_tid_size: u64 = 72,
        cgroup: u64 = 80,
    }

    /// `struct robust_list_head`, set_robust_list(2).
    struct RobustListHead[24, like raw::general::robust_list_head] {
        list: u64 = 0,
        futex_offset: i64 = 8,
        list_op_pending: u64 = 16,
    }

    /// `struct rseq` as first released, rseq(2) (linux/rseq.h).
    struct Rseq[32] {
        cpu_id_start: u32 = 0,
        cpu_id: u32 = 4,
        rseq_cs: u64 = 8,
        flags: u32 = 16,
    }

    /// `struct rseq_cs`, a restartable critical section (linux/rseq.h).
    struct RseqCs[32] {
        version: u32 = 0,
        flags: u32 = 4,
        start_ip: u64 = 8,
        post_commit_offset: u64 = 16,
        abort_ip: u64 = 24,
    }
}

impl CloneArgs {
    /// The size of the first version, the least that clone3(2) accepts.
    pub const SIZE_V0: usize = raw::general::CLONE_ARGS_SIZE_VER0 as usize;
}

/// A field of [`UtsName`]: at most 64 bytes of `text`, then zeros.
pub fn utsname_field(text: &str) -> [u8; 65] {
    let mut field = [0; 65];
    let length = text.len().min(64);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
    field
}
