//! Starts of releases made by `mix release`: what `bin/NAME start` and `releases/VERSION/elixir`
//! do (Elixir: lib/mix/lib/mix/tasks/release.init.ex, bin/elixir, bin/iex).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::elixir::Elixir;
use crate::error::Error;
use crate::start::{Env, Script, Start, guest_file, set, set_defaults};
use crate::{Files, GUEST_ROOT, Note, env_sh};

/// A line with this text in `sys.config` tells the start script that configuration providers
/// write the file at boot, so that it has to be a copy.
const RUNTIME_CONFIG: &str = "RUNTIME_CONFIG=true";

/// The part of a provider's state in `sys.config` that says that the system starts again with
/// what the providers found (Elixir: `Config.Provider`).
const REBOOT: &str = "reboot_system_after_config=>true";

impl<F: Files> Start<'_, F> {
    pub(crate) fn mix_script(&mut self) -> Result<Script, Error<F::Error>> {
        let mut env = self.mix_env()?;
        let reboots = self.runtime_config(&mut env)?;
        let elixir = Elixir::of_version(&self.release.elixir);
        let get = |name: &str| env.get(name).cloned().unwrap_or_default();
        let options = get("ELIXIR_ERL_OPTIONS");
        let mut words = elixir.words(options.split_whitespace(), self.release.console);
        words.extend(elixir.mode(reboots).iter().map(|&word| word.into()));
        words.extend(get("RELEASE_MODE").split_whitespace().map(Into::into));
        words.extend(cookie_words(get("RELEASE_COOKIE")));
        words.extend(node_words(
            &get("RELEASE_DISTRIBUTION"),
            get("RELEASE_NODE"),
        )?);
        let rest = [
            "-config",
            &get("RELEASE_SYS_CONFIG"),
            "-boot",
            &self.version_file(&get("RELEASE_BOOT_SCRIPT")),
            "-boot_var",
            "RELEASE_LIB",
            &guest_file(GUEST_ROOT, "lib"),
            "-args_file",
            &get("RELEASE_VM_ARGS"),
            "-extra",
        ];
        words.extend(rest.map(String::from));
        words.extend(
            elixir
                .extra(self.release.console)
                .iter()
                .map(|&word| word.into()),
        );
        words.extend(self.wanted.args.iter().cloned());
        env.remove("ELIXIR_ERL_OPTIONS");
        Ok(Script { words, env })
    }

    /// The variables that the start script exports.
    fn mix_env(&mut self) -> Result<Env, Error<F::Error>> {
        let mut env = self.env();
        let name = self.release.name.as_str();
        let command = if self.release.console {
            "start_iex"
        } else {
            "start"
        };
        set_defaults(&mut env, &[("RELEASE_NAME", name), ("RELEASE_PROG", name)]);
        let forced = [
            ("RELEASE_ROOT", GUEST_ROOT),
            ("RELEASE_VSN", &self.release.version),
            ("RELEASE_COMMAND", command),
        ];
        set(&mut env, &forced);
        self.apply_env_sh(&mut env)?;
        if let Some(mode) = self.mode("RELEASE_MODE") {
            set(&mut env, &[("RELEASE_MODE", mode)]);
        }
        let node = env.get("RELEASE_NAME").cloned().unwrap_or_default();
        let cookie = self.text(&guest_file(GUEST_ROOT, "releases/COOKIE"))?;
        let cookie = cookie.unwrap_or_default();
        let defaults = [
            ("RELEASE_COOKIE", cookie.trim_end_matches('\n')),
            ("RELEASE_MODE", "embedded"),
            ("RELEASE_NODE", &node),
            ("RELEASE_TMP", &guest_file(GUEST_ROOT, "tmp")),
            ("RELEASE_VM_ARGS", &self.version_file("vm.args")),
            (
                "RELEASE_REMOTE_VM_ARGS",
                &self.version_file("remote.vm.args"),
            ),
            ("RELEASE_DISTRIBUTION", "sname"),
            ("RELEASE_BOOT_SCRIPT", &self.release.boot),
            ("RELEASE_BOOT_SCRIPT_CLEAN", "start_clean"),
            ("RELEASE_SYS_CONFIG", &self.version_file("sys")),
        ];
        set_defaults(&mut env, &defaults);
        Ok(env)
    }

    fn apply_env_sh(&mut self, env: &mut Env) -> Result<(), Error<F::Error>> {
        let path = self.version_file("env.sh");
        let script = self.text(&path)?.unwrap_or_default();
        let note = |ignored: env_sh::Ignored| Note::EnvShLine {
            path: path.clone(),
            line: ignored.line,
            text: ignored.text,
        };
        self.notes
            .extend(env_sh::apply(&script, env).into_iter().map(note));
        Ok(())
    }

    /// Makes the copy of `sys.config` that configuration providers may rewrite, if there are any;
    /// whether they start the system again. The start script names the copy by date and chance;
    /// one name is enough in a guest that starts once.
    fn runtime_config(&mut self, env: &mut Env) -> Result<bool, Error<F::Error>> {
        let get = |name: &str| env.get(name).map_or("", String::as_str);
        let path = format!("{}.config", get("RELEASE_SYS_CONFIG"));
        let Some(text) = self.text(&path)? else {
            return Err(Error::Missing { path });
        };
        if !text.contains(RUNTIME_CONFIG) {
            return Ok(false);
        }
        let copy = format!(
            "{}/{}-{}.runtime",
            get("RELEASE_TMP"),
            get("RELEASE_NAME"),
            get("RELEASE_VSN")
        );
        env.insert("RELEASE_SYS_CONFIG".into(), copy.clone());
        let reboots = text.replace(' ', "").contains(REBOOT);
        self.write(format!("{copy}.config"), text);
        Ok(reboots)
    }
}

fn cookie_words(cookie: String) -> Vec<String> {
    if cookie.is_empty() {
        // Neither a file nor a variable: the node makes one of its own.
        return Vec::new();
    }
    ["-setcookie".into(), cookie].into()
}

fn node_words<E>(kind: &str, node: String) -> Result<Vec<String>, Error<E>> {
    match kind {
        "none" => Ok(Vec::new()),
        "name" | "sname" => Ok([format!("-{kind}"), node].into()),
        other => Err(Error::Distribution(other.into())),
    }
}
