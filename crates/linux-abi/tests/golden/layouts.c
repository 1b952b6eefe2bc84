/*
 * Prints what the C compiler and the system's headers say about the structures in
 * src/layout/, one line per structure (name, size) and per field (name, offset, width).
 *
 *     gcc -o layouts layouts.c && ./layouts > layouts.txt
 *
 * Made with gcc 12.2.0, glibc 2.36 and the headers of Linux 6.1. Structures that the C library
 * hides or replaces are copied from the kernel's headers, named below.
 */
#define _GNU_SOURCE
#include <asm/types.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/time_types.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <utime.h>

/* asm-generic/termbits.h */
struct kernel_termios {
    unsigned int c_iflag, c_oflag, c_cflag, c_lflag;
    unsigned char c_line, c_cc[19];
};
struct kernel_termios2 {
    unsigned int c_iflag, c_oflag, c_cflag, c_lflag;
    unsigned char c_line, c_cc[19];
    unsigned int c_ispeed, c_ospeed;
};
/* asm/signal.h, as linux-raw-sys names it */
struct kernel_sigaction {
    void (*sa_handler_kernel)(int);
    unsigned long sa_flags;
    void (*sa_restorer)(void);
    unsigned long sa_mask;
};
/* asm-generic/ucontext.h, arch/x86/include/asm/sigframe.h */
struct kernel_ucontext {
    unsigned long uc_flags;
    struct ucontext_t *uc_link;
    stack_t uc_stack;
    struct sigcontext uc_mcontext;
    unsigned long uc_sigmask;
};
struct rt_sigframe {
    char *pretcode;
    struct kernel_ucontext uc;
    siginfo_t info;
};

#define SIZE(name, type) printf("%s %zu\n", name, sizeof(type))
#define FIELD(name, type, field) \
    printf("  %s %zu %zu\n", name, offsetof(type, field), sizeof(((type *)0)->field))

int main(void) {
    SIZE("TimeSpec", struct __kernel_timespec);
    FIELD("tv_sec", struct __kernel_timespec, tv_sec);
    FIELD("tv_nsec", struct __kernel_timespec, tv_nsec);
    SIZE("TimeVal", struct timeval);
    FIELD("tv_sec", struct timeval, tv_sec);
    FIELD("tv_usec", struct timeval, tv_usec);
    SIZE("TimeZone", struct timezone);
    FIELD("tz_minuteswest", struct timezone, tz_minuteswest);
    FIELD("tz_dsttime", struct timezone, tz_dsttime);
    SIZE("ITimerSpec", struct __kernel_itimerspec);
    FIELD("it_interval", struct __kernel_itimerspec, it_interval);
    FIELD("it_value", struct __kernel_itimerspec, it_value);
    SIZE("Tms", struct tms);
    FIELD("tms_utime", struct tms, tms_utime);
    FIELD("tms_stime", struct tms, tms_stime);
    FIELD("tms_cutime", struct tms, tms_cutime);
    FIELD("tms_cstime", struct tms, tms_cstime);
    SIZE("Stat", struct stat);
    FIELD("st_dev", struct stat, st_dev);
    FIELD("st_ino", struct stat, st_ino);
    FIELD("st_nlink", struct stat, st_nlink);
    FIELD("st_mode", struct stat, st_mode);
    FIELD("st_uid", struct stat, st_uid);
    FIELD("st_gid", struct stat, st_gid);
    FIELD("st_rdev", struct stat, st_rdev);
    FIELD("st_size", struct stat, st_size);
    FIELD("st_blksize", struct stat, st_blksize);
    FIELD("st_blocks", struct stat, st_blocks);
    FIELD("st_atime", struct stat, st_atim.tv_sec);
    FIELD("st_atime_nsec", struct stat, st_atim.tv_nsec);
    FIELD("st_mtime", struct stat, st_mtim.tv_sec);
    FIELD("st_mtime_nsec", struct stat, st_mtim.tv_nsec);
    FIELD("st_ctime", struct stat, st_ctim.tv_sec);
    FIELD("st_ctime_nsec", struct stat, st_ctim.tv_nsec);
    SIZE("StatxTimestamp", struct statx_timestamp);
    FIELD("tv_sec", struct statx_timestamp, tv_sec);
    FIELD("tv_nsec", struct statx_timestamp, tv_nsec);
    SIZE("Statx", struct statx);
    FIELD("stx_mask", struct statx, stx_mask);
    FIELD("stx_blksize", struct statx, stx_blksize);
    FIELD("stx_attributes", struct statx, stx_attributes);
    FIELD("stx_nlink", struct statx, stx_nlink);
    FIELD("stx_uid", struct statx, stx_uid);
    FIELD("stx_gid", struct statx, stx_gid);
    FIELD("stx_mode", struct statx, stx_mode);
    FIELD("stx_ino", struct statx, stx_ino);
    FIELD("stx_size", struct statx, stx_size);
    FIELD("stx_blocks", struct statx, stx_blocks);
    FIELD("stx_attributes_mask", struct statx, stx_attributes_mask);
    FIELD("stx_atime", struct statx, stx_atime);
    FIELD("stx_btime", struct statx, stx_btime);
    FIELD("stx_ctime", struct statx, stx_ctime);
    FIELD("stx_mtime", struct statx, stx_mtime);
    FIELD("stx_rdev_major", struct statx, stx_rdev_major);
    FIELD("stx_rdev_minor", struct statx, stx_rdev_minor);
    FIELD("stx_dev_major", struct statx, stx_dev_major);
    FIELD("stx_dev_minor", struct statx, stx_dev_minor);
    FIELD("stx_mnt_id", struct statx, stx_mnt_id);
    SIZE("StatFs", struct statfs);
    FIELD("f_type", struct statfs, f_type);
    FIELD("f_bsize", struct statfs, f_bsize);
    FIELD("f_blocks", struct statfs, f_blocks);
    FIELD("f_bfree", struct statfs, f_bfree);
    FIELD("f_bavail", struct statfs, f_bavail);
    FIELD("f_files", struct statfs, f_files);
    FIELD("f_ffree", struct statfs, f_ffree);
    FIELD("f_fsid", struct statfs, f_fsid);
    FIELD("f_namelen", struct statfs, f_namelen);
    FIELD("f_frsize", struct statfs, f_frsize);
    FIELD("f_flags", struct statfs, f_flags);
    SIZE("Flock", struct flock);
    FIELD("l_type", struct flock, l_type);
    FIELD("l_whence", struct flock, l_whence);
    FIELD("l_start", struct flock, l_start);
    FIELD("l_len", struct flock, l_len);
    FIELD("l_pid", struct flock, l_pid);
    SIZE("Utimbuf", struct utimbuf);
    FIELD("actime", struct utimbuf, actime);
    FIELD("modtime", struct utimbuf, modtime);
    SIZE("RUsage", struct rusage);
    FIELD("ru_utime", struct rusage, ru_utime);
    FIELD("ru_stime", struct rusage, ru_stime);
    FIELD("ru_maxrss", struct rusage, ru_maxrss);
    FIELD("ru_minflt", struct rusage, ru_minflt);
    FIELD("ru_majflt", struct rusage, ru_majflt);
    FIELD("ru_inblock", struct rusage, ru_inblock);
    FIELD("ru_oublock", struct rusage, ru_oublock);
    FIELD("ru_nvcsw", struct rusage, ru_nvcsw);
    FIELD("ru_nivcsw", struct rusage, ru_nivcsw);
    SIZE("RLimit", struct rlimit64);
    FIELD("rlim_cur", struct rlimit64, rlim_cur);
    FIELD("rlim_max", struct rlimit64, rlim_max);
    SIZE("SysInfo", struct sysinfo);
    FIELD("uptime", struct sysinfo, uptime);
    FIELD("loads", struct sysinfo, loads);
    FIELD("totalram", struct sysinfo, totalram);
    FIELD("freeram", struct sysinfo, freeram);
    FIELD("sharedram", struct sysinfo, sharedram);
    FIELD("bufferram", struct sysinfo, bufferram);
    FIELD("totalswap", struct sysinfo, totalswap);
    FIELD("freeswap", struct sysinfo, freeswap);
    FIELD("procs", struct sysinfo, procs);
    FIELD("totalhigh", struct sysinfo, totalhigh);
    FIELD("freehigh", struct sysinfo, freehigh);
    FIELD("mem_unit", struct sysinfo, mem_unit);
    SIZE("UtsName", struct utsname);
    FIELD("sysname", struct utsname, sysname);
    FIELD("nodename", struct utsname, nodename);
    FIELD("release", struct utsname, release);
    FIELD("version", struct utsname, version);
    FIELD("machine", struct utsname, machine);
    FIELD("domainname", struct utsname, domainname);
    SIZE("CloneArgs", struct clone_args);
    FIELD("flags", struct clone_args, flags);
    FIELD("pidfd", struct clone_args, pidfd);
    FIELD("child_tid", struct clone_args, child_tid);
    FIELD("parent_tid", struct clone_args, parent_tid);
    FIELD("exit_signal", struct clone_args, exit_signal);
    FIELD("stack", struct clone_args, stack);
    FIELD("stack_size", struct clone_args, stack_size);
    FIELD("tls", struct clone_args, tls);
    FIELD("set_tid", struct clone_args, set_tid);
    FIELD("set_tid_size", struct clone_args, set_tid_size);
    FIELD("cgroup", struct clone_args, cgroup);
    SIZE("RobustListHead", struct robust_list_head);
    FIELD("list", struct robust_list_head, list);
    FIELD("futex_offset", struct robust_list_head, futex_offset);
    FIELD("list_op_pending", struct robust_list_head, list_op_pending);
    SIZE("Rseq", struct rseq);
    FIELD("cpu_id_start", struct rseq, cpu_id_start);
    FIELD("cpu_id", struct rseq, cpu_id);
    FIELD("rseq_cs", struct rseq, rseq_cs);
    FIELD("flags", struct rseq, flags);
    SIZE("RseqCs", struct rseq_cs);
    FIELD("version", struct rseq_cs, version);
    FIELD("flags", struct rseq_cs, flags);
    FIELD("start_ip", struct rseq_cs, start_ip);
    FIELD("post_commit_offset", struct rseq_cs, post_commit_offset);
    FIELD("abort_ip", struct rseq_cs, abort_ip);
    SIZE("IoVec", struct iovec);
    FIELD("iov_base", struct iovec, iov_base);
    FIELD("iov_len", struct iovec, iov_len);
    SIZE("PollFd", struct pollfd);
    FIELD("fd", struct pollfd, fd);
    FIELD("events", struct pollfd, events);
    FIELD("revents", struct pollfd, revents);
    SIZE("EpollEvent", struct epoll_event);
    FIELD("events", struct epoll_event, events);
    FIELD("data", struct epoll_event, data);
    SIZE("WinSize", struct winsize);
    FIELD("ws_row", struct winsize, ws_row);
    FIELD("ws_col", struct winsize, ws_col);
    FIELD("ws_xpixel", struct winsize, ws_xpixel);
    FIELD("ws_ypixel", struct winsize, ws_ypixel);
    SIZE("Termios", struct kernel_termios);
    FIELD("c_iflag", struct kernel_termios, c_iflag);
    FIELD("c_oflag", struct kernel_termios, c_oflag);
    FIELD("c_cflag", struct kernel_termios, c_cflag);
    FIELD("c_lflag", struct kernel_termios, c_lflag);
    FIELD("c_line", struct kernel_termios, c_line);
    FIELD("c_cc", struct kernel_termios, c_cc);
    SIZE("Termios2", struct kernel_termios2);
    FIELD("c_iflag", struct kernel_termios2, c_iflag);
    FIELD("c_oflag", struct kernel_termios2, c_oflag);
    FIELD("c_cflag", struct kernel_termios2, c_cflag);
    FIELD("c_lflag", struct kernel_termios2, c_lflag);
    FIELD("c_line", struct kernel_termios2, c_line);
    FIELD("c_cc", struct kernel_termios2, c_cc);
    FIELD("c_ispeed", struct kernel_termios2, c_ispeed);
    FIELD("c_ospeed", struct kernel_termios2, c_ospeed);
    SIZE("MsgHdr", struct msghdr);
    FIELD("msg_name", struct msghdr, msg_name);
    FIELD("msg_namelen", struct msghdr, msg_namelen);
    FIELD("msg_iov", struct msghdr, msg_iov);
    FIELD("msg_iovlen", struct msghdr, msg_iovlen);
    FIELD("msg_control", struct msghdr, msg_control);
    FIELD("msg_controllen", struct msghdr, msg_controllen);
    FIELD("msg_flags", struct msghdr, msg_flags);
    SIZE("MMsgHdr", struct mmsghdr);
    FIELD("msg_hdr", struct mmsghdr, msg_hdr);
    FIELD("msg_len", struct mmsghdr, msg_len);
    SIZE("CmsgHeader", struct cmsghdr);
    FIELD("cmsg_len", struct cmsghdr, cmsg_len);
    FIELD("cmsg_level", struct cmsghdr, cmsg_level);
    FIELD("cmsg_type", struct cmsghdr, cmsg_type);
    SIZE("Linger", struct linger);
    FIELD("l_onoff", struct linger, l_onoff);
    FIELD("l_linger", struct linger, l_linger);
    SIZE("Ucred", struct ucred);
    FIELD("pid", struct ucred, pid);
    FIELD("uid", struct ucred, uid);
    FIELD("gid", struct ucred, gid);
    SIZE("SigAction", struct kernel_sigaction);
    FIELD("sa_handler_kernel", struct kernel_sigaction, sa_handler_kernel);
    FIELD("sa_flags", struct kernel_sigaction, sa_flags);
    FIELD("sa_restorer", struct kernel_sigaction, sa_restorer);
    FIELD("sa_mask", struct kernel_sigaction, sa_mask);
    SIZE("StackT", stack_t);
    FIELD("ss_sp", stack_t, ss_sp);
    FIELD("ss_flags", stack_t, ss_flags);
    FIELD("ss_size", stack_t, ss_size);
    SIZE("SigInfo", siginfo_t);
    FIELD("si_signo", siginfo_t, si_signo);
    FIELD("si_errno", siginfo_t, si_errno);
    FIELD("si_code", siginfo_t, si_code);
    FIELD("si_fields", siginfo_t, _sifields);
    SIZE("SigContext", struct sigcontext);
    FIELD("r8", struct sigcontext, r8);
    FIELD("r9", struct sigcontext, r9);
    FIELD("r10", struct sigcontext, r10);
    FIELD("r11", struct sigcontext, r11);
    FIELD("r12", struct sigcontext, r12);
    FIELD("r13", struct sigcontext, r13);
    FIELD("r14", struct sigcontext, r14);
    FIELD("r15", struct sigcontext, r15);
    FIELD("rdi", struct sigcontext, rdi);
    FIELD("rsi", struct sigcontext, rsi);
    FIELD("rbp", struct sigcontext, rbp);
    FIELD("rbx", struct sigcontext, rbx);
    FIELD("rdx", struct sigcontext, rdx);
    FIELD("rax", struct sigcontext, rax);
    FIELD("rcx", struct sigcontext, rcx);
    FIELD("rsp", struct sigcontext, rsp);
    FIELD("rip", struct sigcontext, rip);
    FIELD("eflags", struct sigcontext, eflags);
    FIELD("cs", struct sigcontext, cs);
    FIELD("gs", struct sigcontext, gs);
    FIELD("fs", struct sigcontext, fs);
    FIELD("ss", struct sigcontext, __pad0);
    FIELD("err", struct sigcontext, err);
    FIELD("trapno", struct sigcontext, trapno);
    FIELD("oldmask", struct sigcontext, oldmask);
    FIELD("cr2", struct sigcontext, cr2);
    FIELD("fpstate", struct sigcontext, fpstate);
    SIZE("UContext", struct kernel_ucontext);
    FIELD("uc_flags", struct kernel_ucontext, uc_flags);
    FIELD("uc_link", struct kernel_ucontext, uc_link);
    FIELD("uc_stack", struct kernel_ucontext, uc_stack);
    FIELD("uc_mcontext", struct kernel_ucontext, uc_mcontext);
    FIELD("uc_sigmask", struct kernel_ucontext, uc_sigmask);
    SIZE("RtSigFrame", struct rt_sigframe);
    FIELD("pretcode", struct rt_sigframe, pretcode);
    FIELD("uc", struct rt_sigframe, uc);
    FIELD("info", struct rt_sigframe, info);
    SIZE("FpSwBytes", struct _fpx_sw_bytes);
    FIELD("magic1", struct _fpx_sw_bytes, magic1);
    FIELD("extended_size", struct _fpx_sw_bytes, extended_size);
    FIELD("xfeatures", struct _fpx_sw_bytes, xstate_bv);
    FIELD("xstate_size", struct _fpx_sw_bytes, xstate_size);
    return 0;
}
