//! Signing an image while it is made.

use crate::cli::{PASSWORD_VARIABLE, SignArgs};
use crate::error::Error;
use crate::signature::{SignatureError, Signer, place};
use image::WholeFile;
use std::env;
use std::fs;
use std::path::Path;

/// A signature to be made, once there is something to sign.
pub(super) struct Signing {
    signer: Signer,
    file: WholeFile,
}

impl Signing {
    /// Gets the key ready, which may ask for its password, and the signature's file.
    ///
    /// # Errors
    /// The key is not usable, or the signature cannot be written.
    pub(super) fn new(args: &SignArgs, output: &Path) -> Result<Option<Self>, Error> {
        let Some(key) = &args.sign else {
            return Ok(None);
        };
        let password = || password(key, args.key_password_file.as_deref());
        Ok(Some(Self {
            signer: Signer::read(key, password)?,
            file: WholeFile::create(&place(output))?,
        }))
    }

    /// Signs the image. The comment, which is signed too, has the time only if one is given:
    /// that of the clock would say when the image was copied or made again.
    ///
    /// # Errors
    /// The image cannot be read, or the signature not written.
    pub(super) fn finish(self, image: &Path, digest: &str, time: Option<u32>) -> Result<(), Error> {
        let name = image.file_name().unwrap_or_default().to_string_lossy();
        let time = time.map(|time| format!("timestamp:{time} "));
        let time = time.unwrap_or_default();
        let comment = format!("{time}file:{} digest:{digest}", one_line(&name));
        let signature = self.signer.sign(image, &comment)?;
        Ok(self.file.finish(signature.as_bytes())?)
    }
}

/// A comment has one line.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// The password of a key: from a file, the environment or the terminal.
fn password(key: &Path, file: Option<&Path>) -> Result<String, SignatureError> {
    if let Some(path) = file {
        let text = fs::read_to_string(path).map_err(|source| SignatureError::ReadPassword {
            path: path.into(),
            source,
        })?;
        return Ok(text.lines().next().unwrap_or_default().into());
    }
    if let Ok(password) = env::var(PASSWORD_VARIABLE) {
        return Ok(password);
    }
    let prompt = format!("Password of {}: ", key.display());
    rpassword::prompt_password(prompt).map_err(|source| SignatureError::NoPassword {
        path: key.into(),
        source,
    })
}
