//! Files that libraries open by themselves, which no ELF header names.

use std::path::{Path, PathBuf};

use release::{GuestPath, TreeEntry};

use crate::Sysroot;
use crate::sysroot::DEFAULT_DIRECTORIES;

/// Where builds of OpenSSL 3 look for their configuration: Debian, others, Fedora
/// (`openssl version -d`).
const OPENSSL_CONFIGURATIONS: [&str; 3] = [
    "/usr/lib/ssl/openssl.cnf",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
];

/// Where descriptions of terminals are (terminfo(5)).
const TERMINALS: [&str; 3] = ["/lib/terminfo", "/usr/share/terminfo", "/etc/terminfo"];
/// The terminals that are described in an image: those that people use on a serial console.
const TERMINAL_NAMES: [&str; 5] = ["ansi", "linux", "vt100", "xterm", "xterm-256color"];

/// Where the locale is that every image sets (`LANG=C.UTF-8`): glibc has only `C` built in, and
/// without the locale's files the emulator takes names of files for Latin-1.
const LOCALE: &str = "/usr/lib/locale/C.utf8";
/// Its categories (locale(7)), all of which `setlocale(LC_ALL, "")` demands.
const LOCALE_CATEGORIES: [&str; 12] = [
    "LC_ADDRESS",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_IDENTIFICATION",
    "LC_MEASUREMENT",
    "LC_MESSAGES/SYS_LC_MESSAGES",
    "LC_MONETARY",
    "LC_NAME",
    "LC_NUMERIC",
    "LC_PAPER",
    "LC_TELEPHONE",
    "LC_TIME",
];

/// Functions of the name service that glibc has built in since version 2.34.
const BUILT_IN_DNS: &[u8] = b"_nss_dns_gethostbyname4_r";

/// The function through which programs use the C library's converters (iconv_open(3)).
pub(crate) const CONVERSION: &str = "iconv_open";

/// What a library brings with it.
#[derive(Debug, Default)]
pub(crate) struct Companions {
    /// Libraries that it opens by path, as paths inside the system.
    pub(crate) modules: Vec<PathBuf>,
    /// Libraries that it opens by name, if they exist.
    pub(crate) names: Vec<&'static str>,
    /// Other files.
    pub(crate) files: Vec<TreeEntry>,
}

/// What the library `name`, found in `directory` with this content, brings with it.
pub(crate) fn companions(
    name: &str,
    directory: &Path,
    content: &[u8],
    sysroot: &Sysroot,
) -> Companions {
    match name {
        // OTP's crypto loads the legacy provider at start.
        "libcrypto.so.3" => Companions {
            modules: vec![directory.join("ossl-modules/legacy.so")],
            files: openssl_configuration(sysroot).into_iter().collect(),
            ..Companions::default()
        },
        // Erlang's shell edits lines with it.
        "libtinfo.so.6" | "libncurses.so.6" | "libncursesw.so.6" => Companions {
            files: terminals(sysroot),
            ..Companions::default()
        },
        "libc.so.6" => Companions {
            names: name_service(content),
            files: locale(sysroot),
            ..Companions::default()
        },
        _ => Companions::default(),
    }
}

/// The C library's converters between character sets, with the files that list them (glibc manual,
/// "The iconv Implementation in the GNU C Library").
pub(crate) fn converters(sysroot: &Sysroot) -> Companions {
    let mut found = Companions::default();
    let directory = DEFAULT_DIRECTORIES
        .iter()
        // It looks below the prefix it was built for, which is `/usr` everywhere.
        .filter(|directory| directory.starts_with("/usr/"))
        .map(|directory| PathBuf::from(format!("{directory}/gconv")))
        .find(|directory| sysroot.resolve(&directory.join("gconv-modules")).is_some());
    let Some(directory) = directory else {
        return found;
    };
    for directory in [directory.join("gconv-modules.d"), directory] {
        for name in sysroot.list(&directory).unwrap_or_default() {
            let path = directory.join(&name);
            if path.extension().is_some_and(|extension| extension == "so") {
                found.modules.push(path);
            } else {
                let text = path.to_string_lossy();
                found.files.extend(found_at(&text, sysroot));
            }
        }
    }
    found.modules.sort();
    found
}

/// Libraries of the name service that this C library loads.
fn name_service(content: &[u8]) -> Vec<&'static str> {
    if contains(content, BUILT_IN_DNS) {
        return Vec::new();
    }
    vec!["libnss_files.so.2", "libnss_dns.so.2"]
}

fn locale(sysroot: &Sysroot) -> Vec<TreeEntry> {
    let category = |name| found_at(&format!("{LOCALE}/{name}"), sysroot);
    LOCALE_CATEGORIES.into_iter().filter_map(category).collect()
}

/// A file of the system, for the same place in the guest.
fn found_at(path: &str, sysroot: &Sysroot) -> Option<TreeEntry> {
    let host = sysroot.resolve(Path::new(path))?;
    Some(TreeEntry::host_file(GuestPath::new(path)?, &host, false))
}

fn openssl_configuration(sysroot: &Sysroot) -> Option<TreeEntry> {
    OPENSSL_CONFIGURATIONS
        .into_iter()
        .find_map(|path| found_at(path, sysroot))
}

/// Descriptions of terminals, at the place where they are found.
fn terminals(sysroot: &Sysroot) -> Vec<TreeEntry> {
    let description = |name: &str| {
        TERMINALS
            .iter()
            .find_map(|folder| found_at(&format!("{folder}/{}/{name}", &name[..1]), sysroot))
    };
    TERMINAL_NAMES
        .iter()
        .filter_map(|name| description(name))
        .collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else {
        return true;
    };
    let starts = haystack
        .iter()
        .enumerate()
        .filter(|(_, byte)| *byte == first);
    starts
        .into_iter()
        .any(|(at, _)| haystack[at..].starts_with(needle))
}
