//! Where the libraries of a release go, so that the linker in use finds them.

use release::{GuestPath, Source, TreeEntry};

use super::facts::Facts;
use super::{OsvError, SHIM};
use erts::relink::Relink;

/// Libraries that the kernel's linker takes from the kernel, whatever the root holds
/// (osv: core/elf.cc, `create_main_program`).
const LENT: [&str; 9] = [
    "ld-linux-x86-64.so.2",
    "libaio.so.1",
    "libc.so.6",
    "libcrypt.so.1",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
];

/// The C++ library, which some kernels lend.
const CXX: &str = "libstdc++.so.6";

/// Where the kernel's linker looks (osv: core/elf.cc, `program::_search_path`).
const LIBRARIES: &str = "/usr/lib";

/// Directories in which Linux's dynamic linker looks by itself (ld.so(8), and Debian's and Fedora's
/// additions).
const STANDARD: [&str; 7] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/local/lib",
];

/// Whether the kernel's linker never opens this library.
fn is_lent(name: &[u8], facts: &Facts) -> bool {
    let is = |known: &str| known.as_bytes() == name;
    LENT.into_iter().any(is) || is(CXX) && facts.lends_cxx()
}

/// The libraries as the kernel's linker looks for them: those in Linux's directories in the one it
/// knows, without those that it has itself.
pub(super) fn for_kernel_linker(libraries: Vec<TreeEntry>, facts: &Facts) -> Vec<TreeEntry> {
    let mut placed = Vec::new();
    for entry in libraries {
        let name = entry.path.file_name();
        let is_file = entry.source != Source::Directory;
        if !is_file || !is_standard(&entry.path) {
            placed.push(entry);
        } else if !is_lent(name, facts) {
            let place = GuestPath::new(LIBRARIES).and_then(|place| place.joined(name));
            placed.extend(place.map(|path| TreeEntry { path, ..entry }));
        }
    }
    placed
}

fn is_standard(path: &GuestPath) -> bool {
    let parent = path.parent();
    STANDARD
        .into_iter()
        .any(|known| known.as_bytes() == parent.as_bytes())
}

/// The emulator with our library as the first that it needs: the kernel's linker has no other way
/// to load it before its own functions are looked up.
pub(super) fn relinked(entry: &TreeEntry) -> Result<TreeEntry, OsvError> {
    let failed = |reason: String| OsvError::Emulator {
        path: entry.path.clone(),
        reason,
    };
    let content = entry.content().map_err(|error| failed(error.to_string()))?;
    let content = content.ok_or_else(|| failed("it is not a file".into()))?;
    let relink = Relink {
        needed: vec![SHIM.into()],
        ..Relink::default()
    };
    let bytes = relink
        .apply(&content)
        .map_err(|error| failed(error.to_string()))?;
    Ok(TreeEntry {
        source: Source::Bytes(bytes),
        ..entry.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::for_kernel_linker;
    use crate::osv::Facts;
    use release::{GuestPath, TreeEntry};

    #[test]
    fn libraries_are_where_the_kernel_looks_or_in_the_kernel() {
        let paths = [
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
            "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
            "/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so",
            "/usr/lib/ssl/openssl.cnf",
        ];
        let entry = |path: &str| TreeEntry::bytes(GuestPath::new(path).unwrap(), "x");
        let entries: Vec<_> = paths.into_iter().map(entry).collect();
        let placed = |facts: &Facts| -> Vec<_> {
            let placed = for_kernel_linker(entries.clone(), facts).into_iter();
            placed.map(|entry| entry.path.to_string()).collect()
        };
        let hidden = [
            "/usr/lib/libstdc++.so.6",
            "/usr/lib/libcrypto.so.3",
            "/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so",
            "/usr/lib/ssl/openssl.cnf",
        ];
        assert_eq!(placed(&Facts::default()), hidden);
        let mut lending = Facts::default();
        lending.exports.insert("_Znwm".into());
        assert_eq!(placed(&lending), hidden[1..]);
    }
}
