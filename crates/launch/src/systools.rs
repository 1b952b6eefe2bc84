//! Starts of releases made by OTP's own tools.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Files;
use crate::start::{Script, Start};

impl<F: Files> Start<'_, F> {
    /// As `start_erl` does it, in the foreground (otp: erts/etc/unix/start_erl.src), with embedded
    /// code loading unless the user says otherwise.
    pub(crate) fn systools_script(&self) -> Script {
        let mut words: Vec<String> = ["-noshell", "-noinput", "-boot"].map(Into::into).into();
        words.push(self.version_file(&self.release.boot));
        let mode = match self.release.mode.as_str() {
            "" => "embedded",
            mode => mode,
        };
        words.extend(["-mode", mode].map(Into::into));
        if self.has(&self.version_file("sys.config")) {
            words.extend(["-config".into(), self.version_file("sys")]);
        }
        // Only a bare `.rel` file has one and is not of relx: nothing else would give it.
        let arguments = self.version_file("vm.args");
        if self.has(&arguments) {
            words.extend(["-args_file".into(), arguments]);
        }
        words.extend(self.wanted.args.iter().cloned());
        let env = self.env();
        Script { words, env }
    }
}
