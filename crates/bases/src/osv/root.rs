//! What OSv needs in its root, besides the release.

use std::net::IpAddr;

use release::{GuestPath, TreeEntry};

/// What is mounted where, beside the root itself (osv: usr_rofs.manifest.skel, fs/vfs/main.cc): the
/// kernel mounts the rest only if it is listed here.
const FSTAB: &str = "\
/dev/vblk0.1 / rofs defaults 0 0
none /dev devfs defaults 0 0
none /proc procfs defaults 0 0
none /sys sysfs defaults 0 0
none /tmp ramfs defaults 0 0
";

/// Where file systems are mounted; they cannot be made on a root that is read-only.
const MOUNT_POINTS: [&str; 4] = ["/dev", "/proc", "/sys", "/tmp"];

/// Names that are known without asking anyone.
const HOSTS: &str = "\
127.0.0.1 localhost
127.0.0.1 osv.local osv
";

/// Where Erlang's own resolver is configured (erts: "Inet Configuration").
pub(super) const INETRC: &str = "/etc/inetrc";

/// Names are looked up in files and by DNS, not by a program beside the emulator.
const INETRC_TEXT: &str = "\
{hosts_file, \"/etc/hosts\"}.
{resolv_conf, \"/etc/resolv.conf\"}.
{lookup, [file, dns]}.
";

/// The files and directories, for these name servers.
pub(super) fn skeleton(dns: &[IpAddr]) -> Vec<TreeEntry> {
    let servers = dns.iter().map(|server| format!("nameserver {server}\n"));
    let files = [
        ("/etc/fstab", FSTAB.into()),
        ("/etc/hosts", HOSTS.into()),
        ("/etc/resolv.conf", servers.collect()),
        (INETRC, INETRC_TEXT.into()),
    ];
    let files = files.into_iter().filter_map(|(path, text): (_, String)| {
        Some(TreeEntry::bytes(GuestPath::new(path)?, text))
    });
    let directories = MOUNT_POINTS
        .into_iter()
        .filter_map(|path| GuestPath::new(path).map(TreeEntry::directory));
    let mounts = GuestPath::new("/etc/mtab").map(|path| TreeEntry::symlink(path, "/proc/mounts"));
    let mnttab = GuestPath::new("/etc/mnttab").map(|path| TreeEntry::symlink(path, "/proc/mounts"));
    files
        .chain(directories)
        .chain(mounts)
        .chain(mnttab)
        .collect()
}
