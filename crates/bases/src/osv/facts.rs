//! What is known of an OSv kernel from its file.

use std::collections::BTreeSet;
use std::fmt;

use erts::elf::{ElfError, Symbols};

use super::LaunchMode;

/// What a kernel says and has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its version, if it names one.
    pub version: Option<Version>,
    /// The functions and objects that programs find in it.
    pub exports: BTreeSet<String>,
}

/// A version as `git describe` gives it (osv: scripts/osv-version.sh): a tag such as `v0.57.0`, and
/// how many commits came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The whole text, such as `v0.57.0-398-g0e34e4dc`.
    pub text: String,
    /// The tag's numbers.
    pub tag: [u32; 3],
    /// Commits after the tag.
    pub commits: u32,
}

/// First words of the kernel on its console (osv: loader.cc).
const BANNER: &[u8] = b"OSv v";

/// Longest version that is believed.
const VERSION_MAX: usize = 64;

/// The first version with ROFS (osv: documentation of v0.51).
const FIRST_ROFS: ([u32; 3], u32) = ([0, 51, 0], 0);

/// The first version that runs Linux's dynamic linker as a program (osv: commit f0414b64, the 78th
/// after v0.57.0).
const FIRST_LD_LINUX: ([u32; 3], u32) = ([0, 57, 0], 78);

/// A function of the kernel's linker that came with it (osv: include/osv/elf.hh,
/// `elf::object::is_linux_dl`); kernels that hide their symbols do not show it.
const LD_LINUX_SYMBOL: &str = "_ZN3elf6object11is_linux_dlEv";

/// A function of the C++ library, which a kernel lends to programs if it does not hide its symbols
/// (`conf_hide_symbols=0`): `operator new`.
const CXX_SYMBOL: &str = "_Znwm";

impl Facts {
    /// Reads a kernel, an ELF file.
    ///
    /// # Errors
    /// It is not an ELF file for x86-64, or is damaged.
    pub fn read(kernel: &[u8]) -> Result<Self, ElfError> {
        Ok(Self {
            version: version(kernel),
            exports: Symbols::parse(kernel)?.exports,
        })
    }

    /// Whether it is known to be too old to read the root of an image.
    pub fn is_too_old(&self) -> bool {
        let version = self.version.as_ref();
        version.is_some_and(|version| version.order() < FIRST_ROFS)
    }

    /// How it can load programs, the best way first.
    pub fn launch_modes(&self) -> Vec<LaunchMode> {
        let version = self.version.as_ref();
        let recent = version.is_some_and(|version| version.order() >= FIRST_LD_LINUX);
        if recent || self.exports.contains(LD_LINUX_SYMBOL) {
            vec![LaunchMode::LdLinux, LaunchMode::Kernel]
        } else {
            vec![LaunchMode::Kernel]
        }
    }

    /// Whether it has the C++ library for programs.
    pub fn lends_cxx(&self) -> bool {
        self.exports.contains(CXX_SYMBOL)
    }
}

impl Version {
    fn order(&self) -> ([u32; 3], u32) {
        (self.tag, self.commits)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('v')?.split('-');
        let mut numbers = parts.next()?.split('.').map(str::parse);
        let mut tag = [0; 3];
        for slot in &mut tag {
            *slot = numbers.next().unwrap_or(Ok(0)).ok()?;
        }
        let commits = parts.next().map_or(Ok(0), str::parse).ok()?;
        Some(Self {
            text: text.into(),
            tag,
            commits,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The version in the kernel's first words.
fn version(kernel: &[u8]) -> Option<Version> {
    let mut windows = kernel.windows(BANNER.len()).enumerate();
    let candidates = windows.by_ref().filter(|(_, window)| *window == BANNER);
    let mut texts = candidates.filter_map(|(at, _)| {
        let text = kernel.get(at + BANNER.len() - 1..)?;
        let end = text.iter().take(VERSION_MAX).position(|&b| b == b'\n')?;
        std::str::from_utf8(&text[..end]).ok()
    });
    texts.find_map(Version::parse)
}

#[cfg(test)]
mod tests {
    use super::{Facts, version};
    use crate::osv::LaunchMode;

    fn facts(banner: &str) -> Facts {
        Facts {
            version: version(format!("\0OSv very\0xx\0OSv {banner}\n\0").as_bytes()),
            ..Facts::default()
        }
    }

    #[test]
    fn the_version_tells_what_a_kernel_can() {
        let ld_linux = [LaunchMode::LdLinux, LaunchMode::Kernel];
        for (banner, too_old, modes) in [
            ("v0.24-430-gabc", true, &ld_linux[1..]),
            ("v0.51.0", false, &ld_linux[1..]),
            ("v0.57.0", false, &ld_linux[1..]),
            ("v0.57.0-77-gabc", false, &ld_linux[1..]),
            ("v0.57.0-398-g0e34e4dc", false, &ld_linux[..]),
            ("v0.58.0", false, &ld_linux[..]),
        ] {
            let facts = facts(banner);
            assert_eq!(facts.version.as_ref().unwrap().text, banner);
            assert_eq!(facts.is_too_old(), too_old, "{banner}");
            assert_eq!(facts.launch_modes(), modes, "{banner}");
        }
    }

    #[test]
    fn a_kernel_without_a_version_is_taken_for_what_it_shows() {
        for banner in ["vx", "", "v0.57.0-many"] {
            assert_eq!(facts(banner).version, None);
        }
        assert_eq!(facts("").launch_modes(), [LaunchMode::Kernel]);
        let mut showing = facts("");
        showing.exports.insert(super::LD_LINUX_SYMBOL.into());
        assert_eq!(showing.launch_modes()[0], LaunchMode::LdLinux);
    }
}
