//! The bill of materials: well-formed for every manifest, and what it says about a small one.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

use manifest::sbom::{Bom, Component, License};
use manifest::{Application, Base, Library, Manifest, Package};
use std::collections::BTreeSet;

fn package(name: &str, licenses: &[&str]) -> Package {
    Package {
        name: name.into(),
        version: "1:2.0+dfsg-1~deb12".into(),
        architecture: "amd64".into(),
        distribution: Some("debian-12".into()),
        licenses: licenses.iter().map(ToString::to_string).collect(),
        ..Package::default()
    }
}

fn library(path: &str, needed_by: &[&str], package: Option<Package>) -> Library {
    Library {
        path: path.into(),
        needed_by: needed_by.iter().map(ToString::to_string).collect(),
        package,
        ..Library::default()
    }
}

fn example() -> Manifest {
    let mut manifest = Manifest {
        unibeam: "1.2.3".into(),
        digest: "ab".repeat(32),
        ..Manifest::default()
    };
    manifest.release.name = "shop".into();
    manifest.runtime.path = "/release/erts-13".into();
    manifest.runtime.package = Some(package("erlang-base", &["Apache-2.0"]));
    manifest.applications = vec![Application {
        name: "shop".into(),
        version: "1.0".into(),
        path: "/release/lib/shop-1.0".into(),
        requires: vec!["kernel".into(), "shop".into()],
        licenses: vec!["MIT".into(), "GPL-2+ or Artistic".into()],
        ..Application::default()
    }];
    manifest.libraries = vec![
        library(
            "/lib/libc.so.6",
            &["/lib/libz.so.1", "/release/erts-13/bin/x"],
            Some(package("libc6", &[])),
        ),
        library(
            "/lib/libz.so.1",
            &["/release/lib/shop-1.0/priv/nif.so"],
            Some(package("libc6", &[])),
        ),
        library("/opt/own.so", &["/release/lib/shop-1.0x/y"], None),
    ];
    manifest
}

/// All parts, also those of parts.
fn all(components: &[Component]) -> Vec<&Component> {
    let parts = components.iter();
    parts
        .flat_map(|part| [vec![part], all(&part.components)].concat())
        .collect()
}

/// What the standard demands (CycloneDX 1.5, "Required" of each object, and unique references).
fn check(bom: &Bom) {
    assert_eq!(
        (
            bom.bom_format.as_str(),
            bom.spec_version.as_str(),
            bom.version
        ),
        ("CycloneDX", "1.5", 1)
    );
    let mut parts = all(&bom.components);
    parts.push(&bom.metadata.component);
    let kinds = ["application", "library", "operating-system", "file"];
    assert!(
        parts
            .iter()
            .all(|part| kinds.contains(&part.kind.as_str()) && !part.name.is_empty())
    );
    let refs: Vec<_> = parts
        .iter()
        .map(|part| part.bom_ref.as_ref().unwrap())
        .collect();
    let unique: BTreeSet<_> = refs.iter().copied().collect();
    assert_eq!(unique.len(), refs.len(), "{refs:?}");
    let mut named = BTreeSet::new();
    for dependency in &bom.dependencies {
        assert!(named.insert(&dependency.of) && unique.contains(&dependency.of));
        assert!(
            dependency
                .depends_on
                .iter()
                .all(|needed| unique.contains(needed)),
            "{dependency:?}"
        );
        assert!(!dependency.depends_on.contains(&dependency.of));
    }
}

#[test]
fn it_has_what_the_standard_demands() {
    let bom = Bom::new(&example(), None);
    check(&bom);
    // No other fields than the typed ones, which are the standard's.
    assert_eq!(serde_json::from_str::<Bom>(&bom.emit()).unwrap(), bom);
    check(&Bom::new(
        &Manifest {
            release: manifest::ReleaseInfo {
                name: "x".into(),
                ..Default::default()
            },
            ..Manifest::default()
        },
        None,
    ));
}

#[test]
fn it_is_the_same_each_time_and_has_the_time_that_is_given() {
    let manifest = example();
    let bom = Bom::new(&manifest, None).emit();
    assert_eq!(Bom::new(&manifest, None).emit(), bom);
    assert!(!bom.contains("timestamp") && !bom.contains("serialNumber"));
    let timed = Bom::new(&manifest, Some(86_400));
    assert_eq!(
        timed.metadata.timestamp.as_deref(),
        Some("1970-01-02T00:00:00Z")
    );
}

#[test]
fn packages_hold_their_libraries_and_have_package_urls() {
    let bom = Bom::new(&example(), None);
    let find = |name: &str| {
        bom.components
            .iter()
            .find(|part| part.name == name)
            .unwrap()
    };
    let libc = find("libc6");
    let purl = "pkg:deb/debian/libc6@1%3A2.0%2Bdfsg-1~deb12?arch=amd64&distro=debian-12";
    assert_eq!(libc.purl.as_deref(), Some(purl));
    let files: Vec<_> = libc
        .components
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(files, ["/lib/libc.so.6", "/lib/libz.so.1"]);
    assert_eq!(
        (
            find("/opt/own.so").kind.as_str(),
            find("/opt/own.so").purl.as_ref()
        ),
        ("library", None)
    );
    let licenses: Vec<_> = find("shop")
        .licenses
        .iter()
        .map(|choice| choice.license.clone())
        .collect();
    let expected = [
        License::Id("MIT".into()),
        License::Name("GPL-2+ or Artistic".into()),
    ];
    assert_eq!(licenses, expected);
}

#[test]
fn dependencies_are_those_of_the_files() {
    let bom = Bom::new(&example(), None);
    let needs = |of: &str| {
        let found = bom
            .dependencies
            .iter()
            .find(|dependency| dependency.of == of);
        found.unwrap().depends_on.clone()
    };
    assert_eq!(
        needs("application/shop"),
        ["library/lib/libz.so.1", "runtime/erts"]
    );
    assert_eq!(needs("library/lib/libz.so.1"), ["library/lib/libc.so.6"]);
    assert_eq!(needs("release/shop"), ["application/shop", "kernel"]);
    assert_eq!(needs("runtime/erts").len(), 2);
}

#[test]
fn the_kernel_is_that_of_the_base() {
    let kernel = |manifest: &Manifest| {
        let parts = Bom::new(manifest, None).components;
        let kernel = parts
            .into_iter()
            .find(|part| part.kind == "operating-system");
        let kernel = kernel.unwrap();
        (kernel.name, kernel.version)
    };
    let mut manifest = example();
    assert_eq!(kernel(&manifest), ("unibeam".into(), Some("1.2.3".into())));
    manifest.base = Some(Base {
        family: "osv".into(),
        version: "v0.57.0".into(),
    });
    assert_eq!(kernel(&manifest), ("osv".into(), Some("v0.57.0".into())));
}
