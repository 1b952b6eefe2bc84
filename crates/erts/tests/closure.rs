//! The closure of a real release, judged by `ldd` and by the loader itself.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../release/tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use erts::{Error, Note, RuleSet, Sysroot, closure, trim};
use release::{GuestPath, Release, Source, StartOptions, TreeEntry, tree};

use support::{compile, mix_release, need, run, systools_release};

fn path(text: &str) -> GuestPath {
    GuestPath::new(text).unwrap()
}

/// Names of the libraries that `ldd` finds for a file.
fn ldd(file: &Path) -> BTreeSet<String> {
    let text = run(Command::new("ldd").arg(file));
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| !name.starts_with("linux-vdso"));
    names
        .map(|name| name.rsplit('/').next().unwrap().into())
        .collect()
}

/// Writes a tree below a directory, as an image would hold it.
fn lay_out(entries: &[TreeEntry], root: &Path) {
    for entry in entries {
        let relative = std::ffi::OsStr::from_bytes(&entry.path.as_bytes()[1..]);
        let place = root.join(relative);
        match &entry.source {
            Source::Directory => fs::create_dir_all(&place).unwrap(),
            Source::Symlink(target) => {
                symlink(std::ffi::OsStr::from_bytes(target), &place).unwrap();
            }
            Source::HostFile(_) | Source::Bytes(_) => {
                fs::write(&place, entry.content().unwrap().unwrap()).unwrap();
                fs::set_permissions(&place, fs::Permissions::from_mode(entry.mode)).unwrap();
            }
        }
    }
}

#[test]
fn a_release_with_crypto_gets_what_the_loader_needs() {
    need("erl");
    need("ldd");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &["crypto", "asn1"]);
    let release = Release::open(&root).unwrap();
    let trimmed = trim(
        release.tree(&StartOptions::default()).unwrap(),
        &RuleSet::default(),
    )
    .unwrap();
    let sysroot = Sysroot::new(Path::new("/")).unwrap();
    let found = closure(&trimmed.entries, &sysroot).unwrap();
    assert_eq!(found.notes, []);
    assert_eq!(found, closure(&trimmed.entries, &sysroot).unwrap());

    let mut expected = BTreeSet::new();
    for entry in &trimmed.entries {
        if let Source::HostFile(file) = &entry.source
            && fs::read(file).unwrap().starts_with(b"\x7fELF")
        {
            expected.extend(ldd(file));
        }
    }
    assert!(expected.contains("libcrypto.so.3"));
    let names = found
        .libraries
        .iter()
        .map(|library| library.guest.file_name());
    let names = names.map(|name| String::from_utf8(name.to_vec()).unwrap());
    let mut names: BTreeSet<_> = names.collect();
    assert!(names.remove("legacy.so"), "a companion of libcrypto");
    assert_eq!(names, expected);
    let configuration = |entry: &TreeEntry| entry.path.file_name() == b"openssl.cnf";
    assert!(found.entries.iter().any(configuration));
}

/// The start of a command line that runs a program below a directory: `chroot` for root, in a
/// user namespace of its own for others. Absolute, since it runs without `PATH`.
fn chroot() -> Vec<String> {
    let which = |name: &str| {
        let script = format!("command -v {name}");
        run(Command::new("sh").args(["-c", &script]))
            .trim()
            .to_owned()
    };
    let plain = Command::new("chroot").args(["/", "true"]).status();
    if plain.is_ok_and(|status| status.success()) {
        return vec![which("chroot")];
    }
    vec![which("unshare"), "--map-root-user".into(), which("chroot")]
}

/// Starts a release with nothing but the files of its image. Returns what it printed and its
/// status, and checks that it reported readiness.
fn start_in_chroot(root: &Path, options: &StartOptions, more: &[&str]) -> (String, Option<i32>) {
    let release = Release::open(root).unwrap();
    let start = release.start(options).unwrap();
    let trimmed = trim(release.tree(options).unwrap(), &RuleSet::default())
        .unwrap()
        .entries;
    let libraries = closure(&trimmed, &Sysroot::new(Path::new("/")).unwrap()).unwrap();
    let extra = [
        TreeEntry::directory(path("/tmp")),
        TreeEntry::bytes(path("/dev/null"), ""),
    ];
    let parts = [trimmed, libraries.entries, start.files, extra.into()];
    let guest = tempfile::tempdir().unwrap();
    lay_out(&tree::merge(parts.into_iter().flatten()), guest.path());
    let output = Command::new("timeout")
        .arg("60")
        .args(chroot())
        .arg(guest.path())
        .arg(&start.init.exec)
        .args(&start.init.args[1..])
        .args(more)
        .env_clear()
        .envs(start.init.env)
        .output()
        .unwrap();
    let line = fs::read(guest.path().join("dev/unibeam")).unwrap_or_default();
    assert_eq!(line, b"application-started\n", "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, output.status.code())
}

#[test]
fn the_emulator_starts_with_these_files_only() {
    need("erl");
    let dir = tempfile::tempdir().unwrap();
    let root = systools_release(dir.path(), &["crypto"]);
    let code = ["-eval", "io:format(\"~p\",[crypto:hash(md5,<<>>)])"];
    let (text, status) = start_in_chroot(&root, &StartOptions::default(), &code);
    assert!(text.contains("<<212,29,140,217,143,0,178,4"), "{text}");
    // The application waits for `ready` in its working directory in vain.
    assert_eq!(status, Some(7), "{text}");
}

/// Also shows that a distributed node starts without `epmd`: nothing listens on port 1.
#[test]
fn mix_releases_start_and_read_their_runtime_configuration() {
    need("erl");
    need("mix");
    for reboot in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let root = mix_release(dir.path(), reboot);
        let code = "-eval io:format(\"~p~n~p~n\",[node(),application:get_env(plain,answer)]),init:stop(5).";
        let env = [
            ("ANSWER", "42"),
            ("ELIXIR_ERL_OPTIONS", code),
            ("ERL_EPMD_PORT", "1"),
        ];
        let options = StartOptions {
            env: env.map(|(name, value)| (name.into(), value.into())).into(),
            ..StartOptions::default()
        };
        let (text, status) = start_in_chroot(&root, &options, &[]);
        assert!(text.contains("plain@"), "{text}");
        assert!(text.contains("{ok,<<\"42\">>}"), "{text}");
        assert_eq!(status, Some(5), "{text}");
    }
}

const SHARED: [&str; 4] = ["-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed"];

fn shared(directory: &Path, name: &str, more: &[&str]) -> PathBuf {
    let flags: Vec<&str> = SHARED.iter().chain(more).copied().collect();
    compile(directory, name, &flags)
}

#[test]
fn run_paths_decide_where_libraries_are_found() {
    need("cc");
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let b = shared(at, "opt/here/libb.so", &[]);
    shared(at, "usr/lib/libc_like.so", &[]);
    shared(at, "special/libd.so", &[]);
    fs::create_dir_all(at.join("etc")).unwrap();
    fs::write(at.join("etc/ld.so.conf"), "/special\n").unwrap();
    let a = |name: &str, run_path: &str| {
        let flags = [
            "-L", "opt/here", "-L", "usr/lib", "-L", "special", "-lb", "-lc_like", "-ld", run_path,
        ];
        shared(at, name, &flags)
    };
    let by_runpath = a(
        "a1.so",
        "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../../opt/here",
    );
    let by_rpath = a("a2.so", "-Wl,--disable-new-dtags,-rpath,/opt/here");
    let sysroot = Sysroot::new(at).unwrap();
    for file in [&by_runpath, &by_rpath] {
        let tree = [TreeEntry::host_file(
            path("/release/priv/a.so"),
            file,
            false,
        )];
        let found = closure(&tree, &sysroot).unwrap();
        let guests: Vec<_> = found
            .libraries
            .iter()
            .map(|l| l.guest.to_string())
            .collect();
        assert_eq!(
            guests,
            [
                "/opt/here/libb.so",
                "/special/libd.so",
                "/usr/lib/libc_like.so"
            ]
        );
        assert_eq!(found.libraries[0].needed_by, [path("/release/priv/a.so")]);
    }
    // Found in the tree itself: nothing to add for it.
    let tree = [
        TreeEntry::host_file(path("/release/priv/a.so"), &by_runpath, false),
        TreeEntry::host_file(path("/opt/here/libb.so"), &b, false),
    ];
    assert_eq!(closure(&tree, &sysroot).unwrap().libraries.len(), 2);
}

#[test]
fn missing_and_wrong_libraries_are_named() {
    need("cc");
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let b = shared(at, "usr/lib/libb.so", &[]);
    let a = shared(at, "a.so", &["-L", "usr/lib", "-lb"]);
    let sysroot = Sysroot::new(at).unwrap();
    let entry = |name: &str, file: &Path| TreeEntry::host_file(path(name), file, false);
    let two = [entry("/release/x.so", &a), entry("/release/y.so", &a)];

    let mut bytes = fs::read(&b).unwrap();
    bytes[18] = 183;
    fs::write(&b, &bytes).unwrap();
    let error = closure(&two, &sysroot).unwrap_err().to_string();
    assert!(
        error.contains("\n  libb.so, needed by /release/x.so, /release/y.so ("),
        "{error}"
    );
    assert!(
        error.contains("usr/lib/libb.so is not for x86-64)"),
        "{error}"
    );

    let foreign = closure(&[entry("/release/arm.so", &b)], &sysroot).unwrap();
    assert!(matches!(&foreign.notes[..], [Note::ForeignElf { .. }]));

    fs::remove_file(&b).unwrap();
    let with_copy = [two[0].clone(), entry("/release/elsewhere/libb.so", &a)];
    let notes = closure(&with_copy, &sysroot).unwrap().notes;
    assert!(
        matches!(&notes[0], Note::OnlyByName { name, .. } if name == "libb.so"),
        "{notes:?}"
    );
}

#[test]
fn programs_name_their_loader() {
    need("cc");
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let entry = |file: &Path| [TreeEntry::host_file(path("/release/p"), file, true)];
    let host = Sysroot::new(Path::new("/")).unwrap();
    let empty = Sysroot::new(at).unwrap();

    let program = compile(at, "dynamic", &[]);
    let found = closure(&entry(&program), &host).unwrap();
    let loader = found
        .libraries
        .iter()
        .find(|l| l.guest.to_string() == "/lib64/ld-linux-x86-64.so.2");
    assert!(loader.is_some());
    let error = closure(&entry(&program), &empty).unwrap_err();
    assert!(matches!(error, Error::NoInterpreter { .. }), "{error}");

    let musl = compile(
        at,
        "musl",
        &["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"],
    );
    let error = closure(&entry(&musl), &host).unwrap_err();
    assert!(matches!(error, Error::Musl { .. }), "{error}");

    let fixed = compile(at, "fixed", &["-static", "-nostdlib", "-Wl,-e,main"]);
    assert_eq!(closure(&entry(&fixed), &empty).unwrap().libraries, []);
}

/// A library with the symbol versions `names`, of which each one but the first contains the one
/// before.
fn versioned(directory: &Path, name: &str, names: &[&str]) {
    let function = |n: usize| format!("int v{n}(void) {{ return {n}; }}\n");
    let source: String = (0..names.len()).map(function).collect();
    let mut script = String::new();
    let mut before = String::new();
    for (n, version) in names.iter().enumerate() {
        script += &format!("{version} {{ global: v{n}; }} {before};\n");
        before = (*version).into();
    }
    fs::write(directory.join("versioned.c"), source).unwrap();
    fs::write(directory.join("versions"), script).unwrap();
    fs::create_dir_all(directory.join("usr/lib")).unwrap();
    run(Command::new("cc").current_dir(directory).args([
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-Wl,--version-script=versions",
        &format!("-Wl,-soname,{name}"),
        "-o",
        &format!("usr/lib/{name}"),
        "versioned.c",
    ]));
}

/// Links against the new library, then puts the old one in its place, as when a NIF was built on
/// another system than the one whose libraries are taken.
#[test]
fn libraries_that_are_too_old_are_named() {
    need("cc");
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    versioned(at, "libv.so.1", &["V_1.9", "V_1.10", "V_1.11"]);
    let source = "extern int v0(void), v2(void);\nint f(void) { return v0() + v2(); }\n";
    fs::write(at.join("nif.c"), source).unwrap();
    let nif = at.join("nif.so");
    run(Command::new("cc").current_dir(at).args([
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-o",
        "nif.so",
        "nif.c",
        "usr/lib/libv.so.1",
    ]));
    // As a symbolic link in the tree, too.
    let entry = |name: &str| TreeEntry::host_file(path(name), &nif, false);
    let tree = [entry("/release/lib/x-1/priv/x.so"), entry("/release/y.so")];
    let sysroot = Sysroot::new(at).unwrap();
    assert_eq!(closure(&tree, &sysroot).unwrap().libraries.len(), 1);

    versioned(at, "libv.so.1", &["V_1.9", "V_1.10"]);
    let error = closure(&tree, &sysroot).unwrap_err().to_string();
    let line = "\n  /release/lib/x-1/priv/x.so, /release/y.so needs V_1.11, but /usr/lib/libv.so.1 has V_1.10 at most\n";
    assert!(error.contains(line), "{error}");
    assert!(error.contains("`--sysroot DIR`"), "{error}");

    // The same library in the release itself, behind a symbolic link.
    let old = at.join("usr/lib/libv.so.1");
    let in_tree = [
        entry("/release/x.so"),
        TreeEntry::host_file(path("/usr/lib/libv.so.1.10"), &old, false),
        TreeEntry::symlink(path("/usr/lib/libv.so.1"), "libv.so.1.10"),
    ];
    fs::create_dir(at.join("empty")).unwrap();
    let empty = Sysroot::new(&at.join("empty")).unwrap();
    let error = closure(&in_tree, &empty).unwrap_err();
    let Error::SymbolVersions { missing, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(missing[0].library, path("/usr/lib/libv.so.1.10"));

    // A library without versions is taken as it is.
    run(Command::new("cc").current_dir(at).args([
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-o",
        "usr/lib/libv.so.1",
        "versioned.c",
    ]));
    assert_eq!(closure(&tree, &sysroot).unwrap().libraries.len(), 1);
}

/// The versions read are those that readelf shows, for the C library and the emulator.
#[test]
fn readelf_shows_the_same_versions() {
    need("readelf");
    let (otp, version) = support::otp();
    let emulator = otp.join(format!("erts-{version}/bin/beam.smp"));
    let sysroot = Sysroot::new(Path::new("/")).unwrap();
    let libc = sysroot.resolve(Path::new("/lib/x86_64-linux-gnu/libc.so.6"));
    for file in [emulator, libc.unwrap()] {
        let text = run(Command::new("readelf").arg("-VW").arg(&file));
        let elf = erts::elf::Elf::parse(&fs::read(&file).unwrap()).unwrap();
        let mut needed = Vec::new();
        let mut defined = Vec::new();
        for line in text.lines() {
            let name = line
                .split_once("Name: ")
                .map(|(_, rest)| rest.split_whitespace().next());
            let Some(Some(name)) = name else { continue };
            if line.contains("Version: ") {
                needed.push(name.to_owned());
            } else if line.contains("Index: ") && !line.contains("Flags: BASE") {
                defined.push(name.to_owned());
            }
        }
        let found: Vec<_> = elf
            .versions_needed
            .iter()
            .map(|n| n.version.clone())
            .collect();
        assert_eq!(found, needed);
        assert!(!needed.is_empty());
        assert_eq!(elf.versions_defined, defined);
    }
}

/// Starts a program that converts to a character set which is not built into the C library, with
/// nothing but the files of its image.
#[test]
fn converters_come_with_who_uses_them() {
    need("cc");
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <iconv.h>\nint main(void) { return iconv_open(\"UHC\", \"UTF-8\") == (iconv_t)-1; }\n";
    fs::write(dir.path().join("convert.c"), source).unwrap();
    run(Command::new("cc")
        .current_dir(dir.path())
        .args(["-o", "convert", "convert.c"]));
    let program = TreeEntry::host_file(path("/convert"), &dir.path().join("convert"), true);
    let sysroot = Sysroot::new(Path::new("/")).unwrap();
    let found = closure(std::slice::from_ref(&program), &sysroot).unwrap();
    assert!(
        matches!(&found.notes[..], [Note::Converters { user, count: 100.. }] if *user == program.path)
    );

    let guest = tempfile::tempdir().unwrap();
    lay_out(
        &tree::merge(found.entries.into_iter().chain([program])),
        guest.path(),
    );
    let start = |guest: &Path| {
        let mut command = Command::new("timeout");
        command.arg("60").args(chroot()).arg(guest).arg("/convert");
        command.status().unwrap().code()
    };
    assert_eq!(start(guest.path()), Some(0));
    let modules = guest.path().join("usr/lib/x86_64-linux-gnu/gconv");
    fs::remove_file(modules.join("libKSC.so")).unwrap();
    assert_eq!(start(guest.path()), Some(1), "the test can fail");
}
