//! Starts of releases made by relx: what its extended start script does for `foreground` and
//! `console` (relx: priv/templates/extended_bin).
//!
//! Where the filled templates are put (`RELX_OUT_FILE_PATH`, `RELX_MULTI_NODE`) makes no
//! difference in a guest: its root can be written to, and it starts once.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::Error;
use crate::start::{Env, Script, Start, guest_file, set, set_defaults};
use crate::substitute::substitute;
use crate::{Files, GUEST_ROOT, Unset};

impl<F: Files> Start<'_, F> {
    pub(crate) fn relx_script(&mut self) -> Result<Script, Error<F::Error>> {
        let mut env = self.relx_env();
        let arguments = self.configuration("vm.args", "VMARGS_PATH", &env)?;
        let config = self.configuration("sys.config", "RELX_CONFIG_PATH", &env)?;
        set(&mut env, &[("PROGNAME", &self.release.name)]);
        if let Some(mode) = self.mode("CODE_LOADING_MODE") {
            set(&mut env, &[("CODE_LOADING_MODE", mode)]);
        }
        let mode = env.get("CODE_LOADING_MODE").filter(|mode| !mode.is_empty());
        let mode = mode.map_or("embedded", String::as_str);
        let lib = guest_file(GUEST_ROOT, "lib");
        let mut words: Vec<String> = Vec::new();
        if !self.release.console {
            // The console has a break handler.
            words.extend(["-noinput", "+Bd"].map(String::from));
        }
        let fixed = [
            "-boot",
            &self.version_file(&self.release.boot),
            "-mode",
            mode,
            // Older versions of relx called it ERTS_LIB_DIR.
            "-boot_var",
            "SYSTEM_LIB_DIR",
            &lib,
            "-boot_var",
            "ERTS_LIB_DIR",
            &lib,
        ];
        words.extend(fixed.map(String::from));
        words.extend(config.into_iter().flat_map(|path| ["-config".into(), path]));
        let port = self.distribution_port(&env, arguments.as_deref())?;
        words.extend(
            arguments
                .into_iter()
                .flat_map(|path| ["-args_file".into(), path]),
        );
        words.extend(port);
        // The command is among the arguments.
        let command = if self.release.console {
            "console"
        } else {
            "foreground"
        };
        words.extend(["--", command].map(String::from));
        words.extend(self.wanted.args.iter().cloned());
        Ok(Script { words, env })
    }

    /// The variables that the script exports before it fills the templates.
    fn relx_env(&self) -> Env {
        let mut env = self.env();
        let name = self.release.name.as_str();
        let program = guest_file(GUEST_ROOT, &format!("bin/{name}"));
        let rpc_timeout = env
            .get("NODETOOL_TIMEOUT")
            .and_then(|milliseconds| milliseconds.parse::<u64>().ok())
            .map_or(60, |milliseconds| milliseconds / 1000)
            .to_string();
        let defaults = [
            ("RELX_RPC_TIMEOUT", rpc_timeout.as_str()),
            ("RUN_ERL_DISABLE_FLOWCNTRL", "true"),
        ];
        set_defaults(&mut env, &defaults);
        let forced = [
            ("REL_NAME", name),
            ("RELEASE_NAME", name),
            ("RELEASE_VSN", &self.release.version),
            ("RELEASE_PROG", &program),
            ("ROOTDIR", GUEST_ROOT),
            ("BINDIR", &self.bin()),
            ("EMU", "beam"),
            ("PROGNAME", "erl"),
        ];
        set(&mut env, &forced);
        env
    }

    /// The path of a file of the configuration, made from its template `NAME.src` or, if
    /// `RELX_REPLACE_OS_VARS` says so, from itself; `None` if it does not exist.
    fn configuration(
        &mut self,
        name: &str,
        variable: &str,
        env: &Env,
    ) -> Result<Option<String>, Error<F::Error>> {
        let get = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let path = match get(variable) {
            Some(path) => path.clone(),
            None => self.default_path(name),
        };
        let original = format!("{path}.orig");
        let template = format!("{path}.src");
        if self.has(&template) {
            self.fill(&template, &path, env)?;
        } else if get("RELX_REPLACE_OS_VARS").is_some() {
            let has_original = self.has(&original);
            self.fill(if has_original { &original } else { &path }, &path, env)?;
        } else if let Some(text) = self.text(&original)? {
            self.write(path.clone(), text);
        }
        Ok(self.has(&path).then_some(path))
    }

    /// The file in the release's root, if there is one, else in `releases/VERSION`.
    fn default_path(&self, name: &str) -> String {
        let path = guest_file(GUEST_ROOT, name);
        if self.has(&path) {
            path
        } else {
            self.version_file(name)
        }
    }

    fn fill(&mut self, template: &str, path: &str, env: &Env) -> Result<(), Error<F::Error>> {
        let Some(text) = self.text(template)? else {
            return Ok(());
        };
        let filled = substitute(&text, env);
        let unset = filled.unset.into_iter().map(|(line, name)| Unset {
            path: template.into(),
            line,
            name,
        });
        self.unset.extend(unset);
        self.write(path.into(), filled.text);
        Ok(())
    }

    /// What `ERL_DIST_PORT` adds (since OTP 23.1; before, the port was for listening only).
    fn distribution_port(
        &mut self,
        env: &Env,
        arguments: Option<&str>,
    ) -> Result<Vec<String>, Error<F::Error>> {
        let Some(port) = env.get("ERL_DIST_PORT").filter(|port| !port.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut words = ["-erl_epmd_port".into(), port.clone()].to_vec();
        let arguments = match arguments {
            Some(path) => self.text(path)?.unwrap_or_default(),
            None => String::new(),
        };
        let decided = arguments
            .lines()
            .any(|line| line.starts_with("-start_epmd"));
        if !decided {
            words.extend(["-start_epmd".into(), "false".into()]);
        }
        Ok(words)
    }
}
