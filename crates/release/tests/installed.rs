//! Releases that were built without a run-time system.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use release::{Elsewhere, Error, Places, Release, StartOptions};
use support::{mix_release_with, need, otp, run, systools_release};

fn from(erts: &Path) -> Places {
    Places {
        erts: Some(erts.into()),
        ..Places::default()
    }
}

/// The content of each file for the guest.
fn files(release: &Release) -> BTreeMap<String, Vec<u8>> {
    let tree = release.tree(&StartOptions::default()).unwrap();
    let content = tree.iter().filter_map(|entry| {
        let content = entry.content().unwrap()?;
        Some((entry.path.to_string(), content))
    });
    content.collect()
}

fn copied(root: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(root).arg(to));
}

/// A release that has what `remove` takes out of another, completed with the Erlang that it was
/// built with, has all that the other has.
#[test]
fn what_a_release_lacks_comes_from_the_erlang_that_is_named() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &["crypto"]);
    let whole = Release::open(&root).unwrap();
    let (otp, version) = otp();
    let bare = dir.path().join("without");
    copied(&root, &bare);
    fs::remove_dir_all(bare.join(format!("erts-{version}"))).unwrap();
    for application in whole.applications() {
        if application.app.name != "hello" {
            let name = application.directory.file_name().unwrap();
            fs::remove_dir_all(bare.join("lib").join(name)).unwrap();
        }
    }
    let expected = files(&whole);
    for erts in [otp.clone(), otp.join(format!("erts-{version}"))] {
        let (release, problems) = Release::survey(&bare, &from(&erts)).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        let found = files(&release);
        for (path, content) in &expected {
            assert_eq!(found.get(path), Some(content), "{path}");
        }
        let options = StartOptions::default();
        assert_eq!(
            release.start(&options).unwrap(),
            whole.start(&options).unwrap()
        );
    }
    let (_, problems) = Release::survey(&bare, &Places::default()).unwrap();
    let proposed =
        matches!(&problems[0], Error::NoErts { proposal: Some(root), .. } if *root == otp);
    assert!(proposed, "{problems:?}");
    let flag = format!("`--erts {}`", otp.display());
    assert!(problems[0].to_string().contains(&flag), "{}", problems[0]);
    let elsewhere = |error: &Error| {
        matches!(error, Error::MissingApplication { elsewhere, .. }
            if **elsewhere == Elsewhere::Installed(otp.clone()))
    };
    assert_eq!(problems.iter().filter(|error| elsewhere(error)).count(), 3);
}

#[test]
fn another_version_is_refused() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &[]);
    let other = dir.path().join("other");
    fs::create_dir_all(other.join("erts-9.0/bin")).unwrap();
    let (_, problems) = Release::survey(&root, &from(&other)).unwrap();
    assert!(matches!(&problems[0], Error::OtherErts { found, .. } if found == &["erts-9.0"]));
    let (_, problems) = Release::survey(&root, &from(dir.path())).unwrap();
    assert!(
        matches!(&problems[0], Error::NotErts { .. }),
        "{problems:?}"
    );
}

#[test]
fn mix_without_erts() {
    need("mix");
    let dir = tempfile::tempdir().unwrap();
    let root = mix_release_with(dir.path(), "include_erts: false");
    assert!(!root.join("lib").join("kernel").exists());
    let (otp, version) = otp();
    let (release, problems) = Release::survey(&root, &from(&otp)).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let found = files(&release);
    let kernel = release
        .applications()
        .iter()
        .find(|a| a.app.name == "kernel")
        .unwrap();
    assert!(kernel.directory.starts_with(&otp));
    let kernel = format!(
        "/release/lib/kernel-{}/ebin/kernel.beam",
        kernel.app.version
    );
    assert!(found.contains_key(&kernel), "{kernel}");
    assert!(found.contains_key(&format!("/release/erts-{version}/bin/beam.smp")));
}
