//! What no guest needs, as a list of named rules.

use release::{GuestPath, Source, TreeEntry};

/// One reason to leave files out.
#[derive(Debug)]
pub struct Rule {
    /// Short name, for messages.
    pub name: &'static str,
    /// Why the files are not needed.
    pub reason: &'static str,
    matches: fn(&Place<'_>) -> bool,
}

/// A file's place in the release.
struct Place<'a> {
    /// Directory names below the release's root.
    directories: &'a [&'a str],
    /// File name.
    name: &'a str,
}

impl Place<'_> {
    fn in_erts_bin(&self) -> bool {
        matches!(self.directories, [erts, "bin"] if erts.starts_with("erts-"))
    }

    fn in_version(&self) -> bool {
        matches!(self.directories, ["releases", _])
    }

    fn in_lib(&self) -> bool {
        matches!(self.directories, ["lib", _, ..])
    }

    fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = self.name.rsplit_once('.').map(|(_, extension)| extension);
        extension.is_some_and(|extension| extensions.contains(&extension))
    }
}

/// All rules; the first that matches a file names the reason.
pub static RULES: [Rule; 8] = [
    Rule {
        name: "build-tools",
        reason: "compilers and analysers run where a release is built",
        matches: |place| {
            place.in_erts_bin()
                && matches!(
                    place.name,
                    "erlc" | "escript" | "dialyzer" | "typer" | "ct_run" | "yielding_c_fun"
                )
        },
    },
    Rule {
        name: "launchers",
        reason: "the kernel starts the emulator itself",
        matches: |place| {
            place.in_erts_bin()
                && (matches!(
                    place.name,
                    "erl" | "erlexec" | "dyn_erl" | "start" | "start_erl" | "run_erl" | "to_erl"
                ) || place.has_extension(&["src", "boot"]))
        },
    },
    Rule {
        name: "remote-control",
        reason: "a guest has one node, whose port is fixed unless the release asks for epmd",
        matches: |place| place.in_erts_bin() && matches!(place.name, "epmd" | "erl_call"),
    },
    Rule {
        name: "other-emulators",
        reason: "only beam.smp is started",
        matches: |place| {
            place.in_erts_bin() && place.name.starts_with("beam.") && place.name != "beam.smp"
        },
    },
    Rule {
        name: "c-development",
        reason: "headers and static libraries serve compilers",
        matches: |place| place.in_lib() && place.has_extension(&["a", "h", "hrl", "la", "o"]),
    },
    Rule {
        name: "other-systems",
        reason: "programs and scripts for Windows",
        matches: |place| {
            place.has_extension(&["bat", "cmd", "ps1"])
                || place.in_lib() && place.has_extension(&["dll", "exe"])
        },
    },
    Rule {
        name: "start-scripts",
        reason: "their work is done when the image is made",
        matches: |place| {
            place.in_version()
                && matches!(place.name, "elixir" | "iex" | "env.sh" | "remote.vm.args")
        },
    },
    Rule {
        name: "boot-sources",
        reason: "the emulator reads the .boot files made from them",
        matches: |place| place.in_version() && place.has_extension(&["script"]),
    },
];

/// A file that was left out.
#[derive(Debug)]
pub struct Dropped {
    /// Where it would be.
    pub path: GuestPath,
    /// Why it is not.
    pub rule: &'static Rule,
}

/// A tree without what no guest needs.
#[derive(Debug, Default)]
pub struct Trimmed {
    /// What stays, in the order given.
    pub entries: Vec<TreeEntry>,
    /// What does not.
    pub dropped: Vec<Dropped>,
}

/// Leaves out the files that a [`Rule`] matches.
pub fn trim(entries: Vec<TreeEntry>) -> Trimmed {
    let mut trimmed = Trimmed::default();
    for entry in entries {
        match RULES.iter().find(|rule| applies(rule, &entry)) {
            Some(rule) => trimmed.dropped.push(Dropped {
                path: entry.path,
                rule,
            }),
            None => trimmed.entries.push(entry),
        }
    }
    trimmed
}

fn applies(rule: &Rule, entry: &TreeEntry) -> bool {
    if entry.source == Source::Directory {
        return false;
    }
    let path = String::from_utf8_lossy(entry.path.as_bytes());
    let below = path.strip_prefix(release::GUEST_ROOT);
    let Some(below) = below.and_then(|path| path.strip_prefix('/')) else {
        return false;
    };
    let parts: Vec<&str> = below.split('/').collect();
    parts
        .split_last()
        .is_some_and(|(name, directories)| (rule.matches)(&Place { directories, name }))
}

#[cfg(test)]
mod tests {
    use super::{RULES, trim};
    use release::{GuestPath, TreeEntry};
    use std::collections::BTreeSet;

    fn entry(path: &str) -> TreeEntry {
        TreeEntry::bytes(GuestPath::new(format!("/release/{path}")).unwrap(), "")
    }

    #[test]
    fn every_rule_drops_its_files_only() {
        let dropped = [
            ("erts-13.1.5/bin/erlc", "build-tools"),
            ("erts-13.1.5/bin/start.src", "launchers"),
            ("erts-13.1.5/bin/epmd", "remote-control"),
            ("erts-13.1.5/bin/beam.debug.smp", "other-emulators"),
            ("lib/crypto-5.1.2/priv/lib/crypto.a", "c-development"),
            ("releases/1.0/env.bat", "other-systems"),
            ("releases/1.0/elixir", "start-scripts"),
            ("releases/1.0/start.script", "boot-sources"),
        ];
        let kept = [
            "erts-13.1.5/bin/beam.smp",
            "erts-13.1.5/bin/erl_child_setup",
            "erts-13.1.5/bin/inet_gethost",
            "lib/elixir-1.14.0/ebin/elixir.beam",
            "lib/a-1/priv/erlc",
            "releases/1.0/start.boot",
            "releases/1.0/vm.args",
            "etc/data.h",
        ];
        let all = dropped.iter().map(|(path, _)| entry(path));
        let trimmed = trim(all.chain(kept.iter().map(|path| entry(path))).collect());
        assert_eq!(trimmed.entries, kept.map(entry));
        let names: Vec<_> = trimmed.dropped.iter().map(|drop| drop.rule.name).collect();
        assert_eq!(names, dropped.map(|(_, rule)| rule));
        let tested: BTreeSet<_> = names.into_iter().collect();
        assert_eq!(tested.len(), RULES.len());
    }
}
