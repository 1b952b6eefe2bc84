//! Golden transcripts: what the program says, word for word.
//!
//! Each file in `tests/transcripts/` holds commands and what they print:
//!
//! ```text
//! $ unibeam run missing.img
//! ? 1
//! what went to standard output, then what went to standard error, each line after "| " or "! "
//! ```
//!
//! The commands run in a folder of their own (FOLDER in what they print) with the files made by [`workspace`]. `just bless`
//! (that is, `UNIBEAM_BLESS=1`) writes the files anew; look at the difference before committing.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers outside #[test] too"
)]

use release::term::etf::{self, AtomStyle};
use release::term::text;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use tar::{Builder, EntryType, Header};

fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.img"), "this is no disk image\n").unwrap();
    fs::write(folder.path().join("empty.img"), "").unwrap();
    for (name, bytes) in DAMAGED {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut old = b"QFI\xfb\0\0\0\x02".to_vec();
    old.resize(512, 0);
    fs::write(folder.path().join("old.qcow2"), old).unwrap();
    for (name, text) in CONFIGURATIONS {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::create_dir(folder.path().join("empty-folder")).unwrap();
    release(
        &folder.path().join("sound"),
        "-sname tiny\n-setcookie YVEUBLMUVB7ZQZ5GHQJ2\n",
    );
    broken_release(&folder.path().join("broken"));
    let template = folder.path().join("template");
    release(&template, "");
    write(
        &template.join("releases/1/vm.args.src"),
        "-sname tiny\n-setcookie ${COOKIE}\n-emu_flavor ${FLAVOUR:-smp}\n",
    );
    archives(folder.path());
    release(&folder.path().join("no-erts"), "");
    fs::remove_dir_all(folder.path().join("no-erts/erts-13.1.5")).unwrap();
    write(
        &folder.path().join("old-erlang/erts-5.10/bin/beam.smp"),
        EMPTY_ELF,
    );
    bare_releases(folder.path());
    folder
}

/// Containers that end early or are of another kind than ours.
const DAMAGED: [(&str, &[u8]); 4] = [
    ("cut.qcow2", b"QFI\xfb\0\0\0\x03"),
    ("cut.vmdk", b"KDMV"),
    ("cut.img.zst", b"\x28\xb5\x2f\xfd"),
    ("text.tar.gz", b"\x1f\x8btext"),
];

/// Files for --config: one that is sound, and some with mistakes.
const CONFIGURATIONS: [(&str, &str); 6] = [
    (
        "sound.toml",
        "release = \"sound\"\n[image]\noutput = \"sound.img\"\nformat = \"vhd\"\ncompress = true\n[check]\nmemory = \"64M\"\n",
    ),
    (
        "key.toml",
        "release = \"sound\"\n\n[image]\nouput = \"a.img\"\n",
    ),
    ("type.toml", "release = \"sound\"\nconsole = \"yes\"\n"),
    ("host.toml", "hostname = \"my shop\"\n"),
    ("value.toml", "[image]\nsize = \"many\"\n"),
    ("cut.toml", "release = \"sound\n"),
];

/// The start of an ELF file for x86-64 with no segments: a program that needs nothing.
const EMPTY_ELF: [u8; 64] = {
    let mut header = [0; 64];
    let known = *b"\x7fELF\x02\x01\x01";
    let mut at = 0;
    while at < known.len() {
        header[at] = known[at];
        at += 1;
    }
    header[18] = 62;
    header[20] = 1;
    header
};

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A release without modules, with these flags.
fn release(root: &Path, vm_args: &str) {
    let boot = "{script,{\"tiny\",\"1\"},[{apply,{application,load,[{application,stdlib,[]}]}}]}.";
    let boot = text::parse_one(boot.as_bytes()).unwrap();
    let rel = "{release,{\"tiny\",\"1\"},{erts,\"13.1.5\"},[{kernel,\"8\"},{stdlib,\"4\"}]}.";
    write(&root.join("releases/1/tiny.rel"), rel);
    write(
        &root.join("releases/1/tiny.boot"),
        etf::emit(&boot, AtomStyle::Latin1),
    );
    write(&root.join("releases/1/vm.args"), vm_args);
    write(&root.join("releases/1/sys.config"), "[].");
    for (name, version) in [("kernel", 8), ("stdlib", 4)] {
        let app = format!("{{application,{name},[{{vsn,\"{version}\"}}]}}.");
        write(
            &root.join(format!("lib/{name}-{version}/ebin/{name}.app")),
            app,
        );
    }
    for name in ["beam.smp", "erl_child_setup", "inet_gethost"] {
        write(&root.join(format!("erts-13.1.5/bin/{name}")), EMPTY_ELF);
    }
}

/// The same with mistakes.
fn broken_release(root: &Path) {
    release(root, "+sfoo 1\n-sname tiny\n-setcookie secret\n-heart\n");
    fs::remove_dir_all(root.join("lib/stdlib-4")).unwrap();
    write(&root.join("lib/stdlib-5/ebin/stdlib.app"), "");
    fs::remove_file(root.join("erts-13.1.5/bin/inet_gethost")).unwrap();
    let config = r#"[{kernel,[{logger,[{handler,default,logger_std_h,#{config=>#{file=>"log/tiny.log"}}}]}]},
        {web,[{key,"/etc/ssl/private/tiny.pem"}]}]."#;
    write(&root.join("releases/1/sys.config"), config);
    let mut foreign = EMPTY_ELF;
    foreign[18] = 183;
    write(&root.join("lib/kernel-8/priv/nif.so"), foreign);
    write(&root.join("lib/kernel-8/ebin/cut.beam"), "FOR1");
}

/// An Erlang, applications, and `.rel` files outside any release.
fn bare_releases(folder: &Path) {
    for name in ["beam.smp", "erl_child_setup", "inet_gethost"] {
        write(&folder.join("erlang/erts-13.1.5/bin").join(name), EMPTY_ELF);
    }
    let app = |place: &str, name: &str, keys: &str| {
        let app = format!(
            "{{application,{name},[{{vsn,\"1\"}},{{modules,[]}},{{registered,[]}},{keys}]}}."
        );
        write(
            &folder.join(place).join(format!("{name}-1/ebin/{name}.app")),
            app,
        );
    };
    app("erlang/lib", "kernel", "{description,[]},{applications,[]}");
    app(
        "erlang/lib",
        "stdlib",
        "{description,[]},{applications,[kernel]}",
    );
    app(
        "lib",
        "tiny",
        "{description,[]},{applications,[kernel,stdlib]}",
    );
    app("lib", "egg", "{description,[]},{applications,[hen]}");
    app("lib", "hen", "{description,[]},{applications,[egg]}");
    app("lib", "vague", "{applications,[kernel,stdlib]}");
    let base = "{kernel,\"1\"},{stdlib,\"1\"}";
    for (name, more) in [
        ("bare", ",{tiny,\"1\"}"),
        ("circle", ",{egg,\"1\"},{hen,\"1\"}"),
        ("lonely", ",{egg,\"1\"}"),
        ("vague", ",{vague,\"1\"}"),
        ("newer", ",{tiny,\"2\"}"),
    ] {
        let rel = format!("{{release,{{\"{name}\",\"1\"}},{{erts,\"13.1.5\"}},[{base}{more}]}}.");
        write(&folder.join(format!("{name}.rel")), rel);
    }
    write(
        &folder.join("headless.rel"),
        "{release,{\"headless\",\"1\"},{erts,\"13.1.5\"},[{kernel,\"1\"}]}.",
    );
}

/// Archives of those releases, and hostile ones.
fn archives(folder: &Path) {
    for name in ["sound", "broken"] {
        let mut builder = Builder::new(Vec::new());
        builder.append_dir_all("", folder.join(name)).unwrap();
        fs::write(
            folder.join(name).with_extension("tar"),
            builder.into_inner().unwrap(),
        )
        .unwrap();
    }
    let sound = fs::read(folder.join("sound.tar")).unwrap();
    fs::write(folder.join("cut.tar"), &sound[..700]).unwrap();
    let (file, link, device) = (EntryType::Regular, EntryType::Symlink, EntryType::Block);
    let hostile: [(&str, &[_]); 6] = [
        ("above.tar", &[(file, "lib/../../etc/passwd", "")]),
        ("absolute.tar", &[(file, "/etc/passwd", "")]),
        ("link.tar", &[(link, "lib", "../../etc")]),
        ("device.tar", &[(device, "dev/sda", "")]),
        (
            "twice.tar",
            &[(file, "bin/tiny", ""), (file, "bin/tiny", "")],
        ),
        (
            "through.tar",
            &[(link, "lib", "releases"), (file, "lib/x", "")],
        ),
    ];
    for (name, members) in hostile {
        fs::write(folder.join(name), archive(members)).unwrap();
    }
}

/// An archive of empty members, with names that the library would not write by itself.
fn archive(members: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, target) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(0);
        let raw = header.as_mut_bytes();
        raw[..name.len()].copy_from_slice(name.as_bytes());
        raw[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, &[][..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Splits a command line at spaces; single quotes keep them.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

fn transcript(line: &str, folder: &Path) -> String {
    let words = words(line);
    assert_eq!(words[0], "unibeam", "a transcript runs only unibeam");
    let output = Command::new(env!("CARGO_BIN_EXE_unibeam"))
        .args(&words[1..])
        .current_dir(folder)
        .env_remove("UNIBEAM_ACCEL")
        .env_remove("ERL_LIBS")
        .output()
        .unwrap();
    let folder_name = folder.canonicalize().unwrap().display().to_string();
    let mut text = format!("$ {line}\n? {}\n", output.status.code().unwrap());
    for (mark, bytes) in [('|', &output.stdout), ('!', &output.stderr)] {
        let said = String::from_utf8_lossy(bytes).replace(&folder_name, "FOLDER");
        for line in said.lines() {
            writeln!(text, "{}", format!("{mark} {line}").trim_end()).unwrap();
        }
    }
    text
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(name);
    let golden = fs::read_to_string(&path).unwrap();
    let folder = workspace();
    let blocks: Vec<_> = golden
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(|line| transcript(line, folder.path()))
        .collect();
    let found = blocks.join("\n");
    if std::env::var_os("UNIBEAM_BLESS").is_some() {
        fs::write(&path, found).unwrap();
        return;
    }
    assert_eq!(
        found, golden,
        "{name} differs; `just bless` accepts the new text"
    );
}

macro_rules! transcripts {
    ($($name:ident),*) => {
        $(#[test] fn $name() { check(concat!(stringify!($name), ".txt")); })*

        #[test]
        fn every_file_is_checked() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
            let files = fs::read_dir(folder).unwrap().count();
            assert_eq!(files, [$(stringify!($name)),*].len());
        }
    };
}

transcripts!(
    checks,
    config,
    help,
    inspect,
    usage,
    verify,
    image_errors,
    run_errors
);
