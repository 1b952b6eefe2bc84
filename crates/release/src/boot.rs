//! The boot script (`script(5)`): a `.boot` file is its term in External Term Format.

use crate::term::Term;
use crate::term::etf::{self, AtomStyle, DecodeError};

/// What `init` does at boot.
#[derive(Clone, Debug, PartialEq)]
pub struct BootScript {
    /// Name of the release.
    pub name: String,
    /// Version of the release.
    pub version: String,
    /// The instructions, in order.
    pub instructions: Vec<Term>,
    style: AtomStyle,
}

/// Why bytes are not a boot script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// Not an encoded term.
    #[error("{0}; make the boot script again (`systools:make_script/2`)")]
    Decode(#[from] DecodeError),
    /// Another term.
    #[error("not a boot script: expected `{{script, {{Name, Version}}, Instructions}}`")]
    Shape,
}

impl BootScript {
    pub(crate) fn new(
        name: &str,
        version: &str,
        instructions: Vec<Term>,
        style: AtomStyle,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            instructions,
            style,
        }
    }

    /// Reads a `.boot` file.
    ///
    /// # Errors
    /// [`BootError`] says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, BootError> {
        let (term, style) = etf::decode(bytes)?;
        let Term::Tuple(parts) = term else {
            return Err(BootError::Shape);
        };
        let Ok([tag, id, Term::List(instructions)]) = <[Term; 3]>::try_from(parts) else {
            return Err(BootError::Shape);
        };
        let (name, version) = match id.as_tuple() {
            Some([name, version]) => (name.to_text(), version.to_text()),
            _ => return Err(BootError::Shape),
        };
        match (tag.as_atom(), name, version) {
            (Some("script"), Some(name), Some(version)) => Ok(Self {
                name,
                version,
                instructions,
                style,
            }),
            _ => Err(BootError::Shape),
        }
    }

    /// Writes a `.boot` file, with atoms written as in the one that was read.
    pub fn emit(&self) -> Vec<u8> {
        let id = vec![Term::string(&self.name), Term::string(&self.version)];
        let script = Term::Tuple(vec![
            Term::atom("script"),
            Term::Tuple(id),
            Term::List(self.instructions.clone()),
        ]);
        etf::emit(&script, self.style)
    }

    /// Appends the instruction that reports readiness: it writes `line` and a line end to the
    /// file `device`.
    ///
    /// `init` runs the instructions one after the other and each `start_boot` waits for its
    /// application, so this one runs when all applications are started. `prim_file` is preloaded,
    /// needs no file server, and its result is ignored: a missing device does no harm.
    pub fn report_ready(&mut self, device: &str, line: &str) {
        let arguments = vec![
            Term::Binary(device.into()),
            Term::Binary(format!("{line}\n").into()),
        ];
        let call = vec![
            Term::atom("prim_file"),
            Term::atom("write_file"),
            Term::List(arguments),
        ];
        self.instructions
            .push(Term::Tuple(vec![Term::atom("apply"), Term::Tuple(call)]));
    }

    /// The applications that the script starts, in order.
    pub fn started_applications(&self) -> impl Iterator<Item = &str> {
        self.instructions.iter().filter_map(|instruction| {
            let [call] = instruction.tagged("apply")? else {
                return None;
            };
            let [function, Term::List(arguments)] = call.tagged("application")? else {
                return None;
            };
            (function.as_atom()? == "start_boot")
                .then(|| arguments.first()?.as_atom())
                .flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BootError, BootScript};
    use crate::term::etf::{AtomStyle, emit};
    use crate::term::text;

    fn boot(text: &str) -> Vec<u8> {
        emit(
            &text::parse_one(text.as_bytes()).unwrap(),
            AtomStyle::Latin1,
        )
    }

    #[test]
    fn parse_edit_emit() {
        let bytes = boot(
            r#"{script,{"hello","1"},[{preLoaded,[init]},
            {apply,{application,start_boot,[kernel,permanent]}},{progress,started}]}."#,
        );
        let mut script = BootScript::parse(&bytes).unwrap();
        assert_eq!(script.emit(), bytes);
        assert_eq!(
            script.started_applications().collect::<Vec<_>>(),
            ["kernel"]
        );
        script.report_ready("/dev/x", "up");
        let last = script.instructions.last().unwrap();
        assert_eq!(
            text::emit(last),
            "{apply,{prim_file,write_file,[<<\"/dev/x\">>,<<117,112,10>>]}}.\n"
        );
        assert_eq!(BootScript::parse(&script.emit()), Ok(script));
    }

    #[test]
    fn other_terms_are_refused() {
        assert_eq!(BootScript::parse(&boot("[].")), Err(BootError::Shape));
        assert_eq!(
            BootScript::parse(&boot(r#"{script,{"a"},[]}."#)),
            Err(BootError::Shape)
        );
        assert!(matches!(
            BootScript::parse(b"#!/bin/sh"),
            Err(BootError::Decode(_))
        ));
    }
}
