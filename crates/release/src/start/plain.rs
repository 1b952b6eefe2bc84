//! Starts of releases made by OTP's own tools and by relx.

use std::collections::BTreeMap;
use std::path::Path;

use super::{CodeLoading, Script, StartOptions, guest_file};
use crate::term::text;
use crate::tree::TreeEntry;
use crate::{Error, GUEST_ROOT, Release, read};
use launch::substitute::substitute;

impl Release {
    /// As `start_erl` does it, in the foreground (otp: erts/etc/unix/start_erl.src), with embedded
    /// code loading unless the user says otherwise.
    ///
    /// A `vm.args` beside a bare `.rel` file has no start script that would give it to the emulator,
    /// so it is given here, as relx does it.
    pub(super) fn systools_script(&self, options: &StartOptions) -> Result<Script, Error> {
        let directory = self.guest_version_dir();
        let boot = self.default_boot_path().ok();
        let boot = boot.as_deref().and_then(stem).unwrap_or("start");
        let mut words: Vec<String> = ["-noshell", "-noinput", "-boot"].map(Into::into).into();
        words.push(guest_file(&directory, boot));
        let mode = options.code_loading.unwrap_or(CodeLoading::Embedded);
        words.extend(["-mode", mode.name()].map(Into::into));
        if self.version_dir().join("sys.config").is_file() {
            words.extend(["-config".into(), guest_file(&directory, "sys")]);
        }
        let mut script = Script {
            words,
            env: options.env.clone(),
            ..Script::default()
        };
        let vm_args = self.version_dir().join("vm.args");
        if self.bare.is_some() && vm_args.is_file() {
            let file = guest_file(&directory, "vm.args");
            let content = read::metadata_file(&vm_args)?;
            script.words.extend(["-args_file".into(), file.clone()]);
            script.replaced.insert(file, content);
        }
        script.words.extend(options.args.iter().cloned());
        Ok(script)
    }

    /// As relx's extended start script does it for `foreground`
    /// (relx: priv/templates/extended_bin).
    pub(super) fn relx_script(&self, options: &StartOptions) -> Result<Script, Error> {
        let directory = self.guest_version_dir();
        let boot = self.default_boot_path()?;
        let boot = stem(&boot).unwrap_or("start");
        let mut script = Script {
            env: self.relx_env(),
            ..Script::default()
        };
        script.env.extend(options.env.clone());
        if let Some(mode) = options.code_loading {
            let name = "CODE_LOADING_MODE".into();
            script.env.insert(name, mode.to_string());
        }
        let mode = script.env.get("CODE_LOADING_MODE").cloned();
        let lib = format!("{GUEST_ROOT}/lib");
        // The console has a break handler.
        let foreground = ["-noinput", "+Bd"].map(String::from);
        let words = [
            "-boot",
            &guest_file(&directory, boot),
            "-mode",
            &mode.unwrap_or_else(|| CodeLoading::Embedded.to_string()),
            // Older versions of relx called it ERTS_LIB_DIR.
            "-boot_var",
            "SYSTEM_LIB_DIR",
            &lib,
            "-boot_var",
            "ERTS_LIB_DIR",
            &lib,
        ];
        script.words = words.map(String::from).to_vec();
        if !options.console {
            script.words.splice(..0, foreground);
        }
        if self.instantiate("sys.config", &mut script)? {
            let config = guest_file(&directory, "sys.config");
            script.words.extend(["-config".into(), config]);
        }
        if self.instantiate("vm.args", &mut script)? {
            let file = guest_file(&directory, "vm.args");
            script.words.extend(["-args_file".into(), file]);
        }
        script.words.push("--".into());
        script.words.extend(options.args.iter().cloned());
        Ok(script)
    }

    fn relx_env(&self) -> BTreeMap<String, String> {
        let program = format!("{GUEST_ROOT}/bin/{}", self.rel.name);
        [
            ("REL_NAME", self.rel.name.as_str()),
            ("RELEASE_NAME", &self.rel.name),
            ("RELEASE_VSN", &self.rel.version),
            ("RELEASE_PROG", &program),
            ("PROGNAME", &self.rel.name),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
    }

    /// Makes a file from its template `NAME.src`, as relx does at every start, with the variables
    /// known now. Returns whether the file exists, from a template or not.
    fn instantiate(&self, name: &str, script: &mut Script) -> Result<bool, Error> {
        let path = self.version_dir().join(name);
        let template = self.version_dir().join(format!("{name}.src"));
        if !template.is_file() {
            return Ok(path.is_file());
        }
        let content =
            substitute(&self.read_text(&template)?, &script.env).map_err(|name| Error::Unset {
                path: template.clone(),
                name,
            })?;
        if name.ends_with(".config") {
            // The emulator would find the mistake only at boot.
            text::parse_one(content.as_bytes()).map_err(|error| Error::Text {
                path: template,
                error,
            })?;
        }
        let guest = self.guest(&path)?;
        let content = content.into_bytes();
        script.replaced.insert(guest.to_string(), content.clone());
        script.files.push(TreeEntry::bytes(guest, content));
        Ok(true)
    }
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}
