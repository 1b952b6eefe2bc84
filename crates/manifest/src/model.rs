//! The manifest: types, and their JSON form.
//!
//! Readers ignore fields that they do not know. A change that an old reader would misunderstand
//! raises [`SCHEMA`].

use serde::{Deserialize, Serialize};

/// Version of the manifest's form.
pub const SCHEMA: u32 = 1;

/// Largest manifest in bytes that is read: several thousand applications and libraries.
pub const SIZE_MAX: u64 = 16 << 20;

/// What an image is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// Version of the program that made the image.
    pub unibeam: String,
    /// SHA-256 of the image's content in hexadecimal, as `unibeam image --json` reports it.
    pub digest: String,
    /// The release.
    pub release: ReleaseInfo,
    /// Its run-time system.
    pub runtime: Runtime,
    /// Its applications, in the order of its `.rel` file.
    pub applications: Vec<Application>,
    /// Shared libraries and loaders that were added to it, by path.
    pub libraries: Vec<Library>,
    /// What it boots, if that is not the kernel of the program that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// How it starts.
    pub boot: Boot,
}

/// A base that is not part of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its name, such as `osv`.
    pub family: String,
    /// Version of its kernel.
    pub version: String,
}

/// A release's name, version and origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseInfo {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// What built it: `mix`, `relx` or `systools`.
    pub built_with: String,
}

/// The Erlang run-time system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// Version of ERTS.
    pub version: String,
    /// Its directory in the guest.
    pub path: String,
    /// Bytes of its files.
    pub size: u64,
    /// The package it came from, if it is the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
}

/// One application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// One line about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How it is started: `permanent`, `transient`, `temporary`, `load` or `none`.
    pub start: String,
    /// Its directory in the guest.
    pub path: String,
    /// Bytes of its files.
    pub size: u64,
    /// Applications that it needs.
    pub requires: Vec<String>,
    /// What it says about its licences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
    /// The package it came from, if its `.app` file is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
}

/// A shared library or dynamic loader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// Its path in the guest.
    pub path: String,
    /// The name that it gives itself (`DT_SONAME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Files in the guest that need it, by path.
    pub needed_by: Vec<String>,
    /// The package it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
}

/// A Debian package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture, such as `amd64`.
    pub architecture: String,
    /// The distribution and its version, such as `debian-12` (os-release(5): `ID`, `VERSION_ID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<String>,
    /// The source package, if it has another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Licences that its machine-readable copyright file names, in Debian's spelling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
}

/// How the release starts. Values that may be secret are not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The kernel's command line, with [`HIDDEN`](crate::HIDDEN) for what may be secret.
    pub command_line: String,
    /// The program that is started.
    pub program: String,
    /// Programs that are started beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// Its working directory.
    pub directory: String,
    /// The host name.
    pub host_name: String,
    /// Names of the environment variables that are set, without their values.
    pub environment: Vec<String>,
}

/// Why bytes are not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON of the manifest's form.
    #[error("it is damaged: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of a later form.
    #[error(
        "it has the form {found}, this program knows forms up to {SCHEMA}; use a later unibeam"
    )]
    Schema {
        /// Its form.
        found: u32,
    },
}

/// The part of every form.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

impl Manifest {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// It is damaged, or later than this program.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let Head { schema } = serde_json::from_slice(bytes)?;
        if schema > SCHEMA {
            return Err(ManifestError::Schema { found: schema });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The JSON form, which ends in a newline; [`parse`](Self::parse) reads it back.
    pub fn emit(&self) -> String {
        // Only maps with keys other than strings cannot be written, and there are none.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }
}

impl PartialEq for ManifestError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}
