//! The bill of materials of real images.

use manifest::sbom::Bom;
use std::fs;
use std::process::Command;
use tests::{output, release, scratch, succeed, unibeam};

#[test]
fn an_image_and_its_bill_say_the_same() {
    let folder = scratch();
    let (image, bill) = (folder.path().join("a.img"), folder.path().join("a.json"));
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release("crypto_check"))
        .arg("-qo")
        .arg(&image);
    command
        .arg("--sbom")
        .arg(&bill)
        .env_remove("SOURCE_DATE_EPOCH");
    succeed(&mut command);
    let mut inspect = unibeam();
    inspect.arg("inspect").arg(&image).arg("--sbom");
    let printed = succeed(inspect.env_remove("SOURCE_DATE_EPOCH"));
    assert_eq!(fs::read_to_string(&bill).unwrap(), printed);
    let bom: Bom = serde_json::from_str(&printed).unwrap();
    assert_eq!(bom.metadata.timestamp, None);
    let openssl = bom
        .components
        .iter()
        .find(|part| part.name == "libssl3")
        .unwrap();
    let version = ["-W", "-f", "${Version}", "libssl3"];
    let version = succeed(Command::new("dpkg-query").args(version));
    assert_eq!(openssl.version.as_ref(), Some(&version));
    assert!(
        openssl
            .purl
            .as_ref()
            .unwrap()
            .ends_with("&distro=debian-12")
    );
    let timed = succeed(inspect.env("SOURCE_DATE_EPOCH", "1700000000"));
    assert!(timed.contains("\"timestamp\": \"2023-11-14T22:13:20Z\""));
}

#[test]
fn without_a_place_for_the_bill_there_is_no_image() {
    let folder = scratch();
    let image = folder.path().join("a.img");
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release("hello"))
        .arg("-qo")
        .arg(&image);
    let result = output(
        command
            .arg("--sbom")
            .arg(folder.path().join("nowhere/a.json")),
    );
    assert_eq!(result.status.code(), Some(1));
    let said = String::from_utf8(result.stderr).unwrap();
    assert!(said.contains("nowhere/a.json: No such file"), "{said}");
    assert!(!image.exists());
}
