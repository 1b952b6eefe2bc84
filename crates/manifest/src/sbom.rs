//! The bill of materials in CycloneDX 1.5 (JSON; ECMA-424, <https://cyclonedx.org/docs/1.5/json/>).
//!
//! It says nothing that the manifest does not say, so it is the same for the same image: it has no
//! serial number, and the time only if one is given.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::date::rfc3339;
use crate::model::{Application, Library, Manifest, Package};

/// A bill of materials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bom {
    /// `CycloneDX`.
    pub bom_format: String,
    /// `1.5`.
    pub spec_version: String,
    /// Version of this bill: 1.
    pub version: u32,
    /// About the whole.
    pub metadata: Metadata,
    /// The parts.
    pub components: Vec<Component>,
    /// Which part needs which.
    pub dependencies: Vec<Dependency>,
}

/// What a bill is about, and what made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// When it was made, if that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// What made it.
    pub tools: Tools,
    /// The release.
    pub component: Component,
}

/// What made a bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// Programs.
    pub components: Vec<Component>,
}

/// A part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// `application`, `library`, `operating-system` or `file`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name within the bill, which is unique.
    #[serde(default, rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    pub bom_ref: Option<String>,
    /// Name.
    pub name: String,
    /// Version, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// One line about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its licences as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<LicenseChoice>,
    /// Package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Further facts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
    /// Parts of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
}

/// Wraps a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseChoice {
    /// The licence.
    pub license: License,
}

/// A licence: by its SPDX identifier if it has one, else by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum License {
    /// SPDX identifier.
    Id(String),
    /// Name.
    Name(String),
}

/// A further fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// Name, starting in `unibeam:`.
    pub name: String,
    /// Value.
    pub value: String,
}

/// What a part needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependency {
    /// The part.
    #[serde(rename = "ref")]
    pub of: String,
    /// What it needs.
    pub depends_on: Vec<String>,
}

/// Identifiers of the SPDX list that packages of Hex and Debian's copyright files commonly use. Other names
/// of licences are kept as they are.
const SPDX: [&str; 22] = [
    "0BSD",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "EPL-2.0",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "MIT",
    "MPL-2.0",
    "Unlicense",
    "X11",
    "Zlib",
];

/// Where the kernel is in a bill.
const KERNEL: &str = "kernel";

impl Bom {
    /// The bill of an image, made at `time` (seconds since 1970) if that is to be said.
    pub fn new(manifest: &Manifest, time: Option<u32>) -> Self {
        Self {
            bom_format: "CycloneDX".into(),
            spec_version: "1.5".into(),
            version: 1,
            metadata: Metadata {
                timestamp: time.map(rfc3339),
                tools: Tools {
                    components: vec![Component {
                        kind: "application".into(),
                        name: "unibeam".into(),
                        version: known(&manifest.unibeam),
                        ..Component::default()
                    }],
                },
                component: release(manifest),
            },
            components: components(manifest),
            dependencies: dependencies(manifest),
        }
    }

    /// The JSON form, which ends in a newline.
    pub fn emit(&self) -> String {
        // Only maps with keys other than strings cannot be written, and there are none.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// A text, unless it is empty.
fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.into())
}

fn release(manifest: &Manifest) -> Component {
    let digest = known(&manifest.digest).map(|digest| property("digest", digest));
    Component {
        kind: "application".into(),
        bom_ref: Some(release_ref(manifest)),
        name: manifest.release.name.clone(),
        version: known(&manifest.release.version),
        properties: digest.into_iter().collect(),
        ..Component::default()
    }
}

fn property(name: &str, value: impl ToString) -> Property {
    Property {
        name: format!("unibeam:{name}"),
        value: value.to_string(),
    }
}

fn release_ref(manifest: &Manifest) -> String {
    format!("release/{}", manifest.release.name)
}

fn runtime_ref() -> String {
    "runtime/erts".into()
}

fn application_ref(name: &str) -> String {
    format!("application/{name}")
}

fn library_ref(library: &Library) -> String {
    format!("library{}", library.path)
}

/// The package's package URL (purl-spec, type `deb`), by which it is also known in the bill.
fn purl(package: &Package) -> String {
    let distribution = package.distribution.as_deref().unwrap_or("debian");
    let vendor = distribution.split('-').next().unwrap_or(distribution);
    let mut purl = format!(
        "pkg:deb/{}/{}@{}?arch={}",
        escaped(vendor),
        escaped(&package.name),
        escaped(&package.version),
        escaped(&package.architecture)
    );
    if package.distribution.is_some() {
        purl.push_str("&distro=");
        purl.push_str(&escaped(distribution));
    }
    purl
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 §2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn licenses(names: &[String]) -> Vec<LicenseChoice> {
    let license = |name: &String| LicenseChoice {
        license: if SPDX.contains(&name.as_str()) {
            License::Id(name.clone())
        } else {
            License::Name(name.clone())
        },
    };
    names.iter().map(license).collect()
}

/// The kernel: ours, of the version that made the image, or that of another base.
fn kernel(manifest: &Manifest) -> Component {
    let (name, version) = match &manifest.base {
        Some(base) => (base.family.as_str(), &base.version),
        None => ("unibeam", &manifest.unibeam),
    };
    Component {
        kind: "operating-system".into(),
        bom_ref: Some(KERNEL.into()),
        name: name.into(),
        version: known(version),
        description: Some("the kernel that the image boots".into()),
        ..Component::default()
    }
}

fn components(manifest: &Manifest) -> Vec<Component> {
    let mut components = vec![
        kernel(manifest),
        Component {
            kind: "application".into(),
            bom_ref: Some(runtime_ref()),
            name: "erts".into(),
            version: known(&manifest.runtime.version),
            description: Some("the Erlang run-time system".into()),
            properties: vec![property("path", &manifest.runtime.path)],
            ..Component::default()
        },
    ];
    components.extend(manifest.applications.iter().map(application));
    components.extend(packages(manifest));
    let strays = manifest
        .libraries
        .iter()
        .filter(|library| library.package.is_none());
    components.extend(strays.map(|library| Component {
        kind: "library".into(),
        ..file(library)
    }));
    components
}

fn application(application: &Application) -> Component {
    Component {
        kind: "library".into(),
        bom_ref: Some(application_ref(&application.name)),
        name: application.name.clone(),
        version: known(&application.version),
        description: known(&application.description),
        licenses: licenses(&application.licenses),
        properties: vec![
            property("path", &application.path),
            property("start", &application.start),
        ],
        ..Component::default()
    }
}

/// The packages with the libraries that are from them, by their package URLs.
fn packages(manifest: &Manifest) -> Vec<Component> {
    let runtime = manifest.runtime.package.iter();
    let applications = manifest.applications.iter();
    let without_files = runtime.chain(applications.filter_map(|app| app.package.as_ref()));
    let mut packages: BTreeMap<String, Component> = without_files
        .map(|package| (purl(package), component_of(package)))
        .collect();
    for library in &manifest.libraries {
        if let Some(package) = &library.package {
            let entry = packages.entry(purl(package));
            let component = entry.or_insert_with(|| component_of(package));
            component.components.push(file(library));
        }
    }
    packages.into_values().collect()
}

fn component_of(package: &Package) -> Component {
    let source = package.source.as_ref();
    Component {
        kind: "library".into(),
        bom_ref: Some(purl(package)),
        name: package.name.clone(),
        version: known(&package.version),
        licenses: licenses(&package.licenses),
        purl: Some(purl(package)),
        properties: source
            .map(|name| property("source-package", name))
            .into_iter()
            .collect(),
        ..Component::default()
    }
}

fn file(library: &Library) -> Component {
    let soname = library.soname.as_ref();
    Component {
        kind: "file".into(),
        bom_ref: Some(library_ref(library)),
        name: library.path.clone(),
        properties: soname
            .map(|name| property("soname", name))
            .into_iter()
            .collect(),
        ..Component::default()
    }
}

/// The release needs its applications, these each other, everything the run-time system; libraries
/// are needed by what lies in the directories of these, and by each other.
fn dependencies(manifest: &Manifest) -> Vec<Dependency> {
    let applications = manifest.applications.iter();
    let mut dependencies = vec![dependency(
        release_ref(manifest),
        applications
            .clone()
            .map(|app| application_ref(&app.name))
            .chain([KERNEL.into()]),
    )];
    let runtime = needs(
        manifest,
        &manifest.runtime.path,
        manifest.runtime.package.as_ref(),
    );
    dependencies.push(dependency(runtime_ref(), runtime));
    dependencies.extend(applications.map(|app| {
        let here = |name: &&String| manifest.applications.iter().any(|app| app.name == **name);
        let required = app
            .requires
            .iter()
            .filter(here)
            .map(|name| application_ref(name));
        let files = needs(manifest, &app.path, app.package.as_ref());
        dependency(
            application_ref(&app.name),
            required.chain(files).chain([runtime_ref()]),
        )
    }));
    dependencies.extend(manifest.libraries.iter().map(|user| {
        let libraries = manifest.libraries.iter();
        let needed = libraries.filter(|library| library.needed_by.contains(&user.path));
        dependency(library_ref(user), needed.map(library_ref))
    }));
    dependencies
}

fn dependency(of: String, needed: impl Iterator<Item = String>) -> Dependency {
    let mut depends_on: Vec<_> = needed.filter(|needed| *needed != of).collect();
    depends_on.sort();
    depends_on.dedup();
    Dependency { of, depends_on }
}

/// The libraries that files of a directory need, and the package of the directory.
fn needs<'a>(
    manifest: &'a Manifest,
    directory: &'a str,
    package: Option<&'a Package>,
) -> impl Iterator<Item = String> + 'a {
    let inside = move |path: &String| {
        let rest = path.strip_prefix(directory);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let libraries = manifest.libraries.iter();
    libraries
        .filter(move |library| library.needed_by.iter().any(inside))
        .map(library_ref)
        .chain(package.map(purl))
}
