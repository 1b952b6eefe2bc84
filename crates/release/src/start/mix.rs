//! Starts of releases made by `mix release`: what `bin/NAME start` and `releases/VERSION/elixir`
//! do (Elixir 1.14: lib/mix/lib/mix/tasks/release.init.ex, bin/elixir).

use std::collections::BTreeMap;

use super::{Note, Script, StartOptions, guest_file};
use crate::tree::{GuestPath, TreeEntry};
use crate::{Error, GUEST_ROOT, Release, env_sh};

type Env = BTreeMap<String, String>;

/// A line with this text in `sys.config` tells the start script that configuration providers
/// write the file at boot, so that it has to be a copy.
const RUNTIME_CONFIG: &str = "RUNTIME_CONFIG=true";

impl Release {
    pub(super) fn mix_script(&self, options: &StartOptions) -> Result<Script, Error> {
        let (mut env, notes) = self.mix_env(options)?;
        let mut files = Vec::new();
        if let Some((name, entry)) = self.runtime_config(&env)? {
            env.insert("RELEASE_SYS_CONFIG".into(), name);
            files.push(entry);
        }
        let get = |name: &str| env.get(name).cloned().unwrap_or_default();
        let mut words: Vec<String> = split_words(&get("ELIXIR_ERL_OPTIONS"));
        let program = if options.console {
            ["-noshell", "-user", "Elixir.IEx.CLI"].as_slice()
        } else {
            &["-noshell", "-s", "elixir", "start_cli"]
        };
        words.extend(program.iter().map(|&word| word.into()));
        words.push("-mode".into());
        words.extend(split_words(&get("RELEASE_MODE")));
        words.extend(["-setcookie".into(), get("RELEASE_COOKIE")]);
        words.extend(distribution(
            &get("RELEASE_DISTRIBUTION"),
            get("RELEASE_NODE"),
        )?);
        let boot = guest_file(&self.guest_version_dir(), &get("RELEASE_BOOT_SCRIPT"));
        let rest = [
            "-config",
            &get("RELEASE_SYS_CONFIG"),
            "-boot",
            &boot,
            "-boot_var",
            "RELEASE_LIB",
            &format!("{GUEST_ROOT}/lib"),
            "-args_file",
            &get("RELEASE_VM_ARGS"),
            "-extra",
            "--no-halt",
        ];
        words.extend(rest.map(String::from));
        words.extend(options.console.then(|| "+iex".into()));
        words.extend(options.args.iter().cloned());
        env.remove("ELIXIR_ERL_OPTIONS");
        Ok(Script {
            words,
            env,
            files,
            notes,
            ..Script::default()
        })
    }

    /// Name of the boot script, without extension.
    pub(super) fn mix_boot_name(&self, options: &StartOptions) -> Result<String, Error> {
        let (env, _) = self.mix_env(options)?;
        Ok(env
            .get("RELEASE_BOOT_SCRIPT")
            .map_or_else(|| "start".into(), Clone::clone))
    }

    /// The variables that the start script exports, and the lines of `env.sh` without effect.
    fn mix_env(&self, options: &StartOptions) -> Result<(Env, Vec<Note>), Error> {
        let mut env = options.env.clone();
        let name = self.rel.name.as_str();
        let directory = self.guest_version_dir();
        env.insert("RELEASE_ROOT".into(), GUEST_ROOT.into());
        set_defaults(&mut env, &[("RELEASE_NAME", name)]);
        env.insert("RELEASE_VSN".into(), self.rel.version.clone());
        env.insert("RELEASE_COMMAND".into(), "start".into());
        set_defaults(&mut env, &[("RELEASE_PROG", name)]);
        let notes = self.apply_env_sh(&mut env)?;
        if let Some(mode) = options.code_loading {
            env.insert("RELEASE_MODE".into(), mode.to_string());
        }
        let node = env.get("RELEASE_NAME").cloned().unwrap_or_default();
        let cookie = self.cookie()?;
        set_defaults(
            &mut env,
            &[
                ("RELEASE_COOKIE", &cookie),
                ("RELEASE_MODE", "embedded"),
                ("RELEASE_NODE", &node),
                ("RELEASE_TMP", &format!("{GUEST_ROOT}/tmp")),
                ("RELEASE_VM_ARGS", &guest_file(&directory, "vm.args")),
                (
                    "RELEASE_REMOTE_VM_ARGS",
                    &guest_file(&directory, "remote.vm.args"),
                ),
                ("RELEASE_DISTRIBUTION", "sname"),
                ("RELEASE_BOOT_SCRIPT", "start"),
                ("RELEASE_BOOT_SCRIPT_CLEAN", "start_clean"),
                ("RELEASE_SYS_CONFIG", &guest_file(&directory, "sys")),
            ],
        );
        Ok((env, notes))
    }

    fn apply_env_sh(&self, env: &mut Env) -> Result<Vec<Note>, Error> {
        let path = self.version_dir().join("env.sh");
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let script = self.read_text(&path)?;
        let note = |ignored: env_sh::Ignored| Note::EnvShLine {
            path: self.shown(&path),
            line: ignored.line,
            text: ignored.text,
        };
        Ok(env_sh::apply(&script, env).into_iter().map(note).collect())
    }

    /// `releases/COOKIE`, without line ends at its end.
    fn cookie(&self) -> Result<String, Error> {
        let path = self.root().join("releases/COOKIE");
        if !path.is_file() {
            return Ok(String::new());
        }
        let text = self.read_text(&path)?;
        Ok(text.trim_end_matches('\n').into())
    }

    /// The copy of `sys.config` that configuration providers may rewrite, if there are any: its
    /// name without extension, and the file. The start script names it by date and chance; one
    /// name is enough in a guest that starts once.
    fn runtime_config(&self, env: &Env) -> Result<Option<(String, TreeEntry)>, Error> {
        let get = |name: &str| env.get(name).map_or("", String::as_str);
        let config = format!("{}.config", get("RELEASE_SYS_CONFIG"));
        let below = config
            .strip_prefix(GUEST_ROOT)
            .map(|path| path.trim_start_matches('/'));
        let path = self
            .root()
            .join(below.ok_or_else(|| Error::OutsideRelease(config.clone()))?);
        let text = self.read_text(&path)?;
        if !text.contains(RUNTIME_CONFIG) {
            return Ok(None);
        }
        let name = format!(
            "{}/{}-{}.runtime",
            get("RELEASE_TMP"),
            get("RELEASE_NAME"),
            get("RELEASE_VSN")
        );
        let guest = GuestPath::new(format!("{name}.config"));
        let guest = guest.ok_or_else(|| Error::OutsideRelease(name.clone()))?;
        Ok(Some((name, TreeEntry::bytes(guest, text))))
    }
}

/// As `${NAME:-value}`: an empty variable counts as none.
fn set_defaults(env: &mut Env, defaults: &[(&str, &str)]) {
    for (name, value) in defaults {
        if env.get(*name).is_none_or(String::is_empty) {
            env.insert((*name).into(), (*value).into());
        }
    }
}

/// Words of an unquoted shell variable.
fn split_words(text: &str) -> Vec<String> {
    text.split_whitespace().map(Into::into).collect()
}

fn distribution(kind: &str, node: String) -> Result<Vec<String>, Error> {
    match kind {
        "none" => Ok(Vec::new()),
        "name" | "sname" => Ok(vec![format!("-{kind}"), node]),
        other => Err(Error::Distribution(other.into())),
    }
}
