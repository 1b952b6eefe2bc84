//! What differs between versions of Elixir in how a release is started.
//!
//! Sources: bin/elixir, bin/iex and lib/mix/lib/mix/tasks/release.ex (`release_mode`) of the tags
//! v1.9.0 to v1.18.3.

use alloc::string::String;
use alloc::vec::Vec;

/// How one version starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elixir {
    /// The first version that starts so.
    since: (u32, u32),
    /// Words before those of `ELIXIR_ERL_OPTIONS`.
    before: &'static [&'static str],
    /// Words behind them that start the system.
    system: &'static [&'static str],
    /// Words behind them that start a shell.
    shell: &'static [&'static str],
    /// What a shell has behind `-extra --no-halt`.
    shell_extra: &'static [&'static str],
    /// What is before the mode of code loading, if the system starts again once it is configured.
    reboot_mode: &'static [&'static str],
}

/// Newest first.
const VERSIONS: [Elixir; 5] = [
    Elixir {
        since: (1, 17),
        before: &["-noshell"],
        system: &["-s", "elixir", "start_cli"],
        shell: &["-user", "elixir"],
        shell_extra: &["+iex"],
        reboot_mode: &["-elixir", "config_provider_reboot_mode"],
    },
    Elixir {
        since: (1, 16),
        before: &["-noshell"],
        system: &["-s", "elixir", "start_cli"],
        shell: &["-s", "elixir", "start_iex", "-user", "elixir"],
        shell_extra: &["+iex"],
        reboot_mode: &["-elixir", "config_provider_reboot_mode"],
    },
    Elixir {
        since: (1, 15),
        before: &["-noshell"],
        system: &["-s", "elixir", "start_cli"],
        shell: &["-s", "elixir", "start_cli", "-user", "elixir"],
        shell_extra: &["-e", ":elixir.start_iex()", "+iex"],
        reboot_mode: &["-elixir", "config_provider_reboot_mode"],
    },
    Elixir {
        since: (1, 11),
        before: &[],
        system: &["-noshell", "-s", "elixir", "start_cli"],
        shell: &["-noshell", "-user", "Elixir.IEx.CLI"],
        shell_extra: &["+iex"],
        // As it is written there: a flag of its own, without effect.
        reboot_mode: &["-elixir", "-config_provider_reboot_mode"],
    },
    Elixir {
        since: (0, 0),
        before: &[],
        system: &["-noshell", "-s", "elixir", "start_cli"],
        shell: &["-noshell", "-user", "Elixir.IEx.CLI"],
        shell_extra: &["+iex"],
        reboot_mode: &["-mode"],
    },
];

impl Elixir {
    /// That of a version such as `1.14.0`; the newest known for what cannot be read.
    pub(crate) fn of_version(version: &str) -> &'static Self {
        let mut numbers = version.split('.').map(|part| part.parse().ok());
        let found = match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => (major, minor),
            _ => (u32::MAX, 0),
        };
        let known = VERSIONS.iter().find(|elixir| elixir.since <= found);
        known.unwrap_or(&VERSIONS[0])
    }

    /// What starts the system, or a shell, with these options of the user.
    pub(crate) fn words<'o>(
        &self,
        options: impl Iterator<Item = &'o str>,
        console: bool,
    ) -> Vec<String> {
        let program = if console { self.shell } else { self.system };
        let words = self.before.iter().copied().chain(options);
        words
            .chain(program.iter().copied())
            .map(Into::into)
            .collect()
    }

    /// What is before the mode of code loading.
    pub(crate) fn mode(&self, reboots: bool) -> &'static [&'static str] {
        if reboots {
            self.reboot_mode
        } else {
            &["-mode"]
        }
    }

    /// What is behind `-extra`.
    pub(crate) fn extra(&self, console: bool) -> Vec<&'static str> {
        let shell = if console { self.shell_extra } else { &[] };
        ["--no-halt"].iter().chain(shell).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Elixir;

    #[test]
    fn versions_are_told_apart() {
        let shell = |version| {
            Elixir::of_version(version)
                .words(["-x"].into_iter(), true)
                .join(" ")
        };
        assert_eq!(shell("1.14.0"), "-x -noshell -user Elixir.IEx.CLI");
        assert_eq!(shell("1.18.3"), "-noshell -x -user elixir");
        assert_eq!(shell("2.0.0-dev"), shell("1.18.3"));
        assert_eq!(shell(""), shell("1.18.3"));
        assert_eq!(Elixir::of_version("1.9.4").mode(true), ["-mode"]);
    }
}
