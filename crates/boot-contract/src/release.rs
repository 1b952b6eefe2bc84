//! What the kernel is told of a release: enough to do at boot what its start script does.
//!
//! | keyword | value |
//! |---|---|
//! | `release.flavour` | `systools`, `relx` or `mix`: whose start script it would have |
//! | `release.name`, `release.version` | as in its `.rel` file |
//! | `release.erts` | version of its run-time system |
//! | `release.elixir` | version of its Elixir, if it has one |
//! | `release.boot` | name of the boot script in `releases/VERSION`, without extension |
//! | `release.mode` | when modules are loaded (`embedded`, `interactive`), if not as the release says |
//! | `release.console` | `yes` for a shell on the console |

use alloc::string::String;

/// What built a release, which decides how it is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// OTP's own tools (`systools`, `reltool`): started by `start_erl`.
    #[default]
    Systools,
    /// relx (`rebar3 release`) with its extended start script.
    Relx,
    /// `mix release`.
    Mix,
}

impl Flavour {
    const ALL: [Self; 3] = [Self::Systools, Self::Relx, Self::Mix];

    /// Its name for people and machines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Systools => "systools",
            Self::Relx => "relx",
            Self::Mix => "mix",
        }
    }

    /// The flavour with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flavour| flavour.name() == name)
    }
}

/// A release, as far as its start depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// What built it.
    pub flavour: Flavour,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of its run-time system.
    pub erts: String,
    /// Version of its Elixir; empty if it has none.
    pub elixir: String,
    /// Name of its boot script, without extension.
    pub boot: String,
    /// When modules are loaded, unless a variable says so at boot; empty if the release says it.
    pub mode: String,
    /// Whether a shell is started on the console.
    pub console: bool,
}

const YES: &str = "yes";

impl Release {
    /// Takes the value of `release.KEYWORD`; whether it means something.
    pub(crate) fn apply(&mut self, keyword: &str, value: String) -> bool {
        match keyword {
            "flavour" => match Flavour::from_name(&value) {
                Some(flavour) => self.flavour = flavour,
                None => return false,
            },
            "name" => self.name = value,
            "version" => self.version = value,
            "erts" => self.erts = value,
            "elixir" => self.elixir = value,
            "boot" => self.boot = value,
            "mode" => self.mode = value,
            "console" => self.console = value == YES,
            _ => return false,
        }
        true
    }

    /// Keywords with their values, without those that are empty.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("release.flavour", self.flavour.name()),
            ("release.name", &self.name),
            ("release.version", &self.version),
            ("release.erts", &self.erts),
            ("release.elixir", &self.elixir),
            ("release.boot", &self.boot),
            ("release.mode", &self.mode),
            ("release.console", if self.console { YES } else { "" }),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty())
    }
}
