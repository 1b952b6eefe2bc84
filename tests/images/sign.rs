//! Signatures: minisign's program and ours take each other's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use tests::{output, release, scratch, succeed, unibeam};

const PASSWORD: &str = "correct horse";

/// A pair of keys that minisign made, in a folder of their own.
struct Keys {
    folder: TempDir,
}

impl Keys {
    /// A pair whose secret key has no password.
    fn plain() -> Self {
        let keys = Self { folder: scratch() };
        succeed(keys.generate().arg("-W"));
        keys
    }

    /// A pair whose secret key has the [`PASSWORD`].
    fn with_password() -> Self {
        let keys = Self { folder: scratch() };
        let mut child = keys
            .generate()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        std::io::Write::write_all(stdin, format!("{PASSWORD}\n{PASSWORD}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        keys
    }

    fn generate(&self) -> Command {
        let mut command = Command::new("minisign");
        command
            .args(["-G", "-p"])
            .arg(self.public())
            .arg("-s")
            .arg(self.secret());
        command
    }

    fn public(&self) -> PathBuf {
        self.folder.path().join("key.pub")
    }

    fn secret(&self) -> PathBuf {
        self.folder.path().join("key.sec")
    }
}

/// Makes a signed image; its path.
fn sign(folder: &Path, name: &str, key: &Path) -> (PathBuf, Command) {
    let path = folder.join(name);
    let mut command = unibeam();
    command
        .arg("image")
        .arg(release("hello"))
        .arg("-qo")
        .arg(&path);
    command.arg("--sign").arg(key);
    command
        .env_remove("SOURCE_DATE_EPOCH")
        .env_remove("UNIBEAM_KEY_PASSWORD");
    // No terminal to ask at.
    command.stdin(Stdio::null());
    (path, command)
}

fn verify(image: &Path, key: &Path) -> Command {
    let mut command = unibeam();
    command.arg("verify").arg(image).arg("--key").arg(key);
    command
}

fn said(result: &Output) -> String {
    String::from_utf8_lossy(&result.stderr).into_owned()
}

#[test]
fn minisign_takes_our_signature() {
    let (keys, folder) = (Keys::plain(), scratch());
    for name in ["a.img", "a.qcow2"] {
        let (image, mut command) = sign(folder.path(), name, &keys.secret());
        succeed(&mut command);
        let mut minisign = Command::new("minisign");
        minisign.arg("-Vm").arg(&image).arg("-p").arg(keys.public());
        let text = succeed(&mut minisign);
        assert!(
            text.contains("Trusted comment: file:") && text.contains("digest:"),
            "{text}"
        );
        let good = succeed(&mut verify(&image, &keys.public()));
        assert!(good.contains(": the signature is good (file:"), "{good}");
    }
}

#[test]
fn we_take_minisigns_signature_and_a_key_as_text() {
    let (keys, folder) = (Keys::plain(), scratch());
    let file = folder.path().join("a.img");
    fs::write(&file, "anything").unwrap();
    let mut minisign = Command::new("minisign");
    minisign.arg("-Sm").arg(&file).arg("-s").arg(keys.secret());
    succeed(minisign.args(["-t", "from minisign"]));
    let good = succeed(&mut verify(&file, &keys.public()));
    assert!(
        good.ends_with("the signature is good (from minisign)\n"),
        "{good}"
    );
    let public = fs::read_to_string(keys.public()).unwrap();
    let text = public.lines().nth(1).unwrap();
    succeed(unibeam().arg("verify").arg(&file).args(["-qP", text]));
    let elsewhere = folder.path().join("b.sig");
    fs::rename(folder.path().join("a.img.minisig"), &elsewhere).unwrap();
    let missing = output(&mut verify(&file, &keys.public()));
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        said(&missing).contains("there is no signature"),
        "{}",
        said(&missing)
    );
    succeed(
        verify(&file, &keys.public())
            .arg("--signature")
            .arg(elsewhere),
    );
}

#[test]
fn what_was_changed_or_signed_by_others_has_its_own_status() {
    let (keys, others, folder) = (Keys::plain(), Keys::plain(), scratch());
    let (image, mut command) = sign(folder.path(), "a.img", &keys.secret());
    succeed(&mut command);
    let refused = |expected: &str, key: &Path| {
        let result = output(&mut verify(&image, key));
        assert_eq!(result.status.code(), Some(4));
        assert!(said(&result).contains(expected), "{}", said(&result));
    };
    refused("signed with another key", &others.public());
    let signature = folder.path().join("a.img.minisig");
    let sound = fs::read_to_string(&signature).unwrap();
    fs::write(&signature, sound.replace("file:a.img", "file:b.img")).unwrap();
    refused("is not what was signed", &keys.public());
    fs::write(&signature, sound).unwrap();
    let mut bytes = fs::read(&image).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&image, bytes).unwrap();
    refused("is not what was signed", &keys.public());
}

#[test]
fn passwords_come_from_files_or_the_environment() {
    let (keys, folder) = (Keys::with_password(), scratch());
    let file = folder.path().join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let (image, mut command) = sign(folder.path(), "b.img", &keys.secret());
    succeed(command.arg("--key-password-file").arg(&file));
    succeed(&mut verify(&image, &keys.public()));
    let (image, mut command) = sign(folder.path(), "c.img", &keys.secret());
    let wrong = output(command.env("UNIBEAM_KEY_PASSWORD", "battery staple"));
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        said(&wrong).contains("the password is not that of the key"),
        "{}",
        said(&wrong)
    );
    assert!(!image.exists() && !folder.path().join("c.img.minisig").exists());
}

/// setsid(1) takes the terminal away.
#[test]
fn without_a_terminal_the_ways_to_give_a_password_are_told() {
    let (keys, folder) = (Keys::with_password(), scratch());
    let (image, command) = sign(folder.path(), "a.img", &keys.secret());
    let mut detached = Command::new("setsid");
    detached
        .arg("-w")
        .arg(command.get_program())
        .args(command.get_args());
    detached
        .env_remove("UNIBEAM_KEY_PASSWORD")
        .stdin(Stdio::null());
    let result = output(&mut detached);
    assert_eq!(result.status.code(), Some(1));
    assert!(
        said(&result).contains("--key-password-file"),
        "{}",
        said(&result)
    );
    assert!(!image.exists());
}

#[test]
fn what_is_no_key_is_named() {
    let (keys, folder) = (Keys::plain(), scratch());
    let (_, mut command) = sign(folder.path(), "a.img", &keys.public());
    let result = output(&mut command);
    assert_eq!(result.status.code(), Some(1));
    assert!(
        said(&result).contains("is not a secret key of minisign"),
        "{}",
        said(&result)
    );
    let result = output(&mut verify(&keys.public(), &keys.secret()));
    assert_eq!(result.status.code(), Some(1));
    assert!(
        said(&result).contains("is not a public key of minisign"),
        "{}",
        said(&result)
    );
}

/// A key without a password has no checksum; the halves of this one do not belong together.
#[test]
fn a_damaged_key_signs_nothing() {
    let (keys, folder) = (Keys::plain(), scratch());
    let text = fs::read_to_string(keys.secret()).unwrap();
    let line = text.lines().nth(1).unwrap();
    let mut damaged = line.to_owned().into_bytes();
    // In the middle of the secret half: bytes 62 to 93 of the key, base64 has four digits for three.
    let digit = &mut damaged[104];
    *digit = if *digit == b'A' { b'B' } else { b'A' };
    let damaged = text.replace(line, std::str::from_utf8(&damaged).unwrap());
    fs::write(keys.secret(), damaged).unwrap();
    let (image, mut command) = sign(folder.path(), "a.img", &keys.secret());
    let result = output(&mut command);
    assert_eq!(result.status.code(), Some(1), "{}", said(&result));
    assert!(said(&result).contains("is damaged"), "{}", said(&result));
    assert!(!image.exists());
}
