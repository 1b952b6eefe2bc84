//! What each base can do: the one table of it.

use std::fmt;

/// The bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Our own kernel.
    Unibeam,
    /// OSv.
    Osv,
    /// rumprun.
    Rumprun,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unibeam, Self::Osv, Self::Rumprun];

    /// Its name, as in `--base`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unibeam => "unibeam",
            Self::Osv => "osv",
            Self::Rumprun => "rumprun",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As on an ordinary machine.
    Full,
    /// With a difference.
    Partial(&'static str),
    /// Not at all, and why or what happens instead.
    None(&'static str),
    /// As baked into the program that is the base.
    Baked,
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("yes"),
            Self::Partial(how) => write!(f, "in part: {how}"),
            Self::None(why) => write!(f, "no: {why}"),
            Self::Baked => f.write_str("as baked"),
        }
    }
}

macro_rules! features {
    ($($(#[$doc:meta])* $id:ident $title:literal, $unibeam:expr, $osv:expr, $rumprun:expr;)*) => {
        /// Something that a user may want of a base.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Feature {
            $($(#[$doc])* $id,)*
        }

        impl Feature {
            /// All of them.
            pub const ALL: [Self; [$($title),*].len()] = [$(Self::$id),*];

            /// What it is, in a few words.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$id => $title,)*
                }
            }

            /// How well it works on a base.
            pub const fn on(self, family: Family) -> Support {
                use Support::{Baked, Full, None, Partial};
                match (self, family) {
                    $((Self::$id, Family::Unibeam) => $unibeam,
                    (Self::$id, Family::Osv) => $osv,
                    (Self::$id, Family::Rumprun) => $rumprun,)*
                }
            }
        }
    };
}

features! {
    /// The emulator of the release.
    OwnErts "the release's own ERTS (OTP 24 and later)", Full, Full,
        None("the emulator is part of the base");
    /// The just-in-time compiler.
    Jit "JIT", Full, Full, None("its emulators are older");
    /// Several processors.
    Smp "several processors", Full, Full, None("one processor");
    /// Native functions.
    Nifs "NIFs", Full, Full, Baked;
    /// Programs beside the emulator.
    Ports "ports and os:cmd", Full, None("they fail with `enotsup`"), None("they fail");
    /// Names are resolved by the C library.
    NativeResolver "native resolver", Full,
        None("Erlang's own is used, with /etc/hosts and the servers of --dns"),
        None("Erlang's own is used");
    /// Distribution.
    Distribution "distribution", Full, Partial("without epmd, on port 4370"), Baked;
    /// The port mapper.
    Epmd "epmd", Full, None("it would be a second program"), Baked;
    /// IPv6.
    Ipv6 "IPv6", Full, None("its network stack has IPv4 only"), Partial("with static addresses");
    /// Files can be written.
    WritableRoot "writing files", Partial("to memory"), Partial("to memory, below /tmp"), Baked;
    /// A partition for data.
    Data "a partition for data", Full, Partial("empty; nothing mounts it"),
        None("the disk holds the release only");
    /// Variables at boot.
    BootVariables "variables at boot (`unibeam run --env`)", Full, Full,
        Partial("in the configuration only");
    /// The command line is made out at boot.
    BootTemplates "templates of vm.args and sys.config filled at boot", Full,
        None("they are filled when the image is made"),
        None("they are filled when the image is made");
    /// BIOS.
    Bios "BIOS", Full, Full, Full;
    /// PVH.
    Pvh "PVH (`-kernel`)", Full, Full, None("Multiboot instead");
    /// Without PCI.
    Mmio "virtio over MMIO", Full, Partial("needs a paravirtual clock, so KVM"), None("PCI only");
    /// Clocks.
    Clock "clock without KVM", Full, Partial("needs HPET"), Full;
    /// How a run ended.
    ExitStatus "exit status outside of the machine", Full,
        Partial("reported by our library, not by the kernel"), None("the machine stays");
    /// The power button.
    PowerButton "power button stops the release", Full,
        None("OSv switches off at once"), None("it is ignored");
}

#[cfg(test)]
mod tests {
    use super::{Family, Feature};

    #[test]
    fn the_table_in_the_documents_is_this_one() {
        let names = Family::ALL.map(|family| format!("`{family}`"));
        let mut table = format!("| | {} |\n|---|---|---|---|\n", names.join(" | "));
        for feature in Feature::ALL {
            let cells = Family::ALL.map(|family| feature.on(family).to_string());
            table += &format!("| {} | {} |\n", feature.title(), cells.join(" | "));
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bases.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (start, end) = ("<!-- features -->\n", "<!-- end of features -->");
        let (head, rest) = text.split_once(start).unwrap();
        let (found, tail) = rest.split_once(end).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, [head, start, &table, end, tail].concat()).unwrap();
        } else {
            assert_eq!(found, table, "BLESS=1 cargo test -p bases");
        }
    }
}
